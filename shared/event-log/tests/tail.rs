//! A reader takes no step that the rules do not allow, and stays where it was.

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Epoch, Hash, Page, Reach, StoredEvent, Tail, TailError, seal};

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
    replaced[1].payload.push(' ');
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
fn a_broken_chain_stops_the_reader() {
    let mut rows = log(&[1, 1, 1]);
    rows[2].metadata = "{ }".to_owned();
    let mut tail = Tail::after(Position::GENESIS, rows[0].hash);
    let error = refused(&mut tail, &rows);
    let TailError::Chain(found) = &error else { panic!("no break: {error}") };
    assert_eq!(found.position, Position(2));
    assert_eq!(error.to_string(), found.to_string());
}
