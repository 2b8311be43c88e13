//! Set, Delete and the rules that they can break.

use configapi_domain::{ConfigEvent, Version};
use configapi_proto::v1::{
    DeleteRequest, EventKind, RestoreRequest, RestoreTarget, SetRequest, restore_target,
};
use configapi_proto::{ApiError, Reason, key};

use crate::support::{reason, refusal, set_request, start};

fn delete_request(name: &str) -> DeleteRequest {
    DeleteRequest { name: name.to_owned(), ..DeleteRequest::default() }
}

#[tokio::test]
async fn a_set_is_durable_and_its_receipt_says_where() {
    let server = start().await;
    let first = server.set("app/limit", "10").await.unwrap();
    let second = server.set("app/limit", "20").await.unwrap();
    assert_eq!((first.version, first.position, &*first.token), (1, 1, "1-1"));
    assert_eq!((second.version, second.position, &*second.token), (2, 2, "1-2"));
    assert_eq!(second.namespace, "default");
    assert_eq!(second.kind(), EventKind::Set);
    let events = server.events().await;
    assert_eq!(second.hash, events[1].hash.0);
    let ConfigEvent::Set { content, old_value } = &events[1].event else { panic!("not a set") };
    assert_eq!(content.value.as_str(), "20");
    assert_eq!(old_value.as_ref().unwrap().as_str(), "10");
}

#[tokio::test]
async fn an_event_says_who_why_and_under_which_ids() {
    let server = start().await;
    let mut request = tonic::Request::new(SetRequest {
        actor: "alice".to_owned(),
        reason: "the old limit was too low".to_owned(),
        ..set_request("a", "1")
    });
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    request.metadata_mut().insert("x-request-id", "call-7".parse().unwrap());
    let answer = server.client.clone().set(request).await.unwrap().into_inner();
    assert_eq!(answer.receipt.unwrap().request_id, "call-7");
    let event = server.events().await.remove(0);
    assert_eq!(event.provenance.actor.as_str(), "alice");
    assert_eq!(event.provenance.reason.as_str(), "the old limit was too low");
    assert_eq!(event.provenance.request_id.unwrap().as_str(), "call-7");
    assert_eq!(event.provenance.traceparent.unwrap().as_str(), trace);
    assert_eq!(event.request, None, "an id of the server's does not make a command repeatable");
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back_by_accident() {
    let server = start().await;
    let mut client = server.client.clone();
    assert_eq!(reason(client.delete(delete_request("a")).await), Reason::ConfigNotFound);
    server.set("a", "1").await.unwrap();
    let receipt = client.delete(delete_request("a")).await.unwrap().into_inner().receipt.unwrap();
    assert_eq!((receipt.version, receipt.kind()), (2, EventKind::Deleted));
    assert_eq!(reason(client.delete(delete_request("a")).await), Reason::ConfigAlreadyDeleted);
    let error = server.set("a", "2").await.unwrap_err();
    assert_eq!(error.reason, Reason::ConfigDeleted);
    assert_eq!(error.metadata[key::DELETED_VERSION], "2");
    assert!(error.message.contains("Restore"), "{}", error.message);
    assert_eq!(server.events().await.len(), 2, "a refused command leaves nothing");
}

#[tokio::test]
async fn an_expected_version_must_match() {
    let server = start().await;
    let expecting =
        |version| SetRequest { expected_version: Some(version), ..set_request("a", "1") };
    let error = server.set_with(expecting(1)).await.unwrap_err();
    assert_eq!(error.reason, Reason::VersionConflict);
    assert_eq!(server.set_with(expecting(0)).await.unwrap().version, 1);
    assert_eq!(server.set_with(expecting(1)).await.unwrap().version, 2);
    let error = server.set_with(expecting(0)).await.unwrap_err();
    assert_eq!(error.metadata[key::EXPECTED_VERSION], "0");
    assert_eq!(error.metadata[key::ACTUAL_VERSION], "2");
}

#[tokio::test]
async fn validate_only_checks_everything_and_writes_nothing() {
    let server = start().await;
    server.set("a", "1").await.unwrap();
    let dry = |name: &str| SetRequest { validate_only: true, ..set_request(name, "2") };
    let receipt = server.set_with(dry("a")).await.unwrap();
    assert_eq!((receipt.version, receipt.position, &*receipt.token), (2, 0, ""));
    let wrong = SetRequest { expected_version: Some(7), ..dry("a") };
    assert_eq!(server.set_with(wrong).await.unwrap_err().reason, Reason::VersionConflict);
    assert_eq!(server.events().await.len(), 1);
    assert_eq!(server.set("a", "3").await.unwrap().version, 2);
}

#[tokio::test]
async fn bad_input_names_its_field_and_changes_nothing() {
    let server = start().await;
    let long = "x".repeat(1_000_001);
    let cases = [
        (set_request("", "1"), "name"),
        (set_request("a/../b", "1"), "name"),
        (set_request(&"n".repeat(257), "1"), "name"),
        (set_request("a", "nul \0"), "value"),
        (set_request("a", &long), "value"),
        (SetRequest { namespace: "UPPER".to_owned(), ..set_request("a", "1") }, "namespace"),
        (
            SetRequest { request_id: "white space".to_owned(), ..set_request("a", "1") },
            "request_id",
        ),
        (SetRequest { actor: "bell \u{7}".to_owned(), ..set_request("a", "1") }, "actor"),
        (SetRequest { reason: "r".repeat(1_025), ..set_request("a", "1") }, "reason"),
        (SetRequest { content_type: "ü".to_owned(), ..set_request("a", "1") }, "content_type"),
    ];
    for (request, field) in cases {
        let error = refusal(server.client.clone().set(request).await);
        assert_eq!(error.reason, Reason::InvalidArgument, "{field}");
        assert_eq!(error.field_violations[0].field, field);
    }
    assert!(server.events().await.is_empty());
}

fn fields(error: &ApiError) -> Vec<&str> {
    error.field_violations.iter().map(|violation| violation.field.as_str()).collect()
}

#[tokio::test]
async fn all_that_is_wrong_with_a_command_is_told_at_once() {
    let server = start().await;
    let mut client = server.client.clone();
    let namespace = || "UPPER".to_owned();
    let (actor, reason) = (|| "bell \u{7}".to_owned(), || "r".repeat(1_025));
    let request_id = || "white space".to_owned();

    let set = refusal(
        client
            .set(SetRequest {
                namespace: namespace(),
                content_type: "ü".to_owned(),
                request_id: request_id(),
                actor: actor(),
                reason: reason(),
                ..set_request("..", "nul \0")
            })
            .await,
    );
    let key = ["namespace", "name"];
    let about = ["request_id", "actor", "reason"];
    assert_eq!(fields(&set), [&["value", "content_type"], &key[..], &about[..]].concat());
    assert_eq!(set.reason, Reason::InvalidArgument);
    let first = &set.field_violations[0];
    assert_eq!(set.message, format!("{}: {}", first.field, first.description));

    let delete = refusal(
        client
            .delete(DeleteRequest {
                namespace: namespace(),
                request_id: request_id(),
                actor: actor(),
                reason: reason(),
                ..delete_request("..")
            })
            .await,
    );
    assert_eq!(fields(&delete), [&key[..], &about[..]].concat());

    let version = RestoreTarget { moment: Some(restore_target::Moment::Version(0)) };
    let restore = refusal(
        client
            .restore(RestoreRequest {
                namespace: namespace(),
                name: "..".to_owned(),
                target: Some(version),
                request_id: request_id(),
                actor: actor(),
                reason: reason(),
                ..RestoreRequest::default()
            })
            .await,
    );
    assert_eq!(fields(&restore), [&["target.version"], &key[..], &about[..]].concat());
    assert!(server.events().await.is_empty());
}

#[tokio::test]
async fn the_largest_value_and_the_empty_one_are_values() {
    let server = start().await;
    server.set("large", &"ü".repeat(500_000)).await.unwrap();
    server.set("empty", "").await.unwrap();
    let events = server.events().await;
    assert_eq!(events[0].event.content().unwrap().value.as_str().len(), 1_000_000);
    assert_eq!(events[1].event.content().unwrap().value.as_str(), "");
}

#[tokio::test]
async fn recorded_time_never_runs_backwards_even_if_the_clock_does() {
    let server = start().await;
    server.set("a", "1").await.unwrap();
    server.clock.turn_back(60_000_000);
    server.set("a", "2").await.unwrap();
    let events = server.events().await;
    assert!(events[1].recorded_at >= events[0].recorded_at);
    assert_eq!(events[1].version, Version(2));
}
