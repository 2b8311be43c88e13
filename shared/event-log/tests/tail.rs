//! A reader takes no step that the rules do not allow, and stays where it was.

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{
    CommandPart, Epoch, Hash, Page, Reach, StoredEvent, Tail, TailError, seal,
};

use crate::rows::log;

fn page(events: &[StoredEvent]) -> Page {
    Page { events: events.to_vec(), epoch: Epoch::FIRST, is_cut: false, reach: Reach::Asked }
}

fn refused(tail: &mut Tail, events: &[StoredEvent]) -> TailError {
    let before = tail.clone();
    let error = tail.advance(page(events)).unwrap_err();
    assert_eq!(*tail, before, "the place changed");
    error
}

#[test]
fn it_steps_over_what_follows_and_nothing_else() {
    let rows = log(&[1, 2, 1]);
    let mut tail = Tail::after(Position::GENESIS, rows[0].hash);
    assert_eq!(tail.advance(page(&rows[..1])), Ok(vec![]));
    assert_eq!(tail.advance(page(&rows[..3])), Ok(rows[1..3].to_vec()));
    assert_eq!((tail.position(), tail.hash()), (Position(2), rows[2].hash));
    assert_eq!(tail.advance(page(&rows[2..])), Ok(rows[3..].to_vec()));
    assert_eq!(tail.position(), Position(4));
}

#[test]
fn an_anchor_that_is_missing_or_another_means_that_the_log_changed() {
    let rows = log(&[1, 1, 1]);
    let gone = TailError::AnchorGone { position: Position(1) };
    let mut tail = Tail::after(Position(1), rows[1].hash);
    assert_eq!(refused(&mut tail, &[]), gone);
    assert_eq!(refused(&mut tail, &rows[2..]), gone);
    let mut replaced = rows.clone();
    replaced[1].payload = format!("{} ", replaced[1].payload).into();
    seal(rows[0].hash, &mut replaced[1]);
    assert_eq!(refused(&mut tail, &replaced[1..]), gone);
    assert_eq!(gone.to_string(), "the log no longer holds the event seen at position 1");
    let mut foreign = Tail::after(Position(1), Hash::ZERO);
    assert_eq!(refused(&mut foreign, &rows[1..]), gone);
}

#[test]
fn a_gap_stops_the_reader() {
    let rows = log(&[1, 1, 1, 1]);
    let mut tail = Tail::after(Position::GENESIS, rows[0].hash);
    let holey = [rows[0].clone(), rows[1].clone(), rows[3].clone()];
    let gap = TailError::Gap { expected: Position(2), found: Position(3) };
    assert_eq!(refused(&mut tail, &holey), gap);
    assert_eq!(gap.to_string(), "the log has a gap: position 2 is missing, 3 follows");
    let twice = [rows[0].clone(), rows[1].clone(), rows[1].clone()];
    let gap = TailError::Gap { expected: Position(2), found: Position(1) };
    assert_eq!(refused(&mut tail, &twice), gap);
}

#[test]
fn time_that_runs_backwards_stops_the_reader() {
    let mut rows = log(&[1, 1]);
    rows[2].recorded_at = Timestamp(rows[1].recorded_at.0 - 1);
    let before = rows[1].hash;
    seal(before, &mut rows[2]);
    let mut tail = Tail::after(Position::GENESIS, rows[0].hash);
    let error = refused(&mut tail, &rows);
    assert_eq!(error, TailError::TimeRunsBackwards { position: Position(2) });
    assert_eq!(error.to_string(), "the recorded time runs backwards at position 2");
}

#[test]
fn a_torn_command_stops_the_reader() {
    let part = |index, size| CommandPart { index, size };
    // Of the events at positions 2 and 3, which are one command.
    let (first, second) = (part(0, 2), part(1, 2));
    for (parts, torn) in [
        ([part(0, 1), second], 3),
        ([first, part(0, 1)], 3),
        ([first, part(1, 3)], 3),
        ([first, first], 3),
        ([second, first], 2),
        ([part(0, 0), part(0, 1)], 2),
        ([part(0, 1_001), part(1, 1_001)], 2),
        ([part(0, u32::MAX), part(u32::MAX, u32::MAX)], 2),
    ] {
        let mut rows = log(&[1, 2, 1]);
        (rows[2].part, rows[3].part) = (parts[0], parts[1]);
        for at in 2..rows.len() {
            let before = rows[at - 1].hash;
            seal(before, &mut rows[at]);
        }
        let mut tail = Tail::after(Position(1), rows[1].hash);
        let error = refused(&mut tail, &rows[1..]);
        assert_eq!(error, TailError::Torn { position: Position(torn) }, "{parts:?}");
        assert_eq!(
            error.to_string(),
            format!("the event at position {torn} is not the next part of a command")
        );
    }
}

#[test]
fn a_reader_may_go_on_within_a_command() {
    let rows = log(&[1, 3, 1]);
    let mut tail = Tail::after(Position(3), rows[3].hash);
    assert_eq!(tail.advance(page(&rows[3..])), Ok(rows[4..].to_vec()));
    let mut tail = Tail::after(Position(2), rows[2].hash);
    let mut torn = rows.clone();
    torn[3].part = CommandPart::WHOLE;
    let before = torn[2].hash;
    seal(before, &mut torn[3]);
    let error = refused(&mut tail, &torn[2..4]);
    assert_eq!(error, TailError::Torn { position: Position(3) });
}

#[test]
fn a_broken_chain_stops_the_reader() {
    let mut rows = log(&[1, 1, 1]);
    rows[2].metadata = "{ }".into();
    let mut tail = Tail::after(Position::GENESIS, rows[0].hash);
    let error = refused(&mut tail, &rows);
    let TailError::Chain(found) = &error else { panic!("no break: {error}") };
    assert_eq!(found.position, Position(2));
    assert_eq!(error.to_string(), found.to_string());
}
