//! Errors on their way through a status and back.

use std::time::Duration;

use configapi_proto::{ApiError, ERROR_DOMAIN, Reason, key};
use proptest::prelude::*;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

#[test]
fn an_error_carries_its_reason_and_domain_in_error_info() {
    let status = Status::from(
        ApiError::from(Reason::VersionConflict)
            .with_metadata(key::EXPECTED_VERSION, 3)
            .with_metadata(key::ACTUAL_VERSION, 5),
    );

    let info = status.get_details_error_info().unwrap();
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(info.reason, "VERSION_CONFLICT");
    assert_eq!(info.domain, ERROR_DOMAIN);
    assert_eq!(info.metadata["expected_version"], "3");
    assert_eq!(info.metadata["actual_version"], "5");
}

#[test]
fn a_wrong_field_is_named_in_bad_request_and_in_the_message() {
    let status = Status::from(ApiError::invalid("name", "must not be empty"));

    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(status.message(), "name: must not be empty");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].field, "name");
    assert_eq!(violations[0].description, "must not be empty");
}

#[test]
fn a_precondition_bears_the_reason_as_its_type() {
    let error = ApiError::from(Reason::ConfigDeleted).with_precondition("default/a", "is deleted");
    let violations = Status::from(error).get_details_precondition_failure().unwrap().violations;
    assert_eq!(violations[0].r#type, "CONFIG_DELETED");
    assert_eq!(violations[0].subject, "default/a");
}

#[test]
fn an_error_that_passes_says_when_to_come_again() {
    for reason in [Reason::LimitExceeded, Reason::Unavailable, Reason::OutcomeUnknown] {
        let status = Status::from(ApiError::from(reason));
        let retry = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_secs(1)), "{reason}");
    }
    let status = Status::from(ApiError::from(Reason::Internal));
    assert!(status.get_details_retry_info().is_none());
}

#[test]
fn an_error_is_shown_as_its_message() {
    assert_eq!(ApiError::new(Reason::Internal, "oh no").to_string(), "oh no");
}

#[test]
fn an_error_stays_small_enough_for_headers_whatever_is_put_into_it() {
    let long = "ä".repeat(10_000);
    let mut error = ApiError::invalid(&long, &long).with_metadata(key::NAME, &long);
    for _ in 0..1_000 {
        error = error.with_field_violation(&long, &long).with_precondition("a", "b");
    }
    assert_eq!(error.field_violations.len(), 8);
    assert_eq!(error.precondition_violations.len(), 8);
    assert!(error.message.len() <= 512);
    assert!(Status::from(error).details().len() < 8 * 1024);
}

#[test]
fn a_failed_item_of_a_stream_tells_reason_message_and_metadata() {
    let failure = ApiError::new(Reason::VersionConflict, "no")
        .with_metadata(key::ACTUAL_VERSION, 7)
        .into_set_many_failure(42);
    assert_eq!(failure.index, 42);
    assert_eq!(failure.reason, "VERSION_CONFLICT");
    assert_eq!(failure.message, "no");
    assert_eq!(failure.metadata["actual_version"], "7");
}

#[test]
fn a_reason_of_another_domain_is_not_taken_for_ours() {
    let details = ErrorDetails::with_error_info("VERSION_CONFLICT", "elsewhere", []);
    let status = Status::with_error_details(Code::PermissionDenied, "no", details);
    assert_eq!(ApiError::from_status(&status).reason, Reason::PermissionDenied);
}

#[test]
fn a_reason_of_a_newer_server_is_understood_by_its_code() {
    let details = ErrorDetails::with_error_info("TOO_COLD", ERROR_DOMAIN, []);
    let status = Status::with_error_details(Code::ResourceExhausted, "brr", details);
    assert_eq!(ApiError::from_status(&status).reason, Reason::LimitExceeded);
}

fn any_error() -> impl Strategy<Value = ApiError> {
    let short = "[ -~äß漢]{0,40}";
    (
        prop::sample::select(Reason::ALL.as_slice()),
        short,
        prop::collection::vec((short, short), 0..8),
        prop::collection::vec((short, short), 0..8),
        prop::collection::vec((prop::sample::select(&[key::NAME, key::TOKEN][..]), short), 0..3),
        prop::option::of(0..100_000_u64),
    )
        .prop_map(|(reason, message, fields, preconditions, metadata, retry_ms)| {
            let mut error = ApiError::new(reason, message);
            for (field, description) in fields {
                error = error.with_field_violation(field, description);
            }
            for (subject, description) in preconditions {
                error = error.with_precondition(subject, description);
            }
            for (key, value) in metadata {
                error = error.with_metadata(key, value);
            }
            match retry_ms {
                Some(wait) => error.with_retry_after(Duration::from_millis(wait)),
                None => error,
            }
        })
}

proptest! {
    #[test]
    fn every_error_survives_the_way_through_a_status(error in any_error()) {
        let status = Status::from(error.clone());
        prop_assert_eq!(status.code(), error.reason.code());
        prop_assert_eq!(&ApiError::from_status(&status), &error);
        prop_assert_eq!(&ApiError::from_command_status(&status), &error);
    }
}
