//! A store that was left behind at a failover, or a standby that lags, at the start of a server that has read
//! more. Only its snapshots know of that by then.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use configapi_event_log::{EventLog as _, MemoryLog};
use configapi_query_service::snapshot;
use tempfile::TempDir;

use crate::replaced_logs::with_values;
use crate::snapshots::{files, flipped, seldom, settings};
use crate::support::{FaultyLog, Server, Writer, at_least, eventually, memory_log};

/// What was left behind, with what was lost; what took over; and the snapshots of a server that read first
/// the one and then the other. The one of what was lost holds more.
async fn failed_over() -> (Arc<MemoryLog>, Arc<MemoryLog>, TempDir) {
    let (old, _) = with_values(&["1", "2", "lost", "lost too"]).await;
    let (promoted, mut survivor) = with_values(&["1", "2"]).await;
    survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
    let kept = survivor.set("default/a", "new").await;
    let dir = tempfile::tempdir().unwrap();
    let has_one_of = |token: &str| {
        let whole = files(&dir).into_iter().filter_map(|path| snapshot::inspect(&path).ok());
        whole.into_iter().any(|it| format!("{}-{}", it.epoch.0, it.position.0) == token)
    };
    let faulty = FaultyLog::around(old.clone());
    let server = Server::start(faulty.clone(), &settings(&dir));
    eventually("a snapshot of what will be lost", async || has_one_of("1-4")).await;
    faulty.replace(promoted.clone());
    eventually("what took over is served", async || {
        server.get("default/a", Some(at_least(&kept))).await.is_ok()
    })
    .await;
    eventually("a snapshot of what took over", async || has_one_of(&kept)).await;
    assert!(has_one_of("1-4"), "the other one is there still");
    drop(server);
    (old, promoted, dir)
}

/// The server does not serve, because a snapshot says that the store was left behind.
async fn is_told(server: &Server) {
    eventually("it is told that the store was left behind", async || {
        let told = server.service.readiness()();
        told.is_err_and(|why| why.contains("the store is in epoch 1") && why.contains("in epoch 2"))
    })
    .await;
    let told = server.service.readiness()().unwrap_err();
    assert!(told.contains("snapshot-000002-") && told.contains("delete the snapshots"), "{told}");
}

#[tokio::test]
async fn a_store_that_was_left_behind_is_not_served_by_who_has_a_snapshot_of_what_took_over() {
    let (old, promoted, dir) = failed_over().await;
    let (behind, _) = with_values(&["1"]).await;
    let standby = FaultyLog::around(behind);
    standby.is_standby.store(true, Ordering::SeqCst);
    // It has the very event that the other snapshot ends with, or has yet to get to either.
    for faulty in [FaultyLog::around(old), standby] {
        let server = Server::start(faulty.clone(), &seldom(&dir));
        is_told(&server).await;
        faulty.replace(promoted.clone());
        faulty.is_standby.store(false, Ordering::SeqCst);
        server.until_ready().await;
        assert_eq!(server.value("default/a", "2-3").await, "new");
    }
}

#[tokio::test]
async fn an_older_epoch_is_told_by_a_whole_snapshot_of_this_log_alone_and_as_long_as_it_is_there() {
    let (old, _, dir) = failed_over().await;
    Server::start(memory_log(2), &seldom(&dir)).until_ready().await;
    let server = Server::start(old.clone(), &seldom(&dir));
    is_told(&server).await;
    let of_later = files(&dir).pop().unwrap();
    let whole = fs::read(&of_later).unwrap();
    fs::remove_file(&of_later).unwrap();
    server.until_ready().await;
    assert_eq!(server.value("default/a", "1-4").await, "lost too");

    fs::write(&of_later, flipped(&whole, whole.len() * 7)).unwrap();
    Server::start(old, &seldom(&dir)).until_ready().await;
}

/// A log of three events, and a snapshot of all of it.
async fn snapshotted() -> (Arc<MemoryLog>, TempDir) {
    let (log, _) = with_values(&["1", "2", "3"]).await;
    let dir = tempfile::tempdir().unwrap();
    let before = Server::start(log.clone(), &settings(&dir));
    eventually("a snapshot of everything", async || {
        files(&dir).pop().is_some_and(|path| snapshot::inspect(&path).is_ok())
    })
    .await;
    drop(before);
    (log, dir)
}

/// A server on a standby that has one event, with a snapshot of three; and who writes what comes there next.
async fn behind_a_snapshot() -> (Server, Arc<FaultyLog>, Arc<MemoryLog>, Writer, TempDir) {
    let (log, dir) = snapshotted().await;
    let (behind, late) = with_values(&["1"]).await;
    let standby = FaultyLog::around(behind);
    standby.is_standby.store(true, Ordering::SeqCst);
    let server = Server::start(standby.clone(), &seldom(&dir));
    server.until_ready().await;
    assert_eq!(server.value("default/a", "1-1").await, "1");
    (server, standby, log, late, dir)
}

#[tokio::test]
async fn a_standby_is_compared_with_a_snapshot_once_it_has_come_so_far() {
    let (server, _, _, mut late, _dir) = behind_a_snapshot().await;
    for value in ["2", "3", "4"] {
        let token = late.set("default/a", value).await;
        assert_eq!(server.value("default/a", &token).await, value);
    }

    // And one that goes another way.
    let (server, standby, log, mut late, _dir) = behind_a_snapshot().await;
    let same = late.set("default/a", "2").await;
    assert_eq!(server.value("default/a", &same).await, "2");
    late.set("default/a", "another").await;
    late.set("default/a", "and more").await;
    eventually("the loss is told", async || {
        let told = server.service.readiness()();
        told.is_err_and(|why| why.contains("position 3") && why.contains("no new epoch says so"))
    })
    .await;
    // Brought back, it is served.
    standby.replace(log);
    server.until_ready().await;
    assert_eq!(server.value("default/a", "1-3").await, "3");
}

/// The loss is told of by an epoch, but what the standby came to next lies before that.
#[tokio::test]
async fn a_late_epoch_that_a_standby_comes_to_is_compared_with_a_snapshot() {
    let (server, standby, log, mut late, _dir) = behind_a_snapshot().await;
    late.set("default/a", "another").await;
    late.head.epoch = standby.begin_epoch(&late.head).await.unwrap();
    // Nothing more has to come for that.
    eventually("it is told that the epoch is late", async || {
        let told = server.service.readiness()();
        told.is_err_and(|why| why.contains("position 2 that a snapshot holds, and epoch 2, which"))
    })
    .await;
    let told = server.service.readiness()().unwrap_err();
    assert!(told.contains("began at 3, is too late to say so"), "{told}");
    late.set("default/a", "and more").await;
    late.set("default/a", "and yet more").await;
    assert!(server.get("default/a", None).await.is_err(), "it was served");
    // Brought back, in an epoch above that one, it is served.
    for _ in 0..2 {
        log.begin_epoch(&log.head().await.unwrap()).await.unwrap();
    }
    standby.replace(log);
    server.until_ready().await;
    assert_eq!(server.value("default/a", "1-3").await, "3");

    // One that is in time leaves nothing to be told.
    let (server, standby, _, mut late, _dir) = behind_a_snapshot().await;
    late.head.epoch = standby.begin_epoch(&late.head).await.unwrap();
    for value in ["other", "another", "and more"] {
        let token = late.set("default/a", value).await;
        assert_eq!(server.value("default/a", &token).await, value);
    }
}

/// Of several epochs the one is named that ended what the snapshot holds.
#[tokio::test]
async fn what_a_snapshot_holds_was_ended_by_the_first_epoch_after_it() {
    let (log, dir) = snapshotted().await;
    let (restored, mut writer) = with_values(&["1"]).await;
    for value in ["another", "and more", "and yet more"] {
        writer.set("default/a", value).await;
        writer.head.epoch = restored.begin_epoch(&writer.head).await.unwrap();
    }
    let server = Server::start(FaultyLog::around(restored), &seldom(&dir));
    eventually("it is told that an epoch is late", async || {
        let told = server.service.readiness()();
        told.is_err_and(|why| why.contains("is too late to say so"))
    })
    .await;
    let told = server.service.readiness()().unwrap_err();
    let what = "position 2 that a snapshot holds, and epoch 2, which began at 3, is too late";
    assert!(told.contains(what), "{told}");
    // Brought back, in an epoch above all of them, it is served.
    for _ in 0..4 {
        log.begin_epoch(&log.head().await.unwrap()).await.unwrap();
    }
    let server = Server::start(log, &seldom(&dir));
    server.until_ready().await;
    assert_eq!(server.value("default/a", "1-3").await, "3");
}
