//! A position means one event, or those who hold it are told.

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Epoch, EpochStart, Lineage, LogId};

fn start(epoch: u64, first_position: u64) -> EpochStart {
    EpochStart { epoch: Epoch(epoch), first_position: Position(first_position) }
}

#[test]
fn a_log_that_never_lost_anything_has_one_epoch() {
    let lineage = Lineage::unbroken();
    assert_eq!(lineage.current(), Epoch::FIRST);
    assert_eq!(lineage.epochs(), [start(1, 1)]);
    assert_eq!(Lineage::from_rows(vec![]), lineage);
    assert!(lineage.still_holds(Epoch::FIRST, Position(u64::MAX)));
}

#[test]
fn epochs_come_in_any_order() {
    let lineage = Lineage::from_rows(vec![start(3, 7), start(1, 1), start(2, 10)]);
    assert_eq!(lineage.current(), Epoch(3));
    assert_eq!(lineage.epochs(), [start(1, 1), start(2, 10), start(3, 7)]);
    assert_eq!(lineage.current().to_string(), "3");
}

#[test]
fn a_position_holds_until_a_later_epoch_begins_at_or_before_it() {
    let lineage = Lineage::from_rows(vec![start(1, 1), start(2, 10), start(3, 7)]);
    let holds = |epoch, position| lineage.still_holds(Epoch(epoch), Position(position));
    assert!(holds(1, 6) && holds(2, 6) && holds(3, 6));
    assert!(!holds(1, 7), "lost when the third epoch began");
    assert!(!holds(1, 10) && !holds(2, 10));
    assert!(holds(3, 7) && holds(3, 1_000));
    assert!(holds(4, 1_000), "an epoch not reached yet is not judged");
}

#[test]
fn of_what_was_seen_in_an_epoch_that_is_kept_which_no_later_one_took_the_place_of() {
    let lineage = Lineage::from_rows(vec![start(1, 1), start(2, 10), start(3, 7), start(4, 20)]);
    let kept = |epoch, position| lineage.kept_of(Epoch(epoch), Position(position)).0;
    assert_eq!([kept(1, 5), kept(1, 6), kept(1, 7), kept(1, 100)], [5, 6, 6, 6]);
    assert_eq!([kept(2, 100), kept(3, 100), kept(4, 100), kept(5, 100)], [6, 19, 100, 100]);
    let lineage = Lineage::from_rows(vec![start(1, 1), start(2, 1)]);
    assert_eq!(lineage.kept_of(Epoch(1), Position(9)), Position::GENESIS, "all is lost");
}

#[test]
fn a_new_log_id_tells_when_it_was_made() {
    let now = Timestamp(1_700_000_000_123_456);
    let (one, two) = (LogId::new_at(now), LogId::new_at(now));
    assert_ne!(one, two);
    let (seconds, nanos) = one.0.get_timestamp().unwrap().to_unix();
    assert_eq!((seconds, nanos / 1_000_000), (1_700_000_000, 123));
    assert_ne!(LogId::new_at(Timestamp(-1)), LogId::new_at(Timestamp(-1)));
}

#[test]
fn a_log_that_ends_before_its_newest_epoch_began_has_lost_something() {
    assert_eq!(Lineage::unbroken().lost_by(Position::GENESIS), None);
    let start = |epoch, first| EpochStart { epoch: Epoch(epoch), first_position: Position(first) };
    let lineage = Lineage::from_rows(vec![start(1, 1), start(2, 8)]);
    assert_eq!(lineage.lost_by(Position(7)), None);
    assert_eq!(lineage.lost_by(Position(6)), Some(Position(7)));
    // Lost, and announced by an operator since then.
    let lineage = Lineage::from_rows(vec![start(1, 1), start(2, 8), start(3, 7)]);
    assert_eq!(lineage.lost_by(Position(6)), None);
}
