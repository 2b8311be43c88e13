//! A failed request as every edge tells it: reason, sentence, violations, metadata. It must never
//! hold a value or a secret, and it is bounded, because it travels in headers.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::v1::SetManyFailure;
use crate::{Reason, foreign};

/// The domain of every reason, as `google.rpc.ErrorInfo` wants it.
pub const ERROR_DOMAIN: &str = "configapi";

/// The most violations of a kind that one error tells; clients bound their headers at 8 KiB.
const MAX_VIOLATIONS: usize = 8;
/// The longest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 512;
/// The longest description of a violation, and the longest metadata value, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// The keys of an error's metadata.
pub mod key {
    /// The version that the caller expected, of `VERSION_CONFLICT`.
    pub const EXPECTED_VERSION: &str = "expected_version";
    /// The version that the config is at, of `VERSION_CONFLICT`.
    pub const ACTUAL_VERSION: &str = "actual_version";
    /// `true` in a `CONFIG_NOT_FOUND` about a config that was deleted.
    pub const DELETED: &str = "deleted";
    /// The version of the delete.
    pub const DELETED_VERSION: &str = "deleted_version";
    /// Which command of an Apply was refused, counted from 0.
    pub const COMMAND_INDEX: &str = "command_index";
    /// The namespace of the config.
    pub const NAMESPACE: &str = "namespace";
    /// The name of the config.
    pub const NAME: &str = "name";
    /// The token that the server has reached, that a watch can be resumed from, or that a
    /// `CONFIG_NOT_FOUND` is about.
    pub const TOKEN: &str = "token";
    /// The token that the server has reached, of `UNAVAILABLE`; of watches as well, whose `token` is
    /// another.
    pub const REACHED_TOKEN: &str = "reached_token";
    /// The token that the log does not hold any more, of `LOG_CHANGED`.
    pub const LOST_TOKEN: &str = "lost_token";
    /// The id to repeat a command with.
    pub const REQUEST_ID: &str = "request_id";
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people. It may be shown to anybody.
    pub message: String,
    /// The fields that are wrong, of `INVALID_ARGUMENT`.
    pub field_violations: Vec<FieldViolation>,
    /// What is not as it would have to be.
    pub precondition_violations: Vec<PreconditionViolation>,
    /// Details that depend on the reason; see [`key`].
    pub metadata: BTreeMap<Cow<'static, str>, String>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field as the contract names it, such as `commands[3].name`.
    pub field: String,
    /// What the field wants, such as `must be 1 to 256 bytes, has 300`.
    pub description: String,
}

/// Something that is not as it would have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreconditionViolation {
    /// The kind of condition: the reason's text.
    pub kind: String,
    /// What it is about, such as `default/billing/limit`.
    pub subject: String,
    /// What is wrong with it.
    pub description: String,
}

impl ApiError {
    /// An error with its own sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: cut(message.into(), MAX_MESSAGE_BYTES),
            field_violations: Vec::new(),
            precondition_violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: reason.default_retry_after(),
        }
    }

    /// A request with one wrong field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        let message = format!("{field}: {description}");
        Self::new(Reason::InvalidArgument, message).with_field_violation(field, description)
    }

    /// Names a field that is wrong. Those beyond the eighth are left out.
    #[must_use]
    pub fn with_field_violation(
        mut self,
        field: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        if self.field_violations.len() < MAX_VIOLATIONS {
            self.field_violations.push(FieldViolation {
                field: cut(field.into(), MAX_TEXT_BYTES),
                description: cut(description.into(), MAX_TEXT_BYTES),
            });
        }
        self
    }

    /// Names what another error says is wrong as well. All else stays as it was here.
    #[must_use]
    pub fn with_violations_of(mut self, other: Self) -> Self {
        for FieldViolation { field, description } in other.field_violations {
            self = self.with_field_violation(field, description);
        }
        self
    }

    /// Names what is not as it would have to be. Those beyond the eighth are left out.
    #[must_use]
    pub fn with_precondition(
        mut self,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        if self.precondition_violations.len() < MAX_VIOLATIONS {
            self.precondition_violations.push(PreconditionViolation {
                kind: self.reason.as_str().to_owned(),
                subject: cut(subject.into(), 2 * MAX_TEXT_BYTES),
                description: cut(description.into(), MAX_TEXT_BYTES),
            });
        }
        self
    }

    /// Adds a detail under one of the [`key`]s.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write numbers and texts, not borrows"
    )]
    pub fn with_metadata(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.insert(Cow::Borrowed(key), cut(value.to_string(), MAX_TEXT_BYTES));
        self
    }

    /// Says how long to wait before trying again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The failure of one item of a `SetMany` stream.
    pub fn into_set_many_failure(self, index: u64) -> SetManyFailure {
        SetManyFailure {
            index,
            reason: self.reason.as_str().to_owned(),
            message: self.message,
            metadata: self.metadata.into_iter().map(|(k, v)| (k.into_owned(), v)).collect(),
        }
    }

    /// What a query's status says. A status from somebody who does not speak this contract, such as
    /// a proxy or the transport, is understood by its code.
    pub fn from_status(status: &Status) -> Self {
        Self::of_our_server(status).unwrap_or_else(|| foreign::query_error(status))
    }

    /// What a command's status says. A status from somebody who does not speak this contract leaves
    /// it open whether the command was written, unless there was no connection to begin with.
    pub fn from_command_status(status: &Status) -> Self {
        Self::of_our_server(status).unwrap_or_else(|| foreign::command_error(status))
    }

    /// What the status says if one of our servers wrote it, whichever kind of server that is.
    pub fn of_our_server(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
        let mut error = Self::new(info.reason.parse().ok()?, status.message());
        error.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        for (key, value) in &info.metadata {
            error.metadata.insert(Cow::Owned(key.clone()), cut(value.clone(), MAX_TEXT_BYTES));
        }
        for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
            error = error.with_field_violation(&violation.field, &violation.description);
        }
        for violation in details.precondition_failure().iter().flat_map(|it| &it.violations) {
            error = error.with_precondition(&violation.subject, &violation.description);
        }
        Some(error)
    }
}

impl From<Reason> for ApiError {
    /// An error with the fixed sentence of its reason.
    fn from(reason: Reason) -> Self {
        Self::new(reason, reason.sentence())
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let metadata: HashMap<_, _> =
            error.metadata.into_iter().map(|(key, value)| (key.into_owned(), value)).collect();
        let mut details = ErrorDetails::new();
        details.set_error_info(error.reason.as_str(), ERROR_DOMAIN, metadata);
        for violation in error.field_violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        for violation in error.precondition_violations {
            details.add_precondition_failure_violation(
                violation.kind,
                violation.subject,
                violation.description,
            );
        }
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Self::with_error_details(error.reason.code(), error.message, details)
    }
}

/// Shortens a text to at most so many bytes, at the border of a character.
fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
