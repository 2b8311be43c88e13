//! Set.

use configapi_domain::{Action, BrokenRule, Version};

use crate::scenario::{content, given, json, set, was_deleted, was_restored, was_set};

#[test]
fn a_config_that_never_existed_may_be_set() {
    given(&[]).when(set("on")).then(&was_set(content("on"), None));
}

#[test]
fn a_live_config_may_be_set_and_its_old_value_is_kept() {
    let events = [was_set(json("1"), None)];
    given(&events).when(set("2")).then(&was_set(content("2"), Some("1")));
}

#[test]
fn setting_the_value_it_has_is_still_an_event() {
    let events = [was_set(content("same"), None)];
    given(&events).when(set("same")).then(&was_set(content("same"), Some("same")));
}

#[test]
fn empty_is_a_value() {
    given(&[]).when(set("")).then(&was_set(content(""), None));
    let events = [was_set(content(""), None)];
    given(&events).when(set("x")).then(&was_set(content("x"), Some("")));
}

#[test]
fn the_content_type_comes_with_the_value() {
    given(&[]).when(Action::Set(json("{}"))).then(&was_set(json("{}"), None));
}

#[test]
fn a_deleted_config_comes_back_only_on_purpose() {
    let events = [was_set(content("1"), None), was_deleted(content("1"))];
    given(&events).when(set("2")).then_refused(
        &BrokenRule::Deleted { version: Version(2) },
        "the config was deleted at version 2; bring it back with Restore",
    );
}

#[test]
fn a_restored_config_may_be_set() {
    let gone = content("1");
    let events =
        [was_set(gone.clone(), None), was_deleted(gone.clone()), was_restored(gone, None, 1)];
    given(&events).when(set("2")).then(&was_set(content("2"), Some("1")));
}
