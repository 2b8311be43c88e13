//! The closed list of reasons.

use configapi_proto::{Reason, UnknownReason};

#[test]
fn the_table_of_reasons_is_the_documented_one() {
    let mut table = Vec::new();
    for reason in Reason::ALL {
        let flags = match (reason.nothing_written(), reason.worth_repeating()) {
            (true, true) => "nothing written, repeat",
            (true, false) => "nothing written",
            (false, true) => "perhaps written, repeat",
            (false, false) => "perhaps written",
        };
        table.push(format!(
            "{reason} | {:?} | {}/{} | {} | {flags}",
            reason.code(),
            reason.http_status(),
            reason.http_status_conditional(),
            reason.exit_code(),
        ));
    }
    insta::assert_snapshot!(table.join("\n"), @r"
    INVALID_ARGUMENT | InvalidArgument | 400/400 | 1 | nothing written
    CONFIG_NOT_FOUND | NotFound | 404/404 | 1 | nothing written
    CONFIG_ALREADY_DELETED | FailedPrecondition | 410/410 | 1 | nothing written
    CONFIG_DELETED | FailedPrecondition | 409/409 | 1 | nothing written
    RESTORE_REFUSED | FailedPrecondition | 409/409 | 1 | nothing written
    VERSION_CONFLICT | Aborted | 409/412 | 1 | nothing written
    REQUEST_ID_REUSED | FailedPrecondition | 422/422 | 1 | nothing written
    UNAUTHENTICATED | Unauthenticated | 401/401 | 1 | nothing written
    PERMISSION_DENIED | PermissionDenied | 403/403 | 1 | nothing written
    LIMIT_EXCEEDED | ResourceExhausted | 429/429 | 3 | nothing written, repeat
    UNAVAILABLE | Unavailable | 503/503 | 3 | nothing written, repeat
    OUTCOME_UNKNOWN | Unavailable | 503/503 | 3 | perhaps written, repeat
    LOG_CHANGED | FailedPrecondition | 409/409 | 3 | nothing written
    DEADLINE_EXCEEDED | DeadlineExceeded | 504/504 | 3 | nothing written, repeat
    INTERNAL | Internal | 500/500 | 70 | perhaps written
    ");
}

#[test]
fn every_reason_is_read_back_from_its_text() {
    for reason in Reason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(reason));
    }
}

#[test]
fn a_text_that_names_no_reason_is_refused() {
    for text in ["", "internal", " INTERNAL", "NO_SUCH_REASON"] {
        assert_eq!(text.parse::<Reason>(), Err(UnknownReason));
    }
}

#[test]
fn every_reason_fits_what_error_info_allows() {
    for reason in Reason::ALL {
        let text = reason.as_str();
        assert!(text.len() <= 63);
        assert!(text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        assert!(!reason.sentence().is_empty());
    }
}
