//! Whoever names a version gets their way at exactly that version.

use configapi_domain::{Action, BrokenRule, RestoreSource, Version};

use crate::scenario::{content, given, restore_to, set, was_deleted, was_restored, was_set};

#[test]
fn a_version_that_matches_changes_nothing_else() {
    let events = [was_set(content("1"), None), was_deleted(content("1"))];
    given(&[]).expecting(0).when(set("1")).then(&was_set(content("1"), None));
    given(&events[..1]).expecting(1).when(set("2")).then(&was_set(content("2"), Some("1")));
    given(&events[..1]).expecting(1).when(Action::Delete).then(&was_deleted(content("1")));
    let restore = Action::Restore(RestoreSource::LastValue);
    given(&events).expecting(2).when(restore).then(&was_restored(content("1"), None, 1));
}

#[test]
fn a_version_that_differs_is_a_conflict_that_names_both() {
    let events = [was_set(content("1"), None), was_set(content("2"), Some("1"))];
    let restore = || restore_to(1, Some(content("1")));
    for expected in [0, 1, 3, u64::MAX] {
        for action in [set("3"), Action::Delete, restore()] {
            let expected = Version(expected);
            let rule = BrokenRule::VersionConflict { expected, actual: Version(2) };
            let text = format!("expected version {expected}, the config is at version 2");
            given(&events).expecting(expected.0).when(action).then_refused(&rule, &text);
        }
    }
}

#[test]
fn a_conflict_comes_before_every_other_rule() {
    let events = [was_set(content("1"), None), was_deleted(content("1"))];
    let conflict = |expected, actual| BrokenRule::VersionConflict {
        expected: Version(expected),
        actual: Version(actual),
    };
    let text = "expected version 1, the config is at version 2";
    for action in [set("2"), Action::Delete] {
        given(&events).expecting(1).when(action).then_refused(&conflict(1, 2), text);
    }
    let text = "expected version 1, the config is at version 0";
    given(&[]).expecting(1).when(Action::Delete).then_refused(&conflict(1, 0), text);
}

#[test]
fn zero_means_that_it_must_not_exist() {
    let events = [was_set(content("1"), None)];
    let rule = BrokenRule::VersionConflict { expected: Version::NONE, actual: Version(1) };
    let text = "expected version 0, the config is at version 1";
    given(&events).expecting(0).when(set("2")).then_refused(&rule, text);
}
