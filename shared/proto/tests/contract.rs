//! The generated contract: what reflection gets, and what logs get to see.

use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_proto::v1::{
    ApplyRequest, Command, Config, ConfigValueDeleted, ConfigValueRestored, ConfigValueSet, Event,
    SetAction, SetManyRequest, SetRequest, command, event,
};
use prost::Message;
use prost_types::FileDescriptorSet;

const SECRET: &str = "hunter2";

#[test]
fn the_contract_offers_exactly_these_calls() {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let mut calls = Vec::new();
    for service in files.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            let local = |name: &str| name.trim_start_matches(".configapi.v1.").to_owned();
            let streams = |yes: Option<bool>| if yes == Some(true) { "stream " } else { "" };
            calls.push(format!(
                "{}.{}({}{}) returns ({}{})",
                service.name(),
                method.name(),
                streams(method.client_streaming),
                local(method.input_type()),
                streams(method.server_streaming),
                local(method.output_type()),
            ));
        }
    }
    insta::assert_snapshot!(calls.join("\n"), @r"
    CommandService.Set(SetRequest) returns (SetResponse)
    CommandService.Delete(DeleteRequest) returns (DeleteResponse)
    CommandService.Restore(RestoreRequest) returns (RestoreResponse)
    CommandService.Apply(ApplyRequest) returns (ApplyResponse)
    CommandService.SetMany(stream SetManyRequest) returns (stream SetManyResponse)
    QueryService.Get(GetRequest) returns (GetResponse)
    QueryService.List(ListRequest) returns (ListResponse)
    QueryService.History(HistoryRequest) returns (HistoryResponse)
    QueryService.AtTime(AtTimeRequest) returns (AtTimeResponse)
    QueryService.Diff(DiffRequest) returns (DiffResponse)
    QueryService.Watch(WatchRequest) returns (stream WatchResponse)
    QueryService.GetStatus(GetStatusRequest) returns (GetStatusResponse)
    ");
}

#[test]
fn the_contract_for_reflection_is_complete_and_has_its_comments() {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let names: Vec<_> = files.iter().map(prost_types::FileDescriptorProto::name).collect();
    for import in files.iter().flat_map(|file| &file.dependency) {
        assert!(names.contains(&import.as_str()), "{import} is missing");
    }
    let ours = files.iter().filter(|file| file.package() == "configapi.v1");
    for file in ours {
        let source = file.source_code_info.as_ref().unwrap();
        assert!(source.location.iter().any(|location| location.leading_comments.is_some()));
    }
}

#[test]
fn values_do_not_show_in_the_debug_form_of_any_message_that_holds_one() {
    let value = SECRET.to_owned();
    let old_value = Some(SECRET.to_owned());
    let set =
        ConfigValueSet { value: value.clone(), old_value: old_value.clone(), ..<_>::default() };
    let restored = ConfigValueRestored { value: value.clone(), old_value, ..<_>::default() };
    let deleted = ConfigValueDeleted { deleted_value: value.clone(), ..<_>::default() };
    let action = SetAction { value: value.clone(), ..<_>::default() };
    let request = SetRequest { value: value.clone(), ..<_>::default() };

    let change = |change| Event { change: Some(change), ..<_>::default() };
    let command = Command { action: Some(command::Action::Set(action)), ..<_>::default() };
    let forms = [
        format!("{:?}", Config { value, ..<_>::default() }),
        format!("{:?}", change(event::Change::ValueSet(set))),
        format!("{:?}", change(event::Change::ValueDeleted(deleted))),
        format!("{:?}", change(event::Change::ValueRestored(restored))),
        format!("{:?}", ApplyRequest { commands: vec![command], ..<_>::default() }),
        format!("{:?}", SetManyRequest { set: Some(request) }),
    ];
    for form in forms {
        assert!(!form.contains(SECRET), "{form}");
        assert!(form.contains("value_bytes: 7") || form.contains("value_bytes: Some(7)"), "{form}");
    }
}
