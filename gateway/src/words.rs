//! What a REST request calls what the contract calls otherwise. The servers name the fields of the
//! contract, which a client of REST has never seen: it is told the header, parameter or member of the
//! body that it sent. Nothing here is asked for unless something went wrong.

use configapi_proto::{ApiError, Reason};

/// The fields of all requests. Those that are missing have the same name on both sides.
const OF_REQUESTS: [(&str, &str); 18] = [
    // Of commands.
    ("request_id", "idempotency-key"),
    ("actor", "configapi-actor"),
    ("reason", "configapi-reason"),
    ("expected_version", "if-match"),
    ("target.version", "version"),
    ("target.time", "at"),
    ("target.position", "position"),
    // Of queries.
    ("consistency.at_least_token", "configapi-token"),
    ("page_size", "limit"),
    ("page_token", "cursor"),
    ("at.time", "at"),
    ("at.token", "at"),
    ("from.time", "from"),
    ("from.token", "from"),
    ("to.time", "to"),
    ("to.token", "to"),
    ("after_token", "after"),
    ("with_state_hash", "state_hash"),
];
/// The fields of one command of an Apply, which says all that it says in its body.
const OF_COMMANDS: [(&str, &str); 5] = [
    ("set.value", "value"),
    ("set.content_type", "content_type"),
    ("restore.target.version", "to.version"),
    ("restore.target.time", "to.at"),
    ("restore.target.position", "to.position"),
];

/// What the contract calls the name of a command in sentences, and what REST calls it. There the
/// `request_id` is that of the HTTP request, under which nothing can be repeated.
const REQUEST_ID: (&str, &str) = ("request id", "Idempotency-Key");

/// An error of a server as a client of REST understands it.
pub(crate) fn in_rest(mut error: ApiError) -> ApiError {
    for violation in &mut error.field_violations {
        if let Some(word) = word(&violation.field) {
            if let Some(rest) = error.message.strip_prefix(&violation.field) {
                error.message = format!("{word}{rest}");
            }
            violation.field = word;
        }
    }
    if matches!(error.reason, Reason::RequestIdReused | Reason::OutcomeUnknown) {
        error.message = error.message.replace(REQUEST_ID.0, REQUEST_ID.1);
    }
    error
}

/// The sentence of a reason, which is the same for every such problem.
pub(crate) const fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::RequestIdReused => "the Idempotency-Key belongs to a different command",
        Reason::OutcomeUnknown => {
            "the command may or may not have been written; repeat it with the same Idempotency-Key"
        }
        other => other.sentence(),
    }
}

/// What a field is called in REST, if it has another name there.
fn word(field: &str) -> Option<String> {
    if let Some((command, member)) = field.split_once("].")
        && command.starts_with("commands[")
    {
        return known(&OF_COMMANDS, member).map(|word| format!("{command}].{word}"));
    }
    known(&OF_REQUESTS, field).map(str::to_owned)
}

fn known(words: &[(&str, &'static str)], field: &str) -> Option<&'static str> {
    words.iter().find(|(of_contract, _)| *of_contract == field).map(|(_, word)| *word)
}
