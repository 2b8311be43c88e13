//! Restore.

use configapi_domain::{
    Action, BrokenRule, ConfigEvent, Point, Position, RestoreRefusal, RestoreSource, Timestamp,
    Version,
};

use crate::scenario::{content, given, json, restore_to, was_deleted, was_restored, was_set};

const LAST: Action = Action::Restore(RestoreSource::LastValue);

fn deleted() -> [ConfigEvent; 3] {
    [was_set(content("1"), None), was_set(json("2"), Some("1")), was_deleted(json("2"))]
}

#[test]
fn a_deleted_config_comes_back_with_its_last_value() {
    given(&deleted()).when(LAST).then(&was_restored(json("2"), None, 2));
}

#[test]
fn a_deleted_config_comes_back_with_an_older_value() {
    let old = restore_to(1, Some(content("1")));
    given(&deleted()).when(old).then(&was_restored(content("1"), None, 1));
}

#[test]
fn a_live_config_is_rolled_back() {
    let old = restore_to(1, Some(json("1")));
    let rolled_back = was_restored(json("1"), Some("2"), 1);
    given(&deleted()[..2]).when(old).then(&rolled_back);
}

#[test]
fn a_config_may_be_deleted_and_restored_again_and_again() {
    let mut events = deleted().to_vec();
    events.push(was_restored(json("2"), None, 2));
    events.push(was_deleted(json("2")));
    given(&events).when(LAST).then(&was_restored(json("2"), None, 4));
}

#[test]
fn a_live_config_needs_to_be_told_what_to_go_back_to() {
    given(&deleted()[..2]).when(LAST).then_refused(
        &BrokenRule::RestoreRefused(RestoreRefusal::NotDeleted),
        "the config is not deleted; name the version, time or position to roll back to",
    );
}

#[test]
fn a_config_that_never_existed_cannot_be_restored() {
    let nothing = Action::Restore(RestoreSource::Nothing(Point::Version(Version(1))));
    for action in [LAST, restore_to(1, Some(content("1"))), nothing] {
        given(&[]).when(action).then_refused(&BrokenRule::NotFound, "the config never existed");
    }
}

#[test]
fn a_version_that_was_a_delete_has_nothing_to_restore() {
    let mut events = deleted().to_vec();
    events.push(was_restored(json("2"), None, 2));
    for events in [&events[..3], &events[..]] {
        let version = Version(3);
        given(events).when(restore_to(3, None)).then_refused(
            &BrokenRule::RestoreRefused(RestoreRefusal::WasDelete { version }),
            "the config was deleted there, at version 3; name a version, time or position at which it \
             has a value",
        );
    }
}

#[test]
fn a_position_that_the_log_has_not_reached_has_nothing_to_restore_yet() {
    let position = Position(7);
    let action = Action::Restore(RestoreSource::NotYet(position));
    let rule = BrokenRule::RestoreRefused(RestoreRefusal::NotYet(position));
    given(&deleted()).when(action.clone()).then_refused(&rule, "position 7 is not in the log yet");
    given(&deleted()[..2]).when(action).then_refused(&rule, "position 7 is not in the log yet");
}

#[test]
fn a_point_at_which_the_config_was_nothing_has_nothing_to_restore() {
    let points = [
        (Point::Version(Version(9)), "the config had no value at version 9"),
        (Point::Position(Position(7)), "the config had no value at position 7"),
        (Point::Time(Timestamp(5)), "the config had no value at that time"),
    ];
    for (point, text) in points {
        let rule = BrokenRule::RestoreRefused(RestoreRefusal::Nothing(point));
        let action = Action::Restore(RestoreSource::Nothing(point));
        given(&deleted()).when(action).then_refused(&rule, text);
    }
}
