//! Delete.

use configapi_domain::{Action, BrokenRule, Version};

use crate::scenario::{content, given, json, was_deleted, was_restored, was_set};

#[test]
fn a_live_config_may_be_deleted_and_what_it_had_is_kept() {
    let events = [was_set(content("1"), None), was_set(json("2"), Some("1"))];
    given(&events).when(Action::Delete).then(&was_deleted(json("2")));
}

#[test]
fn a_config_that_never_existed_cannot_be_deleted() {
    given(&[]).when(Action::Delete).then_refused(&BrokenRule::NotFound, "the config never existed");
}

#[test]
fn a_deleted_config_cannot_be_deleted_again() {
    let events = [was_set(content("1"), None), was_deleted(content("1"))];
    given(&events).when(Action::Delete).then_refused(
        &BrokenRule::AlreadyDeleted { version: Version(2) },
        "the config is deleted already, since version 2",
    );
}

#[test]
fn a_restored_config_may_be_deleted() {
    let gone = content("1");
    let events =
        [was_set(gone.clone(), None), was_deleted(gone.clone()), was_restored(gone, None, 1)];
    given(&events).when(Action::Delete).then(&was_deleted(content("1")));
}
