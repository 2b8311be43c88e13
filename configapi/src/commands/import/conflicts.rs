//! Changes that were not made because a config is not as it was compared with: what it is now tells
//! why. It was deleted; or it became what the file says, by a run before this one whose last changes
//! were still on their way; or somebody else changed it.

use configapi_proto::v1::command::Action;
use configapi_proto::v1::{ApplyRequest, Command};
use configapi_proto::{ApiError, Reason, key};

use super::digest::Digest;
use super::plan::Planner;
use super::present::Present;
use super::report::{Outcome, Refusal};
use crate::client::Queries;
use crate::failure::Failure;

/// Conflicts that are looked into; what a run before may have left on its way is less.
pub const MAX_CONFLICTS: usize = 16_384;

/// The most of a name that is repeated, in bytes: all of any that can be one.
const MAX_NAMED_BYTES: usize = 512;

const NONE_MADE: &str = "all changes are one: none of them was made";
const IN_PARTS: &str = "what is recorded of them, the values before included, is too much for one \
    change: --one-by-one makes each of them by itself; or import a part at a time, with --prefix";
const RUN_AGAIN: &str = "run the same import again: what was written counts as unchanged";
const CHANGED_MEANWHILE: &str =
    "somebody changed it meanwhile: run the same import again to see what differs now";

/// A change that met another version than the one it was compared with.
#[derive(Debug)]
pub struct Conflict {
    pub refusal: Refusal,
    /// What the config should have become.
    pub content: Digest,
}

impl Conflict {
    /// The digest of a value and its content type.
    pub fn content_of(value: &str, content_type: &str) -> Digest {
        Digest::of_content(Digest::of(value), content_type)
    }
}

/// Decides what became of the configs that conflicts were about.
pub async fn settle(
    mut outcome: Outcome,
    conflicts: Vec<Conflict>,
    queries: &Queries,
    planner: &Planner,
) -> Result<Outcome, Failure> {
    if conflicts.is_empty() {
        return Ok(outcome);
    }
    let present = planner.present.read_again(queries, &planner.namespace).await;
    let present = present.map_err(|failure| {
        let is_dry = planner.validate_only;
        if is_dry { failure } else { failure.with_hint(outcome.so_far()) }
    })?;
    for Conflict { mut refusal, content } in conflicts {
        match present.find(&refusal.name) {
            Some(known) if known.content() == content => outcome.found += 1,
            Some(_) => outcome.refuse(refusal),
            None => {
                Reason::ConfigDeleted.as_str().clone_into(&mut refusal.reason);
                "it was deleted; restore it first".clone_into(&mut refusal.message);
                outcome.refuse(refusal);
            }
        }
    }
    Ok(outcome)
}

/// What to say of changes that are one and were not made, or may not have been.
pub async fn explained(
    failure: Failure,
    request: &ApplyRequest,
    queries: &Queries,
    planner: &Planner,
) -> Result<Outcome, Failure> {
    // The server counts the changes, which nobody sees who looks at the file.
    let failure = failure.with_commands_named(|index| request.commands.get(index).map(name_of));
    let Some(error) = failure.error() else { return Err(failure.with_hint(NONE_MADE)) };
    match error.reason {
        Reason::VersionConflict => {
            let present = planner.present.read_again(queries, &planner.namespace).await;
            let present = present.map_err(|failure| failure.with_hint(NONE_MADE))?;
            conflicting(error, request, &present)
        }
        Reason::OutcomeUnknown => {
            let message = "it is not known whether the changes were made, which are one";
            Err(Failure::from(ApiError::new(error.reason, message)).with_hint(RUN_AGAIN))
        }
        Reason::DeadlineExceeded | Reason::Internal => Err(failure.with_hint(RUN_AGAIN)),
        Reason::InvalidArgument if is_too_much(error) => {
            Err(failure.with_hint(NONE_MADE).with_hint(IN_PARTS))
        }
        _ => Err(failure.with_hint(NONE_MADE)),
    }
}

/// Whether what is wrong is all of the changes together, not one of them.
fn is_too_much(error: &ApiError) -> bool {
    error.field_violations.iter().any(|violation| violation.field == "commands")
}

/// What a config is called where something is said of it. Not every text of a file is a name.
fn name_of(command: &Command) -> String {
    let end = command.name.floor_char_boundary(MAX_NAMED_BYTES);
    match &command.name[..end] {
        "" => "the config without a name".to_owned(),
        name if end < command.name.len() => format!("{name}…"),
        name => name.to_owned(),
    }
}

fn conflicting(
    error: &ApiError,
    request: &ApplyRequest,
    present: &Present,
) -> Result<Outcome, Failure> {
    let name = error.metadata.get(key::NAME).map(String::as_str).unwrap_or_default();
    if !name.is_empty() && present.find(name).is_none() {
        let message = format!("{name} was deleted ({})", Reason::ConfigDeleted);
        return Err(Failure::refused(message)
            .with_hint("bring it back with `configapi restore` first")
            .with_hint(NONE_MADE));
    }
    if request.commands.iter().all(|command| is_done(command, present)) {
        let found = u64::try_from(request.commands.len()).unwrap_or(u64::MAX);
        return Ok(Outcome { found, ..Outcome::default() });
    }
    Err(Failure::refused(format!("{} ({})", error.message, error.reason))
        .with_hint(CHANGED_MEANWHILE)
        .with_hint(NONE_MADE))
}

/// Whether a config is what a command would make of it.
fn is_done(command: &Command, present: &Present) -> bool {
    let (Some(Action::Set(set)), Some(known)) = (&command.action, present.find(&command.name))
    else {
        return false;
    };
    known.content() == Conflict::content_of(&set.value, &set.content_type)
}
