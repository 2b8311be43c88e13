//! What the driver's errors mean to us, decided in one place, by SQLSTATE and constraint name.

use configapi_event_log::{AppendError, LogError};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What went wrong with a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// A position is taken, or a transaction lost against another one. For a writer that means that
    /// somebody appended first.
    #[error("{0}")]
    PositionTaken(String),
    /// A version of a stream is taken. So may the position be; whoever asks is told.
    #[error("{0}")]
    VersionTaken(String),
    /// A request id is taken.
    #[error("a request id is in the log already")]
    RequestIdTaken,
    /// The database refuses these very rows. Nothing was done.
    #[error("{0}")]
    Refused(String),
    /// The database is at a limit of its own: these rows are too much for it, or it has no room for another
    /// notification. Nothing was done.
    #[error("{0}")]
    AtLimit(String),
    /// The database refuses for now. Nothing was done.
    #[error("{0}")]
    NotNow(String),
    /// The session takes no writes, as that of a standby, or by its defaults. Nothing was done.
    #[error("{0}")]
    ReadOnly(String),
    /// No answer, or a server that went down while it answered: what was under way may be done.
    #[error("{0}")]
    Lost(String),
    /// The server is in an older epoch than the newest that was seen: it was left behind.
    #[error("{0}")]
    Behind(String),
    /// The database is not what this program works with.
    #[error("{0}")]
    Unusable(String),
    /// There is no log in the database.
    #[error("{0}")]
    NoSchema(String),
    /// The server does not know a statement that was prepared: a pooler stands between us.
    #[error("{0}")]
    StatementsMixedUp(String),
    /// The database does not copy rows out; it may well select them.
    #[error("{0}")]
    CopyRefused(String),
    /// The content of a row is not what this log may hold.
    #[error("{0}")]
    Corrupt(LogError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let Some(refusal) = database_error(&error) else { return without_answer(&error) };
        let text = format!("{} (SQLSTATE {})", refusal.message(), refusal.code());
        // An error undoes its transaction for certain. When a server goes down, or panics, its
        // last words may come after a commit that it did not get round to acknowledge.
        if matches!(refusal.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
            return match refusal.code() {
                "28000" | "28P01" | "3D000" | "42501" => Self::Unusable(text),
                "53300" | "57P03" => Self::NotNow(text),
                _ => Self::Lost(text),
            };
        }
        by_code(refusal, text)
    }
}

fn by_code(refusal: &PgDatabaseError, text: String) -> Trouble {
    match (refusal.code(), refusal.constraint()) {
        ("23505", Some("events_position_key" | "epochs_key")) | ("40001" | "40P01", _) => {
            Trouble::PositionTaken(text)
        }
        ("23505", Some("events_stream_version_key")) => Trouble::VersionTaken(text),
        ("23505", Some("events_request_id_key")) => Trouble::RequestIdTaken,
        ("26000" | "42P05", _) => Trouble::StatementsMixedUp(text),
        // The database names the routine that found it. A pooler that lost its server says the same
        // without one, and what became of the statement is not known.
        ("08P01", _) if refusal.routine().is_some() => Trouble::StatementsMixedUp(text),
        // What engines say that commit by several nodes, of a commit that one did not answer.
        ("40003", _) => Trouble::Lost(text),
        ("54000", _) => Trouble::AtLimit(text),
        ("42P01" | "3F000", _) => Trouble::NoSchema(text),
        ("42501", _) => Trouble::Unusable(text),
        ("25006", _) => Trouble::ReadOnly(text),
        // Names are taken, or columns are not there: whoever made the schema made another one.
        ("42P07" | "42710" | "42723" | "42703" | "42883", _) => Trouble::Unusable(format!(
            "the schema `configapi` holds something else than a log: {text}"
        )),
        (code, _) => match code.get(..2) {
            Some("22" | "23" | "54") => Trouble::Refused(text),
            Some("08" | "58" | "XX") => Trouble::Lost(text),
            _ => Trouble::NotNow(text),
        },
    }
}

fn without_answer(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Configuration(_) => {
            Trouble::Unusable("the URL's settings cannot be used".to_owned())
        }
        sqlx::Error::Tls(problem) => Trouble::Unusable(format!("TLS: {problem}")),
        sqlx::Error::Encode(problem) => Trouble::Refused(problem.to_string()),
        sqlx::Error::Io(problem) => Trouble::Lost(format!("the connection failed: {problem}")),
        sqlx::Error::Protocol(problem) => {
            Trouble::Lost(format!("the connection failed: {problem}"))
        }
        other => Trouble::Lost(other.to_string()),
    }
}

/// What the database itself said, if it said anything.
pub(crate) fn database_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

impl Trouble {
    /// What it means that no connection came about to a server at this place.
    pub(crate) fn of_connecting(error: sqlx::Error, place: &str) -> Self {
        match &error {
            sqlx::Error::Io(problem) => Self::Lost(format!("cannot connect to {place}: {problem}")),
            sqlx::Error::Protocol(problem) => {
                // Behind it the driver names a place in its own source.
                let problem = problem.split(" (sqlx").next().unwrap_or_default();
                Self::Lost(format!(
                    "what answers at {place} is no PostgreSQL, or wants what this program does not \
                     know: {problem}"
                ))
            }
            _ => error.into(),
        }
    }

    /// That a bound was reached.
    pub(crate) fn timed_out(what: &str) -> Self {
        Self::Lost(format!("no answer in time: {what}"))
    }

    /// The same of making a connection.
    pub(crate) fn timed_out_connecting(place: &str) -> Self {
        Self::timed_out(&format!("connecting to {place}"))
    }

    /// What it means that a COPY was not begun. A database that does not know it says that it is not
    /// supported, not right or not allowed, or answers something else.
    pub(crate) fn of_copy(error: sqlx::Error) -> Self {
        let code = database_error(&error).map(PgDatabaseError::code);
        match (code, &error) {
            (Some("0A000" | "42601" | "42501"), _) | (None, sqlx::Error::Protocol(_)) => {
                Self::CopyRefused(error.to_string())
            }
            _ => error.into(),
        }
    }

    /// That this server takes no writes.
    pub(crate) fn read_only_standby() -> Self {
        Self::NotNow("the server is a read-only standby".to_owned())
    }

    /// Whether the connection is as good as before: an answered error, outside a transaction.
    pub(crate) fn leaves_connection_sound(&self) -> bool {
        match self {
            Self::PositionTaken(_)
            | Self::VersionTaken(_)
            | Self::RequestIdTaken
            | Self::Refused(_)
            | Self::AtLimit(_)
            | Self::NotNow(_) => true,
            Self::ReadOnly(_)
            | Self::Lost(_)
            | Self::Behind(_)
            | Self::Unusable(_)
            | Self::NoSchema(_)
            | Self::StatementsMixedUp(_)
            | Self::CopyRefused(_)
            | Self::Corrupt(_) => false,
        }
    }

    /// What it means for an append whose transaction certainly ended with the error, or had not
    /// been asked to commit yet.
    pub(crate) fn of_unfinished_append(self) -> AppendError {
        match self {
            Self::PositionTaken(_) => AppendError::HeadMoved,
            Self::RequestIdTaken => AppendError::RequestIdTaken,
            Self::Refused(why) | Self::AtLimit(why) | Self::VersionTaken(why) => {
                AppendError::Refused(why)
            }
            Self::NotNow(why)
            | Self::ReadOnly(why)
            | Self::Lost(why)
            | Self::Behind(why)
            | Self::Unusable(why)
            | Self::NoSchema(why)
            | Self::StatementsMixedUp(why)
            | Self::CopyRefused(why) => AppendError::Unavailable(why),
            Self::Corrupt(error) => AppendError::Unavailable(error.to_string()),
        }
    }

    /// What it means for an append that commits by itself: without an answer it is unknown.
    pub(crate) fn of_append(self) -> AppendError {
        match self {
            Self::Lost(why) => AppendError::Unknown(why),
            other => other.of_unfinished_append(),
        }
    }
}

impl From<Trouble> for LogError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Corrupt(error) => error,
            Trouble::Unusable(why) => Self::Unusable(why),
            Trouble::NoSchema(why) => Self::Unusable(format!(
                "{why}; create the log with `configapi migrate`, or let a command server do it"
            )),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
