//! Statuses that none of our servers wrote: from the transport, from a proxy, or from a server that
//! is newer or older. They are understood by their code, and always on the careful side.

use std::error::Error;
use std::iter;

use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::{ApiError, Reason};

/// The sentence of a query that nobody could answer. That of the reason tells what became of a
/// command, and a query writes nothing.
const UNAVAILABLE_TO_QUERIES: &str = "the server cannot serve this now";

/// The sentence of a call that whoever answered does not know, so that nothing was done. An address may lead
/// to a server of the other kind, or to one that is to be replaced by a newer one.
const NO_SUCH_CALL: &str =
    "the server that was asked knows no such call; it is of another kind or of an older version";

/// A foreign answer to a query.
pub(crate) fn query_error(status: &Status) -> ApiError {
    let reason = if caused_by::<TimeoutExpired>(status) {
        Reason::DeadlineExceeded
    } else if status.source().is_some() {
        // The transport broke, whatever code it made up for that; another connection may do better.
        Reason::Unavailable
    } else {
        reason(status.code())
    };
    let sentence = match reason {
        Reason::Unavailable => UNAVAILABLE_TO_QUERIES,
        other => other.sentence(),
    };
    error(reason, sentence, status)
}

/// A foreign answer to a command. Who wrote it may not know what became of the command.
pub(crate) fn command_error(status: &Status) -> ApiError {
    let reason = if caused_by::<ConnectError>(status) {
        Reason::Unavailable
    } else if may_have_arrived(status) {
        Reason::OutcomeUnknown
    } else {
        reason(status.code())
    };
    error(reason, reason.sentence(), status)
}

fn error(reason: Reason, sentence: &str, status: &Status) -> ApiError {
    let knows_it = status.source().is_some() || status.code() != Code::Unimplemented;
    let sentence = if knows_it { sentence } else { NO_SUCH_CALL };
    match status.message() {
        "" => ApiError::new(reason, sentence),
        message => ApiError::new(reason, format!("{sentence}: {message}")),
    }
}

fn reason(code: Code) -> Reason {
    match code {
        // What a server answers to a message that is too large for it.
        Code::InvalidArgument | Code::OutOfRange => Reason::InvalidArgument,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::Unauthenticated => Reason::Unauthenticated,
        Code::PermissionDenied => Reason::PermissionDenied,
        Code::ResourceExhausted => Reason::LimitExceeded,
        Code::Unavailable | Code::Unimplemented => Reason::Unavailable,
        // Not CONFIG_NOT_FOUND: a proxy that has lost its way must not make configs disappear.
        Code::NotFound
        | Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss => Reason::Internal,
    }
}

/// Whether a command may have reached a server although its call ended like this. A status with a
/// cause was made up here, when the transport broke; one without came over the wire.
fn may_have_arrived(status: &Status) -> bool {
    status.source().is_some()
        || matches!(
            status.code(),
            Code::Cancelled
                | Code::Unknown
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        )
}

fn caused_by<E: Error + 'static>(status: &Status) -> bool {
    iter::successors(status.source(), |&error| error.source()).any(<dyn Error>::is::<E>)
}
