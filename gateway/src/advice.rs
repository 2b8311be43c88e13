//! What a client does about each kind of problem, for the documentation page.

use configapi_proto::Reason;

use crate::problem::Code;

impl Code {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Reason(reason) => of_reason(reason),
            Self::NoSuchRoute => "Look at the path: a / within a name travels as %2F",
            Self::MethodNotAllowed => "The header Allow says which methods the path has",
            Self::BodyTooLarge => "A value has at most 1,000,000 bytes",
            Self::UnsupportedMediaType => "The detail says which forms are understood",
            Self::OriginNotAllowed => {
                "The operator can allow it with the setting CONFIGAPI_GATEWAY_CORS_ORIGINS"
            }
            Self::HostNotAllowed => {
                "Call it by its address, or let the operator name it in CONFIGAPI_GATEWAY_HOSTS"
            }
            Self::RequestTimeout => "Send the body without long pauses; nothing was written",
        }
    }
}

fn of_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidArgument => "The member errors names the parts and what they want",
        Reason::ConfigNotFound => {
            "If the metadata says deleted, its history is still there and restore brings it back"
        }
        Reason::ConfigAlreadyDeleted => "There is nothing left to do",
        Reason::ConfigDeleted => {
            "What was deleted on purpose comes back only on purpose: restore it first"
        }
        Reason::RestoreRefused => {
            "The config had no value at that moment, or it is live and no moment was named"
        }
        Reason::VersionConflict => {
            "Somebody else was faster, see actual_version; read the config again and decide anew \
             (409, or 412 for If-Match and If-None-Match)"
        }
        Reason::RequestIdReused => "Choose a new Idempotency-Key for a new command",
        Reason::Unauthenticated => "Say who you are",
        Reason::PermissionDenied => "Ask an operator for permission",
        Reason::LimitExceeded | Reason::Unavailable => "Come again after Retry-After seconds",
        Reason::OutcomeUnknown => {
            "Repeat the command with the same Idempotency-Key; without one, read the config first"
        }
        Reason::LogChanged => {
            "The log was restored or lost its tail. Of a read: forget the token and read the state \
             anew. Of a write: nothing was written; tell an operator"
        }
        Reason::DeadlineExceeded => "Come again, or wait longer with Prefer: wait=N",
        Reason::Internal => "Tell an operator the request_id; the logs know more",
    }
}
