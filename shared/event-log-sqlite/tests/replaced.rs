//! A file that goes away in the very moment in which something is written to it, or moved into it.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use configapi_event_log::conformance::Factory;
use configapi_event_log::{AppendError, EventLog};
use configapi_event_log_sqlite::SqliteLog;
use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

/// Enough for everybody who is ready to have come to where they wait for something.
const TURNS: usize = 200;
/// More than an append takes to come to where it waits for a lock, on whatever machine.
const MOST_TURNS: usize = 1 << 22;
/// So many events weigh more than is written before it is moved into the file.
const MANY: u64 = 50_000;

async fn let_all_come_to_wait() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

/// Moves the file aside, or what is beside it with this end.
fn move_aside(file: &InFile, end: &str) -> impl FnOnce() {
    let name = file.path().with_extension(format!("db{end}"));
    let aside = file.directory.path().join("aside");
    std::fs::rename(&name, &aside).unwrap();
    move || std::fs::rename(&aside, &name).unwrap()
}

/// What became of an append whose file was moved aside so many turns after it had begun, while somebody
/// else had the lock.
async fn append_after(turns: usize, end: &str) -> Result<(), AppendError> {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = events(&head, 1);
    let mut console = console(&file.path()).await;
    run(&mut console, "BEGIN IMMEDIATE").await.unwrap();
    let mut append = log.append(&head, &rows);
    assert!((&mut append).now_or_never().is_none());
    for _ in 0..turns {
        yield_now().await;
    }
    let bring_back = move_aside(&file, end);
    run(&mut console, "ROLLBACK").await.unwrap();
    let outcome = append.await;
    bring_back();
    let is_written = matches!(outcome, Err(AppendError::Unknown(_)));
    let position = if is_written { rows[0].position } else { head.position };
    assert_eq!(log.head().await.unwrap().position, position, "{end}: {outcome:?}");
    outcome
}

/// What is in it may be lost with the process, or may not: the file may come back. It is moved later and
/// later, until the append has found it where it should be, and waits for the lock; before that nothing is
/// written.
#[tokio::test]
async fn what_was_committed_to_a_file_that_went_away_meanwhile_is_not_told_as_written() {
    for end in ["", "-wal", "-shm"] {
        let mut turns = 1;
        let why = loop {
            match append_after(turns, end).await {
                Err(AppendError::Unknown(why)) => break why,
                Err(AppendError::Unavailable(_)) if turns < MOST_TURNS => turns *= 2,
                outcome => panic!("{end}: {outcome:?} after {turns} turns"),
            }
        };
        assert!(why.ends_with("restart the server"), "{why}");
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

async fn write(log: &SqliteLog, count: u64) {
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, count)).await.unwrap();
}

/// Else it would be another one's write-ahead log that is moved into it.
#[test]
fn nothing_is_moved_into_a_file_that_went_away() {
    let (moves, writes) = (runtime(), runtime());
    let (file, log) = moves.block_on(async {
        let file = InFile::fresh().await;
        let log: Arc<SqliteLog> = SqliteLog::open(&file.path(), NOW).await.unwrap();
        (file, log)
    });
    // Who opened it lets go of it.
    let (stop, stopped) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| moves.block_on(stopped));
        writes.block_on(write(&log, 1));
        drop(stop);
    });
    // Who moves has no turn before the file is away.
    writes.block_on(write(&log, MANY));
    let aside = file.directory.path().join("aside");
    let _bring_back = move_aside(&file, "");
    let before = bytes(&aside);
    moves.block_on(async {
        let_all_come_to_wait().await;
        log.close().await;
    });
    assert!(bytes(&aside) == before, "something was moved");
}
