//! What a driver's error means to us. Errors are recognised here and nowhere else: by SQLite's
//! extended result code and, for what is taken, by the words of the schema's
//! own trigger, or by the key that SQLite names.

use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, LogError};
use sqlx::error::DatabaseError;

/// What went wrong, as far as anybody acts on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The position is taken.
    PositionTaken,
    /// The request id is taken.
    RequestIdTaken,
    /// Another rule of the schema refuses the rows.
    Refused(String),
    /// The statement was not begun, or was rolled back: busy, full, out of memory, cannot open.
    NotDone(String),
    /// The file is no database, or a broken one.
    Broken(String),
    /// The disk failed, or we lost sight of the connection: what became of it is not known.
    Unclear(String),
}

/// Extended result codes of SQLite that we tell apart; the low byte is the primary code.
mod code {
    pub(super) const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
    pub(super) const CONSTRAINT_TRIGGER: i32 = 1811;
    pub(super) const ERROR: i32 = 1;
    pub(super) const PERMISSION: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NO_MEMORY: i32 = 7;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const INTERRUPTED: i32 = 9;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const TOO_BIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const NOT_A_DATABASE: i32 = 26;
}

impl Fault {
    /// The one place where driver errors are told apart.
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_database(&**error),
            sqlx::Error::PoolTimedOut => {
                Self::NotDone("another writer of this process holds the log too long".to_owned())
            }
            sqlx::Error::PoolClosed | sqlx::Error::BeginFailed => Self::NotDone(error.to_string()),
            other => Self::Unclear(other.to_string()),
        }
    }

    fn of_database(error: &dyn DatabaseError) -> Self {
        let extended = extended_code(error);
        let text = error.message().to_owned();
        match (extended, extended & 0xFF) {
            (code::CONSTRAINT_TRIGGER, _) if text.ends_with("the position is taken") => {
                Self::PositionTaken
            }
            (code::CONSTRAINT_TRIGGER, _) if text.ends_with("the request id is taken") => {
                Self::RequestIdTaken
            }
            // The key behind the trigger, should somebody have dropped it.
            (code::CONSTRAINT_PRIMARY_KEY, _) if text.ends_with("events.position") => {
                Self::PositionTaken
            }
            (_, code::CONSTRAINT | code::TOO_BIG | code::MISMATCH) => Self::Refused(text),
            (
                _,
                code::BUSY
                | code::LOCKED
                | code::NO_MEMORY
                | code::READ_ONLY
                | code::PERMISSION
                | code::INTERRUPTED
                | code::FULL
                | code::CANNOT_OPEN,
            ) => Self::NotDone(text),
            (_, code::CORRUPT | code::NOT_A_DATABASE) => Self::Broken(text),
            // The schema is the one we know, by its number, and yet it is not all there.
            (_, code::ERROR) if text.starts_with("no such ") => Self::Broken(text),
            _ => Self::Unclear(text),
        }
    }

    fn text(self) -> String {
        match self {
            Self::PositionTaken => "the position is taken".to_owned(),
            Self::RequestIdTaken => "the request id is taken".to_owned(),
            Self::Refused(text)
            | Self::NotDone(text)
            | Self::Broken(text)
            | Self::Unclear(text) => text,
        }
    }
}

fn extended_code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether somebody else holds the file just now.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| extended_code(error) & 0xFF == code::BUSY)
}

/// The error of an append.
pub(crate) fn append_error(error: &sqlx::Error) -> AppendError {
    match Fault::of(error) {
        Fault::PositionTaken => AppendError::HeadMoved,
        Fault::RequestIdTaken => AppendError::RequestIdTaken,
        Fault::Refused(text) => AppendError::Refused(text),
        Fault::NotDone(text) | Fault::Broken(text) => AppendError::Unavailable(text),
        Fault::Unclear(text) => AppendError::Unknown(text),
    }
}

/// The error of an append that was not begun yet, so that nothing can be written.
pub(crate) fn not_begun(error: &sqlx::Error) -> AppendError {
    AppendError::Unavailable(Fault::of(error).text())
}

/// The error of anything else.
pub(crate) fn log_error(error: &sqlx::Error) -> LogError {
    match Fault::of(error) {
        Fault::Broken(text) => LogError::Unusable(text),
        other => LogError::Unavailable(other.text()),
    }
}

/// For a row that no version of this log may hold.
pub(crate) fn corrupt(position: u64, problem: &str) -> LogError {
    LogError::Corrupt { position: Position(position), problem: problem.to_owned() }
}
