//! What a process knows beside the index: never more than it may hold, and nothing that the log lost.

use std::path::Path;
use std::sync::Arc;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::{Position, Version};
use configapi_event_log::{AppendError, EventLog, Hash, Head, LogError, seal};

use crate::index::{
    append, assert_all_are_found, assert_nothing_is_missing, index_of, next, request_of,
};
use crate::suite::InFile;
use crate::writing::{console, events, run};

/// Events with names as long as theirs of which a turn of the index is made.
const TURN: i64 = 8_600;

#[tokio::test]
async fn the_index_keeps_up_however_often_its_writer_starts_anew() {
    let file = InFile::fresh().await;
    let mut lacks = Vec::new();
    for _ in 0..8 {
        // Too few for the index to be told of all that was there.
        let log = file.open().await;
        append(&*log, 7_000).await;
        let end = log.head().await.unwrap().position.0.cast_signed();
        lacks.push(end - index_of(&file.path()).await.0);
    }
    assert!(
        lacks.iter().all(|lacks| *lacks < 3 * TURN),
        "the index lacks more and more: {lacks:?}"
    );
    let log = file.open().await;
    assert_all_are_found(&file.path(), &*log).await;
    assert_nothing_is_missing(&mut console(&file.path()).await).await;
}

/// What is entered with a commit that is refused would be in the way of being entered with the next one.
#[tokio::test]
async fn what_is_entered_with_events_that_are_refused_is_not_in_the_index() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    let mut stood_at = index_of(&file.path()).await;
    while stood_at.0 == 0 {
        let head = Head { hash: Hash::ZERO, ..log.head().await.unwrap() };
        assert_eq!(log.append(&head, &next(&head, 1)).await, Err(AppendError::HeadGone));
        assert_eq!(index_of(&file.path()).await, stood_at);
        append(&*log, 700).await;
        stood_at = index_of(&file.path()).await;
    }
    assert_all_are_found(&file.path(), &*log).await;
    assert_nothing_is_missing(&mut console(&file.path()).await).await;
}

/// Somebody with the file in their hands.
async fn delete(path: &Path, which: &str) {
    let mut console = console(path).await;
    for sql in [
        "DROP TRIGGER events_are_not_deleted",
        &format!("DELETE FROM events WHERE position {which}"),
    ] {
        run(&mut console, sql).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_log_lost_is_forgotten_once_an_epoch_says_so() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    append(&*log, 2_000).await;
    // As `.restore` of `sqlite3` does to a file that is open.
    delete(&file.path(), "> 500").await;
    let other = file.open().await;
    other.begin_epoch(&other.head().await.unwrap()).await.unwrap();
    for writer in [&log, &other, &log] {
        let head = writer.head().await.unwrap();
        writer.append(&head, &events(&head, 300)).await.unwrap();
        for asked in [&log, &other, &file.open().await] {
            assert_all_are_found(&file.path(), &**asked).await;
        }
    }
    for writer in [log, other] {
        let head = writer.head().await.unwrap();
        let mut rows = events(&head, 1);
        rows[0].stream = Arc::from("default/config/777");
        rows[0].version = Version(1);
        let taken = writer.append(&head, &rows).await;
        assert!(matches!(&taken, Err(AppendError::Refused(_))), "{taken:?}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_log_is_not_taken_twice_before_an_epoch_says_that_it_lost_something() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    append(&*log, 2_000).await;
    delete(&file.path(), "> 500").await;
    let head = log.head().await.unwrap();
    assert_eq!(head.position, Position(500));
    let mut rows = next(&head, 1);
    rows[0].request_id = request_of(Position(2));
    assert_eq!(log.append(&head, &rows).await, Err(AppendError::RequestIdTaken));
    assert_eq!(log.head().await, Ok(head));
    log.append(&head, &next(&head, 300)).await.unwrap();
    assert_all_are_found(&file.path(), &*log).await;
}

#[tokio::test]
async fn nothing_is_decided_behind_an_event_that_is_missing() {
    let file = InFile::fresh().await;
    append(&*file.open().await, 100).await;
    delete(&file.path(), "= 50").await;
    let log = file.open().await;
    let newest = log.newest(&["default/any"], usize::MAX).await.unwrap_err();
    assert!(matches!(&newest, LogError::Corrupt { position, .. } if position.0 == 50), "{newest}");
    let head = log.head().await.unwrap();
    let appended = log.append(&head, &events(&head, 1)).await.unwrap_err();
    assert!(matches!(&appended, AppendError::Unavailable(why) if why.contains("50")), "{appended}");
    assert_eq!(log.head().await, Ok(head));
}

/// The next event of a stream, at a version, behind the end of the log.
async fn append_at(log: &dyn EventLog, stream: &str, version: u64) -> Result<(), AppendError> {
    let head = log.head().await.unwrap();
    let mut rows = next(&head, 2);
    rows[1].stream = Arc::from(stream);
    rows[1].version = Version(version);
    rows[1].request_id = None;
    let before = rows[0].hash;
    seal(before, &mut rows[1]);
    let outcome = log.append(&head, &rows).await;
    assert_eq!(log.head().await.unwrap() == head, outcome.is_err());
    outcome
}

fn is_taken(outcome: &Result<(), AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Refused(why)) if why.contains("the version is taken"))
}

#[tokio::test]
async fn a_version_that_the_index_has_is_taken_whoever_asks_and_whatever_its_stream_is_called() {
    const ODD: &str = "default/\"odd\\\" na\u{ef}ve\u{1}\u{1f600}";
    let file = InFile::fresh().await;
    let log = file.open().await;
    append_at(&*log, ODD, 1).await.unwrap();
    append(&*log, 20_000).await;
    assert!(index_of(&file.path()).await.0 > 2, "the index has it");
    let logs = [log, file.open().await];
    for newest in 1..3 {
        for (log, taken) in logs.iter().flat_map(|log| (1..=newest).map(move |taken| (log, taken)))
        {
            let outcome = append_at(&**log, ODD, taken).await;
            assert!(is_taken(&outcome), "{taken}: {outcome:?}");
        }
        append_at(&*logs[0], ODD, newest + 1).await.unwrap();
        append(&*logs[0], 20_000).await;
    }
}

#[tokio::test]
async fn what_another_writer_appended_and_entered_is_not_taken_twice() {
    // The index has the first version of the one, and not of the other.
    const STREAMS: [&str; 2] = ["default/both", "default/late"];
    let file = InFile::fresh().await;
    let (log, other) = (file.open().await, file.open().await);
    append_at(&*log, STREAMS[0], 1).await.unwrap();
    append(&*log, 20_000).await;
    assert!(index_of(&file.path()).await.0 > 2, "the index has the first version");
    append_at(&*log, STREAMS[1], 1).await.unwrap();
    let known = log.head().await.unwrap();
    let end = known.position.0.cast_signed();
    for stream in STREAMS {
        append_at(&*other, stream, 2).await.unwrap();
    }
    append_at(&*other, "default/new", 1).await.unwrap();
    append(&*other, 30_000).await;
    assert!(index_of(&file.path()).await.0 > end + 6, "the index has the second versions");
    // Who does not know of that yet can decide again.
    let mut row = next(&known, 1).remove(0);
    row.stream = "default/new".into();
    row.version = Version(1);
    seal(known.hash, &mut row);
    assert_eq!(log.append(&known, &[row]).await, Err(AppendError::HeadMoved));
    for stream in STREAMS {
        let outcome = append_at(&*log, stream, 2).await;
        assert!(is_taken(&outcome), "{stream}: {outcome:?}");
        append_at(&*log, stream, 3).await.unwrap();
    }
}

#[tokio::test]
async fn what_came_in_the_place_of_what_was_lost_is_not_taken_twice() {
    const STREAM: &str = "default/instead";
    let file = InFile::fresh().await;
    let log = file.open().await;
    append(&*log, 1_000).await;
    let lost = log.head().await.unwrap();
    delete(&file.path(), "> 500").await;
    let other = file.open().await;
    other.begin_epoch(&other.head().await.unwrap()).await.unwrap();
    append_at(&*other, STREAM, 1).await.unwrap();
    append(&*other, 498).await;
    // It ends where it ended for who knows what was lost.
    assert_eq!(log.head().await.unwrap().position, lost.position);
    let outcome = append_at(&*log, STREAM, 1).await;
    assert!(is_taken(&outcome), "{outcome:?}");
    append_at(&*log, STREAM, 2).await.unwrap();
}
