//! Why a request failed: the closed list, and what each reason is called in gRPC, in HTTP and as an
//! exit code of the command line. No other file knows these numbers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tonic::Code;

/// Why a request failed. A reason exists because a caller acts on it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A field of the request is wrong.
    InvalidArgument,
    /// The config does not exist, or did not at the moment asked about.
    ConfigNotFound,
    /// Delete of a config that is deleted.
    ConfigAlreadyDeleted,
    /// Set on a config that was deleted on purpose.
    ConfigDeleted,
    /// There is no value that a Restore could bring back.
    RestoreRefused,
    /// The config is not at the version that the caller expected.
    VersionConflict,
    /// The request id belongs to a different command.
    RequestIdReused,
    /// Who is asking is not known.
    Unauthenticated,
    /// Who is asking may not.
    PermissionDenied,
    /// A bound was reached; it passes.
    LimitExceeded,
    /// The server cannot serve at the moment. Nothing was written.
    Unavailable,
    /// A command may or may not have been written.
    OutcomeUnknown,
    /// The log is not the one that a token, or the server, knew.
    LogChanged,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// A fault in the server.
    Internal,
}

/// A text that names no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason that this version knows")]
pub struct UnknownReason;

/// Exit code: the request was refused, and will be again as it stands.
const REFUSED: u8 = 1;
/// Exit code: the system could not answer now; a repeat may help.
const TRY_AGAIN: u8 = 3;
/// Exit code: a fault in the software (`EX_SOFTWARE`).
const FAULT: u8 = 70;

/// What a caller is told to wait when nobody knows better.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Reason {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::InvalidArgument,
        Self::ConfigNotFound,
        Self::ConfigAlreadyDeleted,
        Self::ConfigDeleted,
        Self::RestoreRefused,
        Self::VersionConflict,
        Self::RequestIdReused,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::LimitExceeded,
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::LogChanged,
        Self::DeadlineExceeded,
        Self::Internal,
    ];

    /// What the reason is called in gRPC, in HTTP, and as an exit code.
    const fn codes(self) -> (Code, u16, u8) {
        match self {
            Self::InvalidArgument => (Code::InvalidArgument, 400, REFUSED),
            Self::ConfigNotFound => (Code::NotFound, 404, REFUSED),
            Self::ConfigAlreadyDeleted => (Code::FailedPrecondition, 410, REFUSED),
            Self::ConfigDeleted | Self::RestoreRefused => (Code::FailedPrecondition, 409, REFUSED),
            Self::VersionConflict => (Code::Aborted, 409, REFUSED),
            Self::RequestIdReused => (Code::FailedPrecondition, 422, REFUSED),
            Self::Unauthenticated => (Code::Unauthenticated, 401, REFUSED),
            Self::PermissionDenied => (Code::PermissionDenied, 403, REFUSED),
            Self::LimitExceeded => (Code::ResourceExhausted, 429, TRY_AGAIN),
            Self::Unavailable | Self::OutcomeUnknown => (Code::Unavailable, 503, TRY_AGAIN),
            Self::LogChanged => (Code::FailedPrecondition, 409, TRY_AGAIN),
            Self::DeadlineExceeded => (Code::DeadlineExceeded, 504, TRY_AGAIN),
            Self::Internal => (Code::Internal, 500, FAULT),
        }
    }

    /// The reason as machines read it, such as `VERSION_CONFLICT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::ConfigNotFound => "CONFIG_NOT_FOUND",
            Self::ConfigAlreadyDeleted => "CONFIG_ALREADY_DELETED",
            Self::ConfigDeleted => "CONFIG_DELETED",
            Self::RestoreRefused => "RESTORE_REFUSED",
            Self::VersionConflict => "VERSION_CONFLICT",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::LogChanged => "LOG_CHANGED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The reason as people read it: the fixed sentence for when there is nothing to add.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::InvalidArgument => "the request is not valid",
            Self::ConfigNotFound => "the config does not exist",
            Self::ConfigAlreadyDeleted => "the config is deleted already",
            Self::ConfigDeleted => "the config was deleted; bring it back with Restore",
            Self::RestoreRefused => "there is no value to restore",
            Self::VersionConflict => "the config is not at the expected version",
            Self::RequestIdReused => "the request id belongs to a different command",
            Self::Unauthenticated => "credentials are needed",
            Self::PermissionDenied => "these credentials do not allow this",
            Self::LimitExceeded => "the server is full; try again later",
            Self::Unavailable => "the server cannot serve this now; nothing was written",
            Self::OutcomeUnknown => {
                "the command may or may not have been written; repeat it with the same request id"
            }
            Self::LogChanged => "the log is not the one that was known; read the state anew",
            Self::DeadlineExceeded => "the deadline passed",
            Self::Internal => "a fault in the server",
        }
    }

    /// The gRPC status code.
    pub const fn code(self) -> Code {
        self.codes().0
    }

    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        self.codes().1
    }

    /// The HTTP status for a request that came with `If-Match` or `If-None-Match`: a conflict is
    /// then the failure of what the client itself made a precondition.
    pub const fn http_status_conditional(self) -> u16 {
        match self {
            Self::VersionConflict => 412,
            other => other.http_status(),
        }
    }

    /// The exit code of the command line.
    pub const fn exit_code(self) -> u8 {
        self.codes().2
    }

    /// Whether it is certain that a command that failed for this reason has written nothing.
    pub const fn nothing_written(self) -> bool {
        !matches!(self, Self::OutcomeUnknown | Self::Internal)
    }

    /// Whether the same request, unchanged, may succeed later. A command is safe to repeat if it
    /// has a request id.
    pub const fn worth_repeating(self) -> bool {
        matches!(
            self,
            Self::LimitExceeded | Self::Unavailable | Self::OutcomeUnknown | Self::DeadlineExceeded
        )
    }

    /// How long to wait before trying again, unless the server knows better.
    pub(crate) const fn default_retry_after(self) -> Option<Duration> {
        match self {
            Self::LimitExceeded | Self::Unavailable | Self::OutcomeUnknown => {
                Some(DEFAULT_RETRY_AFTER)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}
