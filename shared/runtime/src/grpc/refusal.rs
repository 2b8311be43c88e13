//! The answers that the edge gives by itself. Fixed sentences: nothing of the request but its id and
//! the method that it named, and no inner cause, is in them.

use configapi_proto::{ApiError, Reason};
use tonic::{Code, Status};

use super::{edge::Call, reflection::Method};

/// The most of the path of a method that is not there that is said again.
const MAX_PATH_BYTES: usize = 200;

/// The call's deadline is over.
pub(super) fn deadline_exceeded() -> Status {
    ApiError::from(Reason::DeadlineExceeded).into()
}

/// There was no more of the request for too long.
pub(super) fn request_too_slow() -> Status {
    let sentence = "the request came too slowly; nothing was done";
    ApiError::new(Reason::DeadlineExceeded, sentence).into()
}

/// As many requests as allowed are still coming.
pub(super) fn arrivals_full() -> Status {
    let sentence = "as many requests are still coming as the server waits for; \
                    try again a little later, or begin less at once";
    ApiError::new(Reason::LimitExceeded, sentence).into()
}

/// As many calls as allowed are waiting for their answer.
pub(super) fn limit_exceeded() -> Status {
    let sentence = "the server has as many calls in work as it takes; try again a little later";
    ApiError::new(Reason::LimitExceeded, sentence).into()
}

/// Clients have yet to take as many bytes of answers as allowed.
pub(super) fn answers_full() -> Status {
    let sentence = "the server holds as many answers that were not taken yet as it can; \
                    try again a little later, or ask for less at once";
    ApiError::new(Reason::LimitExceeded, sentence).into()
}

/// Clients have begun as many bytes of requests as allowed without coming to their end.
pub(super) fn bodies_full() -> Status {
    let sentence = "the server holds as many bytes of requests that have not come to their end as it can; \
                    try again a little later, or send less at once";
    ApiError::new(Reason::LimitExceeded, sentence).into()
}

/// The header `grpc-timeout` is not one.
pub(super) fn bad_timeout() -> Status {
    ApiError::invalid("grpc-timeout", "wants 1 to 8 digits and one of H M S m u n").into()
}

/// It is no call, by the method of HTTP.
pub(super) fn not_posted() -> Status {
    ApiError::invalid(":method", "must be POST: this is a gRPC server").into()
}

/// It is no call, by what it says that its body is.
pub(super) fn other_content_type() -> Status {
    ApiError::invalid("content-type", "must be application/grpc: this is a gRPC server").into()
}

/// There is more in the request of a method that takes one message.
pub(super) fn second_message() -> Status {
    let sentence =
        "the request has more than the one message that the method takes; nothing was done";
    ApiError::new(Reason::InvalidArgument, sentence).into()
}

/// What a server says of itself to who asks for a method that it does not have.
pub(super) fn served(methods: &[Method], elsewhere: &str) -> String {
    let mut services: Vec<_> = methods.iter().map(|method| method.service.as_str()).collect();
    services.dedup();
    let served = format!("this server serves {}", services.join(", "));
    if elsewhere.is_empty() { served } else { format!("{served}; {elsewhere}") }
}

/// The server does not have the method at this path. The one refusal without a reason: what is missing
/// is the contract.
pub(super) fn unknown_method(path: &str, served: &str) -> Status {
    let method = path.trim_start_matches('/');
    let method = &method[..method.floor_char_boundary(MAX_PATH_BYTES)];
    Status::unimplemented(format!("there is no method \"{method}\" here: {served}"))
}

/// What was refused beneath the handler, because it is no request that can be read, in the words of the
/// contract. None if it is something else. What tonic says of it names fields and limits, never data.
pub(super) fn unreadable(told: &Status) -> Option<Status> {
    let what_to_do = match told.code() {
        Code::Internal => "the request cannot be read; send what the contract describes",
        // Not LIMIT_EXCEEDED: that passes, and this will be as large the next time.
        Code::OutOfRange | Code::ResourceExhausted => "the request is too large; send less at once",
        _ => return None,
    };
    // Before that stand words about the library's own work.
    let details = told.message();
    let details = details.find("found ").map_or(details, |at| &details[at..]);
    let sentence = format!("{what_to_do} ({details})");
    Some(ApiError::new(Reason::InvalidArgument, sentence).into())
}

/// The handler panicked.
pub(super) fn internal(call: &Call) -> Status {
    let (sentence, request_id) = (Reason::Internal.sentence(), call.request_id());
    ApiError::new(Reason::Internal, format!("{sentence} (request id {request_id})")).into()
}
