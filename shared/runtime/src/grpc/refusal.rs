//! The answers that the edge gives by itself. Fixed sentences: nothing a caller sent and no inner
//! cause is in them.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::edge::Call;

/// The domain of our reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "configapi";

/// The call's deadline is over.
pub(super) fn deadline_exceeded(call: &Call) -> Status {
    refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline of this call is over", call)
}

/// The handler panicked.
pub(super) fn internal(call: &Call) -> Status {
    refusal(
        Code::Internal,
        "INTERNAL",
        "something went wrong inside the server; its log has more under the request id",
        call,
    )
}

/// As many calls as allowed are waiting for their answer.
pub(super) fn limit_exceeded(call: &Call) -> Status {
    refusal(
        Code::ResourceExhausted,
        "LIMIT_EXCEEDED",
        "the server has as many calls in work as it takes; try again a little later",
        call,
    )
}

/// The header grpc-timeout is not one.
pub(super) fn bad_timeout(call: &Call) -> Status {
    let mut details = details("INVALID_ARGUMENT", call);
    details.add_bad_request_violation("grpc-timeout", "wants 1 to 8 digits and one of H M S m u n");
    Status::with_error_details(
        Code::InvalidArgument,
        "the header grpc-timeout cannot be understood",
        details,
    )
}

fn refusal(code: Code, reason: &str, sentence: &str, call: &Call) -> Status {
    Status::with_error_details(code, sentence, details(reason, call))
}

fn details(reason: &str, call: &Call) -> ErrorDetails {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_request_info(call.request_id(), "");
    details
}
