//! The committer's refusals as the errors that callers see.

use configapi_domain::{BrokenRule, ConfigKey, RequestId};
use configapi_proto::{ApiError, Reason, key};

use crate::committer::Refusal;

/// What the caller is told. `is_group`: the caller sent many commands and must learn which one was
/// refused. `request_id`: the id under which the caller can repeat its request.
pub(crate) fn api_error(
    refusal: Refusal,
    is_group: bool,
    request_id: Option<RequestId>,
) -> ApiError {
    let message = refusal.to_string();
    match refusal {
        Refusal::Rule { index, key, rule } => {
            let error = broken_rule(&key, &rule);
            if is_group { error.with_metadata(key::COMMAND_INDEX, index) } else { error }
        }
        Refusal::RequestIdReused => ApiError::new(Reason::RequestIdReused, message)
            .with_precondition("request_id", "belongs to a different command; choose a new one"),
        Refusal::QueueFull => ApiError::new(Reason::LimitExceeded, message),
        // Coming again would not help, so this is not the limit that callers wait for.
        Refusal::TooLarge { .. } => ApiError::invalid("commands", message),
        Refusal::DeadlineExceeded => ApiError::new(Reason::DeadlineExceeded, message),
        Refusal::OutcomeUnknown => outcome_unknown(request_id),
        Refusal::Unavailable(_) | Refusal::NotCompared => {
            tracing::debug!("a command was refused: {message}");
            ApiError::new(
                Reason::Unavailable,
                "the log cannot be written at the moment; nothing was written, try again",
            )
        }
        Refusal::LogChanged => ApiError::new(
            Reason::LogChanged,
            "the log was restored or lost its tail under this server; nothing was written, and \
             nothing will be until an operator brings the log back or begins a new epoch",
        )
        .with_precondition("log", "must hold everything that this server wrote"),
        Refusal::ToldTooLate { .. } => ApiError::new(
            Reason::LogChanged,
            format!(
                "{message}: what lies before it has had two meanings; nothing was written, and nothing \
                 will be until an operator brings the lost events back, in a later epoch, or, if the log \
                 is right as it is, starts the server anew"
            ),
        )
        .with_precondition("log", "must hold everything that this server wrote"),
        Refusal::LogRefused(_) => {
            ApiError::new(Reason::LogChanged, format!("{message}; nothing was written"))
                .with_precondition("log", "must hold everything that this server has read")
        }
        Refusal::AnotherLog { .. } => ApiError::new(
            Reason::LogChanged,
            format!(
                "{message}; nothing was written, and nothing will be until an operator brings that \
                 one back or, if this one is right, starts the server anew"
            ),
        )
        .with_precondition("store", "must hold the log that this server wrote"),
        Refusal::Broken(why) => {
            tracing::error!(reason = %why, "a command cannot be recorded");
            Reason::Internal.into()
        }
    }
}

fn outcome_unknown(request_id: Option<RequestId>) -> ApiError {
    match request_id {
        Some(id) => ApiError::new(
            Reason::OutcomeUnknown,
            "it is not known whether the command was written; repeat it with the same request id",
        )
        .with_metadata(key::REQUEST_ID, id),
        None => ApiError::new(
            Reason::OutcomeUnknown,
            "it is not known whether the command was written; it had no request id, so read the \
             config before you repeat it",
        ),
    }
}

fn broken_rule(key: &ConfigKey, rule: &BrokenRule) -> ApiError {
    let reason = match rule {
        BrokenRule::NotFound => Reason::ConfigNotFound,
        BrokenRule::AlreadyDeleted { .. } => Reason::ConfigAlreadyDeleted,
        BrokenRule::Deleted { .. } => Reason::ConfigDeleted,
        BrokenRule::VersionConflict { .. } => Reason::VersionConflict,
        BrokenRule::RestoreRefused(_) => Reason::RestoreRefused,
    };
    let error = ApiError::new(reason, format!("{key}: {rule}"))
        .with_metadata(key::NAMESPACE, key.namespace())
        .with_metadata(key::NAME, key.name());
    match rule {
        BrokenRule::NotFound => error,
        BrokenRule::AlreadyDeleted { version } | BrokenRule::Deleted { version } => error
            .with_metadata(key::DELETED_VERSION, version)
            .with_precondition(key.stream(), rule.to_string()),
        BrokenRule::VersionConflict { expected, actual } => error
            .with_metadata(key::EXPECTED_VERSION, expected)
            .with_metadata(key::ACTUAL_VERSION, actual),
        BrokenRule::RestoreRefused(_) => error.with_precondition(key.stream(), rule.to_string()),
    }
}
