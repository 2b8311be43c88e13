//! Statuses that none of our servers wrote.

use configapi_proto::v1::SetRequest;
use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::{ApiError, Reason};
use tonic::transport::Endpoint;
use tonic::{Code, Status, TimeoutExpired};

#[test]
fn a_foreign_status_is_understood_by_its_code() {
    let mut table = Vec::new();
    for number in 0..=16 {
        let status = Status::new(Code::from_i32(number), "");
        table.push(format!(
            "{:?} | {} | {}",
            status.code(),
            ApiError::from_status(&status).reason,
            ApiError::from_command_status(&status).reason,
        ));
    }
    insta::assert_snapshot!(table.join("\n"), @r"
    Ok | INTERNAL | INTERNAL
    Cancelled | INTERNAL | OUTCOME_UNKNOWN
    Unknown | INTERNAL | OUTCOME_UNKNOWN
    InvalidArgument | INVALID_ARGUMENT | INVALID_ARGUMENT
    DeadlineExceeded | DEADLINE_EXCEEDED | OUTCOME_UNKNOWN
    NotFound | INTERNAL | INTERNAL
    AlreadyExists | INTERNAL | INTERNAL
    PermissionDenied | PERMISSION_DENIED | PERMISSION_DENIED
    ResourceExhausted | LIMIT_EXCEEDED | LIMIT_EXCEEDED
    FailedPrecondition | INTERNAL | INTERNAL
    Aborted | INTERNAL | INTERNAL
    OutOfRange | INVALID_ARGUMENT | INVALID_ARGUMENT
    Unimplemented | UNAVAILABLE | UNAVAILABLE
    Internal | INTERNAL | OUTCOME_UNKNOWN
    Unavailable | UNAVAILABLE | OUTCOME_UNKNOWN
    DataLoss | INTERNAL | OUTCOME_UNKNOWN
    Unauthenticated | UNAUTHENTICATED | UNAUTHENTICATED
    ");
}

#[test]
fn a_foreign_message_is_kept_behind_the_fixed_sentence() {
    let with_message = Status::new(Code::PermissionDenied, "ask the proxy's owner");
    let without = Status::new(Code::PermissionDenied, "");
    assert_eq!(
        ApiError::from_status(&with_message).message,
        "these credentials do not allow this: ask the proxy's owner"
    );
    assert_eq!(ApiError::from_status(&without).message, "these credentials do not allow this");
}

#[test]
fn a_call_that_the_server_does_not_know_was_not_made_and_says_why() {
    let status = Status::unimplemented("");
    let sentence = "the server that was asked knows no such call; it is of another kind or of an older version";
    assert_eq!(ApiError::from_status(&status).message, sentence);
    assert_eq!(ApiError::from_command_status(&status).message, sentence);
}

#[test]
fn a_timeout_of_the_client_itself_is_a_deadline_to_a_query_and_unknown_to_a_command() {
    let status = Status::from_error(Box::new(TimeoutExpired(())));
    assert_eq!(ApiError::from_status(&status).reason, Reason::DeadlineExceeded);
    assert_eq!(ApiError::from_command_status(&status).reason, Reason::OutcomeUnknown);
}

#[test]
fn a_command_whose_connection_broke_has_an_unknown_outcome_whatever_the_code() {
    let mut status = Status::resource_exhausted("the connection was closed: calm down");
    assert_eq!(ApiError::from_command_status(&status).reason, Reason::LimitExceeded);
    status.set_source(std::sync::Arc::new(std::io::Error::other("broken")));
    assert_eq!(ApiError::from_command_status(&status).reason, Reason::OutcomeUnknown);
}

#[test]
fn a_query_whose_connection_broke_is_worth_repeating_whatever_the_code() {
    let mut status = Status::unknown("stream closed because of a broken pipe");
    assert_eq!(ApiError::from_status(&status).reason, Reason::Internal);
    status.set_source(std::sync::Arc::new(std::io::Error::other("broken")));
    assert_eq!(ApiError::from_status(&status).reason, Reason::Unavailable);
}

#[tokio::test]
async fn a_command_that_found_no_server_has_written_nothing() {
    // A listener that is bound and dropped leaves a port that refuses connections.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let status = CommandServiceClient::new(channel).set(SetRequest::default()).await.unwrap_err();
    assert_eq!(ApiError::from_command_status(&status).reason, Reason::Unavailable);
}

#[test]
fn a_query_that_nobody_answered_is_not_told_that_nothing_was_written() {
    let status = Status::unavailable("upstream is gone");
    let error = ApiError::from_status(&status);
    assert_eq!(error.message, "the server cannot serve this now: upstream is gone");
    assert_eq!(ApiError::of_our_server(&status), None);
    let ours = Status::from(ApiError::from(Reason::Unavailable));
    assert_eq!(ApiError::of_our_server(&ours), Some(Reason::Unavailable.into()));
}
