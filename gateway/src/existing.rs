//! Commands that want their config to exist, whatever its version: `If-Match: *`. No other write
//! stands against them, except one that deletes the config, and a repeat with the same key gets the
//! first receipt even if the config does not exist any more.

use configapi_proto::v1::{HistoryOrder, HistoryRequest};
use configapi_proto::{ApiError, Reason, key};

use crate::app::App;
use crate::asked::Asked;
use crate::conditional::{self, NO_VERSION};
use crate::freshness::linearizable;
use crate::problem::Problem;
use crate::writes::OneConfig;

/// How often a config may change just when a restore of it is on its way.
const MAX_LOOKS: usize = 8;
/// The pages in which a history is searched.
const PAGE_SIZE: u32 = 1_000;

/// What the command server does with a command if its config does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// It refuses the command.
    Refuses,
    /// It makes the config if there never was one, and refuses the command if it was deleted.
    Creates,
    /// It brings the config back if it was deleted, and refuses the command if there never was one.
    BringsBack,
}

/// What a config is before a command.
enum Found {
    Live { version: u64 },
    Deleted,
    Never,
}

/// Sends a command if its config exists.
pub(crate) async fn send<C: OneConfig>(
    app: &App,
    asked: &Asked,
    command: C,
) -> Result<C::Answer, Problem> {
    let sent = match C::IF_MISSING {
        IfMissing::Refuses => app.upstreams.commands.send(&asked.along, command).await,
        IfMissing::Creates => change(app, asked, command).await,
        IfMissing::BringsBack => restore(app, asked, command).await,
    };
    sent.map_err(|error| match error.reason {
        Reason::ConfigNotFound
        | Reason::ConfigDeleted
        | Reason::ConfigAlreadyDeleted
        | Reason::VersionConflict => {
            conditional::failed("If-Match wants the config to exist", Some("*"), error)
        }
        _ => Problem::of_conditional(error),
    })
}

/// A config that there was once stays one that there was, so nothing can come between the look and
/// the command. One that there never was is not made, but the command server says first what else is
/// wrong with the command, and that its key is another command's.
async fn change<C: OneConfig>(
    app: &App,
    asked: &Asked,
    mut command: C,
) -> Result<C::Answer, ApiError> {
    if let Found::Never = look(app, asked, &command).await? {
        command.expect(Some(NO_VERSION));
    }
    app.upstreams.commands.send(&asked.along, command).await
}

/// A restore that comes just after a delete would undo it, so it expects the version that was found.
/// If another write was faster, it looks again.
async fn restore<C: OneConfig>(
    app: &App,
    asked: &Asked,
    mut command: C,
) -> Result<C::Answer, ApiError> {
    for _ in 0..MAX_LOOKS {
        let version = match look(app, asked, &command).await? {
            Found::Live { version } => version,
            // This writes nothing, but the command server says what else is wrong with it, or that
            // its key was used: a first attempt may have been written.
            Found::Deleted | Found::Never => NO_VERSION,
        };
        command.expect(Some(version));
        match app.upstreams.commands.send(&asked.along, command.clone()).await {
            Err(error) if error.reason == Reason::RequestIdReused => {
                return repeat(app, asked, command, error).await;
            }
            Err(error) if error.reason == Reason::VersionConflict && version != NO_VERSION => {}
            other => return other,
        }
    }
    let why = "the config changes faster than it can be restored; nothing was written";
    Err(ApiError::new(Reason::Unavailable, why))
}

/// A first attempt with this key expected another version: the one before what it made of it.
async fn repeat<C: OneConfig>(
    app: &App,
    asked: &Asked,
    mut command: C,
    reused: ApiError,
) -> Result<C::Answer, ApiError> {
    let Some(made) = version_made(app, asked, &command).await? else { return Err(reused) };
    command.expect(made.checked_sub(1));
    app.upstreams.commands.send(&asked.along, command).await
}

/// The version of the config that was made under the key of a command.
async fn version_made<C: OneConfig>(
    app: &App,
    asked: &Asked,
    command: &C,
) -> Result<Option<u64>, ApiError> {
    let read = command.read();
    let mut query = HistoryRequest {
        namespace: read.namespace,
        name: read.name,
        order: HistoryOrder::NewestFirst.into(),
        page_size: PAGE_SIZE,
        consistency: Some(linearizable()),
        ..HistoryRequest::default()
    };
    // Bounded by the deadline.
    loop {
        let page = app.upstreams.queries.ask(&asked.along, query.clone()).await?;
        let made = page.events.iter().find(|event| event.request_id == command.request_id());
        if made.is_some() || page.next_page_token.is_empty() {
            return Ok(made.map(|event| event.version));
        }
        query.page_token = page.next_page_token;
    }
}

/// What the config is, at or after everything acknowledged.
async fn look<C: OneConfig>(app: &App, asked: &Asked, command: &C) -> Result<Found, ApiError> {
    let mut read = command.read();
    read.consistency = Some(linearizable());
    match app.upstreams.queries.ask(&asked.along, read).await {
        Ok(answer) => {
            let config = answer.config.ok_or(Reason::Internal)?;
            Ok(Found::Live { version: config.version })
        }
        Err(error) if error.reason == Reason::ConfigNotFound => {
            let was_there = error.metadata.contains_key(key::DELETED);
            Ok(if was_there { Found::Deleted } else { Found::Never })
        }
        Err(error) => Err(error),
    }
}
