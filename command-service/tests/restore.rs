//! Restore: back from deletion, and back in time.

use configapi_command_service::committer::Limits;
use configapi_event_log::Recorded;
use configapi_proto::v1::command::Action;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{
    ApplyRequest, Command, DeleteAction, DeleteRequest, EventKind, Receipt, RestoreRequest,
    RestoreTarget, SetAction,
};
use configapi_proto::{ApiError, Reason, timestamp_from_micros};

use crate::support::{TestServer, memory_log, refusal, start, start_on};

async fn restore(server: &TestServer, moment: Option<Moment>) -> Result<Receipt, ApiError> {
    restore_config(server, "a", moment).await
}

async fn restore_config(
    server: &TestServer,
    name: &str,
    moment: Option<Moment>,
) -> Result<Receipt, ApiError> {
    let request = RestoreRequest {
        name: name.to_owned(),
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

#[tokio::test]
async fn a_position_that_the_log_has_not_reached_is_refused() {
    let log = memory_log();
    let server = start_on(log.clone(), Limits::default()).await;
    let other = start_on(log, Limits::default()).await;
    server.set("a", "1").await.unwrap();
    let error = restore(&server, Some(Moment::Position(2))).await.unwrap_err();
    assert_eq!(error.reason, Reason::RestoreRefused);
    assert!(error.message.contains("position 2 is not in the log yet"), "{}", error.message);
    assert_eq!(server.events().await.len(), 1);
    // What another server wrote is in the log, whoever knows of it by then.
    let there = other.set("a", "2").await.unwrap();
    restore(&server, Some(Moment::Position(there.position))).await.unwrap();
    assert_eq!(value(&server).await, "2");
}

fn command(name: &str, action: Action) -> Command {
    Command { name: name.to_owned(), action: Some(action), ..Command::default() }
}

fn set(name: &str, value: &str) -> Command {
    command(name, Action::Set(SetAction { value: value.to_owned(), ..SetAction::default() }))
}

/// What a Get of a config at a position shows: whoever looks into an Apply sees all of it.
fn got_at(events: &[Recorded], name: &str, position: u64) -> Option<String> {
    let end = events.iter().find(|event| event.position.0 >= position && event.part.is_last());
    let end = end.map_or(0, |event| if position == 0 { 0 } else { event.position.0 });
    let mut seen =
        events.iter().filter(|event| event.key.name() == name && event.position.0 <= end);
    let content = seen.next_back()?.event.content()?;
    Some(content.value.as_str().to_owned())
}

#[tokio::test]
async fn a_position_within_an_apply_means_all_of_it_as_it_does_to_a_get() {
    let server = start().await;
    server.set("a", "1").await.unwrap();
    server.set("late", "1").await.unwrap();
    let delete = Action::Delete(DeleteAction {});
    let commands = vec![
        set("b", "1"),
        set("a", "2"),
        command("late", delete),
        set("a", "3"),
        set("new", "1"),
        set("c", "1"),
    ];
    let request = ApplyRequest { commands, ..ApplyRequest::default() };
    server.client.clone().apply(request).await.unwrap();
    for name in ["a", "b", "c", "new"] {
        server.set(name, "later").await.unwrap();
    }
    let events = server.events().await;
    for name in ["a", "b", "c", "late", "new"] {
        for position in 0..=events.len() as u64 {
            let restored = restore_config(&server, name, Some(Moment::Position(position))).await;
            let expected = got_at(&events, name, position);
            match restored {
                Ok(_) => assert_eq!(Some(value(&server).await), expected, "{name} at {position}"),
                Err(error) => {
                    assert_eq!(error.reason, Reason::RestoreRefused);
                    assert_eq!(None, expected, "{name} at {position}: {error:?}");
                }
            }
        }
    }
}
