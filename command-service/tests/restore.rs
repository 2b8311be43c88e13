//! Restore: back from deletion, and back in time.

use configapi_proto::Reason;
use configapi_proto::timestamp_from_micros;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{DeleteRequest, EventKind, Receipt, RestoreRequest, RestoreTarget};

use crate::support::{TestServer, refusal, start};

async fn restore(
    server: &TestServer,
    moment: Option<Moment>,
) -> Result<Receipt, configapi_proto::ApiError> {
    let request = RestoreRequest {
        name: "a".to_owned(),
        target: moment.map(|moment| RestoreTarget { moment: Some(moment) }),
        ..RestoreRequest::default()
    };
    let answer = server.client.clone().restore(request).await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().receipt.unwrap()),
        refused => Err(refusal(refused)),
    }
}

async fn delete(server: &TestServer) {
    let request = DeleteRequest { name: "a".to_owned(), ..DeleteRequest::default() };
    server.client.clone().delete(request).await.unwrap();
}

async fn value(server: &TestServer) -> String {
    let events = server.events().await;
    events.last().unwrap().event.content().unwrap().value.as_str().to_owned()
}

#[tokio::test]
async fn a_deleted_config_gets_its_last_value_back() {
    let server = start().await;
    server.set("a", "1").await.unwrap();
    server.set("a", "2").await.unwrap();
    delete(&server).await;
    let receipt = restore(&server, None).await.unwrap();
    assert_eq!((receipt.version, receipt.kind()), (4, EventKind::Restored));
    assert_eq!(value(&server).await, "2");
}

#[tokio::test]
async fn a_live_config_rolls_back_to_a_version_a_time_or_a_position() {
    let server = start().await;
    let first = server.set("a", "1").await.unwrap();
    let second = server.set("a", "2").await.unwrap();
    server.set("a", "3").await.unwrap();
    restore(&server, Some(Moment::Version(1))).await.unwrap();
    assert_eq!(value(&server).await, "1");
    let at_second = second.recorded_at.unwrap();
    restore(&server, Some(Moment::Time(at_second))).await.unwrap();
    assert_eq!(value(&server).await, "2");
    restore(&server, Some(Moment::Position(first.position))).await.unwrap();
    assert_eq!(value(&server).await, "1");
}

#[tokio::test]
async fn a_time_in_the_future_is_the_present() {
    let server = start().await;
    server.set("a", "1").await.unwrap();
    let future = timestamp_from_micros(4_000_000_000_000_000);
    restore(&server, Some(Moment::Time(future))).await.unwrap();
    assert_eq!(value(&server).await, "1");
}

#[tokio::test]
async fn there_must_be_something_to_go_back_to() {
    let server = start().await;
    assert_eq!(restore(&server, None).await.unwrap_err().reason, Reason::ConfigNotFound);
    server.set("a", "1").await.unwrap();
    delete(&server).await;
    restore(&server, None).await.unwrap();
    let cases = [
        None,
        Some(Moment::Version(2)),
        Some(Moment::Version(9)),
        Some(Moment::Position(2)),
        Some(Moment::Time(timestamp_from_micros(0))),
    ];
    for moment in cases {
        let error = restore(&server, moment).await.unwrap_err();
        assert_eq!(error.reason, Reason::RestoreRefused, "{moment:?}");
        assert_eq!(error.precondition_violations[0].subject, "default/a");
    }
    let error = restore(&server, Some(Moment::Version(0))).await.unwrap_err();
    assert_eq!(error.field_violations[0].field, "target.version");
}
