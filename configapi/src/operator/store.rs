//! Opening a store, and telling its troubles.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{EventLog, Lineage, LogError};
use configapi_store::{Access, StoreUrl, WrongStoreUrl, open};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output::file::{beside, place};

/// What the names of the files of an SQLite database end with, after the database's own.
const DATABASE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// What to do about a log with a row in it that no log may hold.
pub const BAD_LOG: &str =
    "serve nothing from this log; docs/runbook.md says how to restore a backup";

/// Which store.
#[derive(Debug, Clone, Args)]
pub struct StoreArguments {
    /// Where the log is kept: `postgres://user@host/database` or `sqlite:path`
    #[arg(
        long,
        env = "CONFIGAPI_STORE",
        hide_env_values = true,
        value_name = "URL",
        value_parser = lasting,
        default_value = "sqlite:data/configapi.db"
    )]
    pub store: StoreUrl,
}

/// Reads where a log is kept. What it says of a text that names no store names only those that last.
fn lasting(text: &str) -> Result<StoreUrl, String> {
    text.parse().map_err(|wrong| match wrong {
        WrongStoreUrl::Empty => {
            "is empty; give postgres://user@host/database or sqlite:path".to_owned()
        }
        WrongStoreUrl::NoStore => "is neither postgres://user@host/database nor sqlite:path (no \
                                   URI, no :name:)"
            .to_owned(),
        WrongStoreUrl::Postgres(why) => why.to_string(),
    })
}

impl StoreArguments {
    /// Opens the log for reading what is there; nothing is made and nothing is changed.
    pub async fn open_for_reading(&self) -> Result<Arc<dyn EventLog>, Failure> {
        self.must_last()?;
        open(&self.store, Access::ReadOnce, now()).await.map_err(|error| self.failure(&error))
    }

    /// A log in memory would be gone before anybody could use it.
    pub fn must_last(&self) -> Result<(), Failure> {
        match self.store {
            StoreUrl::Memory => Err(Failure::usage("memory: is no store for this")
                .with_hint("name a store that lasts: postgres://… or sqlite:path")),
            StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => Ok(()),
        }
    }

    /// The end of this log is missing.
    pub fn lacks_its_end(&self, lineage: &Lineage, head: Position, lost: Position) -> Failure {
        Failure::refused(format!(
            "{}: the log ends at position {head}, and its epoch {} began after position {lost}",
            self.store,
            lineage.current()
        ))
        .with_hint(
            "a restore that was interrupted goes on with `configapi restore-backup --resume`; if the \
             end is lost, docs/runbook.md says when to `configapi begin-epoch`",
        )
    }

    /// Refuses to write into the files in which the store is kept, whether or not they are there.
    pub fn must_not_be_kept_in(&self, target: &Path) -> Result<(), Failure> {
        let StoreUrl::Sqlite(database) = &self.store else { return Ok(()) };
        let (database, found) = (place(database), place(target));
        if DATABASE_FILES.iter().all(|suffix| found != beside(&database, suffix)) {
            return Ok(());
        }
        let message = format!("{} is a file of the store itself", target.display());
        Err(Failure::refused(message).with_hint("nothing was written to it; name another file"))
    }

    /// What went wrong with this store when a log was to be made in it, or brought up to date.
    pub fn cannot_make(&self, error: &LogError) -> Failure {
        let failure = self.failure(error);
        match (error, &self.store) {
            (LogError::Unusable(_), StoreUrl::Postgres(_)) => failure.with_hint(
                "where a right is missing: it needs a role that owns the schema `configapi`, or may \
                 create it",
            ),
            _ => failure,
        }
    }

    /// What went wrong with this store.
    pub fn failure(&self, error: &LogError) -> Failure {
        let message = format!("{}: {error}", self.store);
        match error {
            LogError::Unavailable(_) => Failure::try_again(message)
                .with_hint("is it running, and is CONFIGAPI_STORE or --store what you mean?"),
            LogError::Corrupt { .. } => Failure::refused(message).with_hint(BAD_LOG),
            LogError::Unusable(_) => Failure::refused(message),
        }
    }
}

/// Now, in UTC.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// A time as RFC 3339, in UTC, with all six digits of its microseconds; none if it cannot be written so.
pub fn written(time: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(time.0).ok().map(|time| format!("{time:.6}"))
}

/// A bar on stderr, if that is a terminal, of so many events.
pub fn progress(events: u64) -> ProgressBar {
    const TEMPLATE: &str = "{bar:40} {human_pos}/{human_len} events ({per_sec}, {eta} left)";
    let style =
        ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(events).with_style(style)
}
