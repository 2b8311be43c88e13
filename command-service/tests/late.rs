//! A log that was restored and written on before an epoch said so. Whoever knows what was lost says that this
//! is too late; whoever does not know it has nothing against the log.

use std::sync::Arc;

use configapi_command_service::committer::Limits;
use configapi_event_log::{EventLog as _, MemoryLog};
use configapi_proto::Reason;

use crate::faulty_log::FaultyLog;
use crate::support::{TestServer, copy_of, memory_log, start_on};

/// How many events are written over those that were lost.
const OVER: [u64; 3] = [1, 2, 4];

/// A server, the log that it wrote three events to, and that log as it was before the last two of them.
async fn restored_under() -> (TestServer, Arc<FaultyLog>, Arc<MemoryLog>) {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    let restored = copy_of(&*log).await;
    server.set("a", "lost").await.unwrap();
    server.set("a", "lost too").await.unwrap();
    (server, log, restored)
}

/// Another server, which knows nothing of what was lost, writes so many events an hour later.
async fn write_on(restored: &Arc<MemoryLog>, count: u64) {
    let other = start_on(restored.clone(), Limits::default()).await;
    other.clock.advance(3_600_000_000);
    for _ in 0..count {
        other.set("a", "another").await.unwrap();
    }
}

#[tokio::test]
async fn an_epoch_that_began_after_the_log_was_written_on_comes_too_late() {
    for count in OVER {
        let (server, log, restored) = restored_under().await;
        let whole = log.inner();
        write_on(&restored, count).await;
        restored.begin_epoch(&restored.head().await.unwrap()).await.unwrap();
        log.replace_by(restored.clone());
        for _ in 0..2 {
            let error = server.set("a", "2").await.unwrap_err();
            assert_eq!(error.reason, Reason::LogChanged);
            let late = format!("epoch 2, which began at {}, is too late to say so", count + 2);
            assert!(error.message.contains(&late), "{error}");
            assert_eq!(error.precondition_violations[0].subject, "log");
        }
        // One that never knew the lost events knows nothing against the log.
        let other = start_on(restored, Limits::default()).await;
        assert_eq!(other.set("a", "2").await.unwrap().version, count + 2);

        // Brought back, above the epoch that has had other events.
        for _ in 0..2 {
            whole.begin_epoch(&whole.head().await.unwrap()).await.unwrap();
        }
        log.replace_by(whole);
        assert_eq!(server.set("a", "2").await.unwrap().token, "3-4");
    }
}

#[tokio::test]
async fn an_epoch_that_began_before_the_log_was_written_on_comes_in_time() {
    for count in OVER {
        let (server, log, restored) = restored_under().await;
        restored.begin_epoch(&restored.head().await.unwrap()).await.unwrap();
        write_on(&restored, count).await;
        log.replace_by(restored);
        assert_eq!(server.set("a", "2").await.unwrap().version, count + 2);
    }
}

/// An epoch too many ends nothing that was lost.
#[tokio::test]
async fn an_epoch_after_one_that_came_in_time_is_not_late() {
    let (server, log, restored) = restored_under().await;
    restored.begin_epoch(&restored.head().await.unwrap()).await.unwrap();
    write_on(&restored, 4).await;
    restored.begin_epoch(&restored.head().await.unwrap()).await.unwrap();
    log.replace_by(restored);
    assert_eq!(server.set("a", "2").await.unwrap().token, "3-6");
}

/// What is written at one time, or by a clock that is behind, bears one time.
#[tokio::test]
async fn what_was_kept_of_the_time_of_what_was_lost_is_not_late() {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    let restored = copy_of(&*log).await;
    server.clock.turn_back(1_000);
    server.set("a", "lost").await.unwrap();
    let events = server.events().await;
    assert_eq!(events[0].recorded_at, events[1].recorded_at);
    restored.begin_epoch(&restored.head().await.unwrap()).await.unwrap();
    write_on(&restored, 1).await;
    log.replace_by(restored);
    assert_eq!(server.set("a", "2").await.unwrap().version, 3);
}
