//! The answers that the edge gives by itself. Fixed sentences: nothing of the request but its id,
//! and no inner cause, is in them.

use configapi_proto::{ApiError, Reason};
use tonic::Status;

use super::edge::Call;

/// The call's deadline is over.
pub(super) fn deadline_exceeded() -> Status {
    ApiError::from(Reason::DeadlineExceeded).into()
}

/// As many calls as allowed are waiting for their answer.
pub(super) fn limit_exceeded() -> Status {
    let sentence = "the server has as many calls in work as it takes; try again a little later";
    ApiError::new(Reason::LimitExceeded, sentence).into()
}

/// The header `grpc-timeout` is not one.
pub(super) fn bad_timeout() -> Status {
    ApiError::invalid("grpc-timeout", "wants 1 to 8 digits and one of H M S m u n").into()
}

/// The handler panicked.
pub(super) fn internal(call: &Call) -> Status {
    let (sentence, request_id) = (Reason::Internal.sentence(), call.request_id());
    ApiError::new(Reason::Internal, format!("{sentence} (request id {request_id})")).into()
}
