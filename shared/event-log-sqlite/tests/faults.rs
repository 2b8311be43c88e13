//! A disk that fails, a file that goes away: what is told is true, and service returns by itself
//! where it can.

use std::path::Path;
use std::sync::Arc;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, Epoch, EventLog, LogError, PageLimit};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

/// From now on SQLite rolls back by itself where a row of this position comes, as it does when the
/// disk is full.
async fn fail_at(path: &Path, position: u64) {
    let sql = format!(
        "CREATE TRIGGER disk_is_full AFTER INSERT ON events WHEN NEW.position = {position} \
         BEGIN SELECT RAISE(ROLLBACK, 'as if the disk were full'); END"
    );
    run(&mut console(path).await, &sql).await.unwrap();
}

async fn heal(path: &Path) {
    run(&mut console(path).await, "DROP TRIGGER disk_is_full").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_keeps_nobody_from_writing() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = events(&head, 1_500);

    fail_at(&file.path(), 1_200).await;
    let error = log.append(&head, &rows).await.unwrap_err();
    assert!(error.to_string().contains("as if the disk were full"), "{error}");
    heal(&file.path()).await;
    drop(log.take_turn().await.unwrap());
    log.append(&head, &rows).await.unwrap();

    let head = log.head().await.unwrap();
    let rows = events(&head, 2);
    fail_at(&file.path(), 1_502).await;
    let error = log.take_turn().await.unwrap().append(&head, &rows).await.unwrap_err();
    assert!(error.to_string().contains("as if the disk were full"), "{error}");
    heal(&file.path()).await;
    let mut turn = log.take_turn().await.unwrap();
    let page = turn.read(head.position, PageLimit::TAIL).await.unwrap();
    assert_eq!(page.events.len(), 1, "a refused batch left something");
    turn.append(&head, &rows).await.unwrap();
    let head = log.head().await.unwrap();
    assert_eq!(head.position, Position(1_502));
    assert_eq!(log.begin_epoch(&head).await, Ok(Epoch(2)));
}

/// Only what certainly happened to an append may be told of it, and in the words of who knows.
#[tokio::test]
async fn what_becomes_of_an_append_follows_from_what_sqlite_says() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = events(&head, 1);
    let mut console = console(&file.path()).await;
    for (refused, does, told) in [
        (true, "RAISE(ABORT, 'as told')", "as told"),
        (true, "zeroblob(2147483647)", "string or blob too big"),
        (false, "json('{')", "malformed JSON"),
    ] {
        let trigger =
            format!("CREATE TRIGGER tell BEFORE INSERT ON events BEGIN SELECT {does}; END");
        run(&mut console, &trigger).await.unwrap();
        let outcome = log.append(&head, &rows).await;
        let is_right = match &outcome {
            Err(AppendError::Refused(why)) => refused && why.contains(told),
            Err(AppendError::Unknown(why)) => !refused && why.contains(told),
            _ => false,
        };
        assert!(is_right, "{does}: {outcome:?}");
        assert_eq!(log.head().await, Ok(head));
        run(&mut console, "DROP TRIGGER tell").await.unwrap();
    }
    let trigger = "CREATE TRIGGER tell BEFORE INSERT ON epochs \
                   BEGIN SELECT RAISE(ABORT, 'no epoch now'); END";
    run(&mut console, trigger).await.unwrap();
    let error = log.begin_epoch(&head).await.unwrap_err();
    assert!(
        matches!(&error, LogError::Unavailable(why) if why.contains("no epoch now")),
        "{error}"
    );
    log.append(&head, &rows).await.unwrap();
}

#[tokio::test]
async fn an_append_that_had_no_turn_is_known_not_to_be_done() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = events(&head, 1);
    let mut console = console(&file.path()).await;
    run(&mut console, "BEGIN IMMEDIATE").await.unwrap();
    let outcome = log.append(&head, &rows).await;
    let is_right = matches!(&outcome, Err(AppendError::Unavailable(why)) if why.contains("locked"));
    assert!(is_right, "{outcome:?}");
    run(&mut console, "ROLLBACK").await.unwrap();
    log.append(&head, &rows).await.unwrap();
}

/// What everybody is told whose file is not there any more.
async fn assert_refused(log: &Arc<SqliteLog>, is_writer: bool) {
    const TOLD: &str = "was removed or replaced while it was open; restart the server";
    let told = |error: LogError| {
        assert!(matches!(error, LogError::Unusable(_)), "{error}");
        assert!(error.to_string().ends_with(TOLD), "{error}");
    };
    told(log.head().await.unwrap_err());
    told(log.identity().await.unwrap_err());
    told(log.read(Position::GENESIS, PageLimit::TAIL).await.unwrap_err());
    if is_writer {
        told(log.take_turn().await.unwrap_err());
    }
}

#[tokio::test]
async fn a_file_that_was_removed_or_replaced_is_neither_written_nor_read() {
    let file = InFile::fresh().await;
    let writer = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let reader = SqliteLog::open_for_reading(&file.path()).await.unwrap();
    let head = writer.head().await.unwrap();
    writer.append(&head, &events(&head, 2)).await.unwrap();
    let head = reader.head().await.unwrap();
    let rows = events(&head, 1);
    let turn = writer.take_turn().await.unwrap();

    let aside = file.directory.path().join("aside.db");
    std::fs::rename(file.path(), &aside).unwrap();
    let outcome = turn.append(&head, &rows).await;
    assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    for is_replaced in [false, true] {
        if is_replaced {
            std::fs::copy(&aside, file.path()).unwrap();
        }
        assert_refused(&writer, true).await;
        assert_refused(&reader, false).await;
        let outcome = writer.append(&head, &rows).await;
        let Err(AppendError::Unavailable(text)) = outcome else { panic!("{outcome:?}") };
        assert!(text.ends_with("restart the server"), "{text}");
    }

    // Nothing was lost, so the very file may come back.
    std::fs::rename(&aside, file.path()).unwrap();
    writer.append(&head, &rows).await.unwrap();
    assert_eq!(reader.head().await.unwrap().position, rows[0].position);
}

#[tokio::test]
async fn nothing_is_written_once_the_write_ahead_log_was_removed_or_replaced() {
    for end in ["-wal", "-shm"] {
        let file = InFile::fresh().await;
        let writer = SqliteLog::open(&file.path(), NOW).await.unwrap();
        let reader = SqliteLog::open_for_reading(&file.path()).await.unwrap();
        let head = writer.head().await.unwrap();
        let rows = events(&head, 1);
        let turn = writer.take_turn().await.unwrap();
        let beside = |path: &Path| path.with_extension(format!("db{end}"));
        let aside = file.directory.path().join("aside");
        std::fs::rename(beside(&file.path()), &aside).unwrap();
        let outcome = turn.append(&head, &rows).await;
        assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
        for is_replaced in [false, true] {
            if is_replaced {
                std::fs::copy(&aside, beside(&file.path())).unwrap();
            }
            assert_refused(&writer, true).await;
            assert_refused(&reader, false).await;
            let outcome = writer.append(&head, &rows).await;
            let Err(AppendError::Unavailable(text)) = outcome else { panic!("{outcome:?}") };
            assert!(text.contains(end) && text.ends_with("restart the server"), "{text}");
            let error = writer.begin_epoch(&head).await.unwrap_err();
            assert!(matches!(error, LogError::Unusable(_)), "{error}");
        }
        std::fs::rename(&aside, beside(&file.path())).unwrap();
        assert_eq!(writer.head().await.unwrap(), head, "a refused batch was written");
        writer.append(&head, &rows).await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_is_opened_through_a_link_to_its_file() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let link = file.directory.path().join("link.db");
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    let linked = SqliteLog::open(&link, NOW).await.unwrap();
    let head = log.head().await.unwrap();
    linked.append(&head, &events(&head, 1)).await.unwrap();
    assert_eq!(log.head().await, linked.head().await);
}

#[tokio::test]
async fn a_copy_without_a_write_ahead_log_is_read_and_heeded_once_it_has_one() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let copy = file.directory.path().join("copy.db");
    let vacuum = format!("VACUUM INTO '{}'", copy.display());
    run(&mut console(&file.path()).await, &vacuum).await.unwrap();

    let reader = SqliteLog::open_for_reading(&copy).await.unwrap();
    assert!(!copy.with_extension("db-wal").exists());
    assert_eq!(reader.head().await, log.head().await);
    let writer = SqliteLog::open(&copy, NOW).await.unwrap();
    let head = writer.head().await.unwrap();
    writer.append(&head, &events(&head, 1)).await.unwrap();
    assert_eq!(reader.head().await, writer.head().await);
    std::fs::remove_file(copy.with_extension("db-wal")).unwrap();
    assert_refused(&writer, true).await;
    assert_refused(&reader, false).await;
}
