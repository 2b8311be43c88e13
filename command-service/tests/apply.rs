//! Apply: many commands as one change, all or none.

use configapi_proto::v1::command::Action;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{
    ApplyRequest, Command, DeleteAction, DeleteRequest, RestoreAction, RestoreTarget, SetAction,
};
use configapi_proto::{Reason, key};

use crate::support::{refusal, start};

fn command(name: &str, action: Action) -> Command {
    Command { name: name.to_owned(), action: Some(action), ..Command::default() }
}

fn set(name: &str, value: &str) -> Command {
    let content_type = String::new();
    command(name, Action::Set(SetAction { value: value.to_owned(), content_type }))
}

fn apply(commands: Vec<Command>) -> ApplyRequest {
    ApplyRequest { commands, ..ApplyRequest::default() }
}

#[tokio::test]
async fn all_commands_happen_in_order_as_one() {
    let server = start().await;
    let to_first = RestoreTarget { moment: Some(Moment::Version(1)) };
    let commands = vec![
        set("a", "1"),
        Command { namespace: "other".to_owned(), ..set("b", "of another") },
        set("a", "2"),
        command("a", Action::Delete(DeleteAction {})),
        command("a", Action::Restore(RestoreAction { target: Some(to_first) })),
    ];
    let receipts = server.client.clone().apply(apply(commands)).await.unwrap().into_inner();
    let versions: Vec<_> = receipts.receipts.iter().map(|r| r.version).collect();
    assert_eq!(versions, [1, 1, 2, 3, 4]);
    let events = server.events().await;
    let parts: Vec<_> = events.iter().map(|e| (e.part.index, e.part.size)).collect();
    assert_eq!(parts, [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]);
    assert_eq!(events[4].event.content().unwrap().value.as_str(), "1");
    assert_eq!(events[1].key.namespace(), "other");
}

#[tokio::test]
async fn one_refused_command_refuses_all_and_is_named() {
    let server = start().await;
    server.set("x", "kept").await.unwrap();
    let commands =
        vec![set("a", "1"), set("x", "2"), command("b", Action::Delete(DeleteAction {}))];
    let error = refusal(server.client.clone().apply(apply(commands)).await);
    assert_eq!(error.reason, Reason::ConfigNotFound);
    assert_eq!(error.metadata[key::COMMAND_INDEX], "2");
    assert_eq!(server.events().await.len(), 1);
    assert_eq!(server.set("x", "3").await.unwrap().version, 2, "nothing of it is remembered");
}

#[tokio::test]
async fn an_apply_of_one_command_names_it_too() {
    let server = start().await;
    let delete = command("b", Action::Delete(DeleteAction {}));
    let error = refusal(server.client.clone().apply(apply(vec![delete])).await);
    assert_eq!(error.reason, Reason::ConfigNotFound);
    assert_eq!(error.metadata[key::COMMAND_INDEX], "0");
    let request = DeleteRequest { name: "b".to_owned(), ..DeleteRequest::default() };
    let alone = refusal(server.client.clone().delete(request).await);
    assert!(!alone.metadata.contains_key(key::COMMAND_INDEX), "{alone:?}");
}

#[tokio::test]
async fn bad_input_names_the_command_and_the_field() {
    let server = start().await;
    let mut client = server.client.clone();
    let wrong_name = refusal(client.apply(apply(vec![set("a", "1"), set("..", "2")])).await);
    assert_eq!(wrong_name.field_violations[0].field, "commands[1].name");
    assert_eq!(wrong_name.metadata[key::COMMAND_INDEX], "1");
    let nul = refusal(client.apply(apply(vec![set("a", "\0")])).await);
    assert_eq!(nul.field_violations[0].field, "commands[0].set.value");
    let nothing = Command { name: "a".to_owned(), ..Command::default() };
    let no_action = refusal(client.apply(apply(vec![nothing])).await);
    assert_eq!(no_action.field_violations[0].field, "commands[0].action");
    let none = refusal(client.apply(apply(vec![])).await);
    assert_eq!(none.field_violations[0].field, "commands");
    let many = (0..1_001).map(|i| set(&format!("k{i}"), "1")).collect();
    assert_eq!(refusal(client.apply(apply(many)).await).field_violations[0].field, "commands");
    assert!(server.events().await.is_empty());
}

#[tokio::test]
async fn bad_input_of_many_commands_is_told_at_once_as_far_as_it_fits() {
    let server = start().await;
    let mut client = server.client.clone();
    let some = vec![set("a", "1"), set("..", "\0"), Command::default(), set("b", "\0")];
    let error =
        refusal(client.apply(ApplyRequest { actor: "bell \u{7}".to_owned(), ..apply(some) }).await);
    let fields: Vec<_> = error.field_violations.iter().map(|it| it.field.as_str()).collect();
    let wrong = [
        "commands[1].set.value",
        "commands[1].name",
        "commands[2].action",
        "commands[2].name",
        "commands[3].set.value",
        "actor",
    ];
    assert_eq!(fields, wrong);
    assert_eq!(error.metadata[key::COMMAND_INDEX], "1", "the one that the message is about");
    assert!(error.message.starts_with("commands[1].set.value: "), "{}", error.message);

    let many = (0..1_000).map(|_| set("..", "\0")).collect();
    assert_eq!(refusal(client.apply(apply(many)).await).field_violations.len(), 8);
    assert!(server.events().await.is_empty());
}

#[tokio::test]
async fn a_thousand_commands_are_one_change() {
    let server = start().await;
    let commands = (0..1_000).map(|i| set(&format!("k{i}"), "1")).collect();
    let answer = server.client.clone().apply(apply(commands)).await.unwrap().into_inner();
    assert_eq!(answer.receipts.len(), 1_000);
    assert_eq!(answer.receipts[999].token, "1-1000");
    assert!(server.events().await[999].part.is_last());
}

#[tokio::test]
async fn an_apply_that_would_weigh_too_much_says_so() {
    let server = start().await;
    let value = "x".repeat(900_000);
    for i in 0..40 {
        server.set(&format!("k{i}"), &value).await.unwrap();
    }
    let commands = (0..40).map(|i| set(&format!("k{i}"), "small")).collect();
    let error = refusal(server.client.clone().apply(apply(commands)).await);
    assert_eq!(error.reason, Reason::InvalidArgument);
    assert!(error.field_violations[0].description.contains("split"), "{error:?}");
}
