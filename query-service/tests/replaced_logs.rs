//! Another log, or less of the same one, in the place of the one that a server reads from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use configapi_domain::Position;
use configapi_event_log::{EventLog as _, MemoryLog, PageLimit, Reach};
use configapi_proto::Reason;

use crate::broken_logs::running;
use crate::freshness::impatient;
use crate::snapshots::{files, other_history, settings, with_snapshot};
use crate::support::{
    FaultyLog, Op, Server, Writer, at_least, eventually, key, linearizable, memory_log, reason_of,
};

/// A log that has so much of the first one, as a standby or a backup has it, and who writes to it.
pub async fn with_values(values: &[&str]) -> (Arc<MemoryLog>, Writer) {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for value in values {
        writer.set("default/a", value).await;
    }
    (log, writer)
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_read_anew_and_old_tokens_are_refused() {
    let (_, faulty, mut writer, server) = running().await;
    let lost = writer.set("default/a", "lost").await;
    assert_eq!(server.value("default/a", &lost).await, "lost");

    // A standby that had the first two events takes over, in an epoch of its own.
    let (promoted, mut survivor) = with_values(&["1", "2"]).await;
    survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
    let kept = survivor.set("default/b", "new").await;
    assert_eq!(kept, "2-3");
    faulty.replace(promoted);

    eventually("the new tail is served", async || {
        server.get("default/b", Some(at_least(&kept))).await.is_ok()
    })
    .await;
    assert_eq!(server.get("default/a", None).await.unwrap().config.unwrap().value, "2");
    let status = server.get("default/a", Some(at_least(&lost))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::LogChanged);
    // What was before the loss still means the same.
    assert_eq!(server.value("default/a", "1-2").await, "2");
}

#[tokio::test]
async fn a_standby_that_has_another_event_is_not_taken_for_one_that_is_behind() {
    let (_, faulty, mut writer, server) = running().await;
    let token = writer.set("default/a", "3").await;
    assert_eq!(server.value("default/a", &token).await, "3");
    faulty.is_standby.store(true, Ordering::SeqCst);
    faulty.replace(with_values(&["1", "2", "another"]).await.0);
    eventually("the loss is told", async || {
        server.service.readiness()().is_err_and(|why| why.contains("no new epoch says so"))
    })
    .await;
}

#[tokio::test]
async fn what_the_log_does_not_hold_is_not_served_before_it_is_known_why() {
    let (log, faulty, mut writer, server) = running().await;
    let token = writer.set("default/a", "3").await;
    assert_eq!(server.value("default/a", &token).await, "3");
    faulty.has_no_genesis.store(true, Ordering::SeqCst);
    faulty.replace(with_values(&["1"]).await.0);
    let told = server.until_not_ready().await;
    assert!(told.contains("it is not known yet why"), "{told}");

    // It was nothing, and nobody has to say whose log it is.
    faulty.replace(log);
    server.until_ready().await;
    assert_eq!(server.value("default/a", &token).await, "3");
}

/// It ends before what was read, as one does that lags; but its epoch says that this is lost.
#[tokio::test]
async fn a_standby_of_a_log_that_lost_its_tail_is_not_taken_for_one_that_is_behind() {
    let (_, faulty, mut writer, server) = running().await;
    let lost = writer.set("default/a", "lost").await;
    assert_eq!(server.value("default/a", &lost).await, "lost");
    let (promoted, survivor) = with_values(&["1", "2"]).await;
    promoted.begin_epoch(&survivor.head).await.unwrap();
    // It has not come to the last event that is kept.
    faulty.tamper(|rows| rows.retain(|row| row.position < Position(2)));
    faulty.is_standby.store(true, Ordering::SeqCst);
    faulty.replace(promoted);
    server.until_not_ready().await;
    let asked = faulty.identities.load(Ordering::SeqCst);
    eventually("it was asked again and again", async || {
        let told = server.service.readiness()().unwrap_err();
        assert!(told.contains("it is not known yet why"), "{told}");
        faulty.identities.load(Ordering::SeqCst) > asked + 2
    })
    .await;

    faulty.mend();
    server.until_ready().await;
    assert_eq!(server.value("default/a", "1-2").await, "2");
    let status = server.get("default/a", Some(at_least(&lost))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::LogChanged);
}

#[tokio::test]
async fn a_lost_tail_is_refused_until_a_new_epoch_says_so() {
    let (log, faulty, mut writer, server) = running().await;
    let lost = writer.set("default/a", "lost").await;
    assert_eq!(server.value("default/a", &lost).await, "lost");
    let (restored, survivor) = with_values(&["1"]).await;
    faulty.replace(restored.clone());
    let told = server.until_not_ready().await;
    eventually("the reason is told", async || {
        server.service.readiness()().is_err_and(|why| why.contains("no new epoch says so"))
    })
    .await;
    assert!(told.contains("lost events") || told.contains("no longer holds"), "{told}");

    // Brought back, it is served as before; lost for good, it is read anew.
    faulty.replace(log);
    server.until_ready().await;
    assert_eq!(server.value("default/a", &lost).await, "lost");
    faulty.replace(restored.clone());
    server.until_not_ready().await;
    restored.begin_epoch(&survivor.head).await.unwrap();
    server.until_ready().await;
    assert_eq!(server.get("default/a", None).await.unwrap().config.unwrap().value, "1");
    let status = server.get("default/a", Some(at_least(&lost))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::LogChanged);
}

/// The epoch ended what the snapshot holds last, but not all that was lost.
#[tokio::test]
async fn a_log_that_was_written_on_before_its_epoch_began_is_not_what_a_snapshot_holds() {
    let (_, _, dir, _) = with_snapshot(20).await;
    let (other, survivor) = other_history(3).await;
    other.begin_epoch(&survivor.head).await.unwrap();
    let server = Server::start(other.clone(), &settings(&dir));
    eventually("told that it is too late", async || {
        let late = "the event at position 3 that a snapshot holds, and epoch 2, which began at 4, is \
                    too late to say so";
        server.service.readiness()().is_err_and(|why| why.contains(late))
    })
    .await;
    // As the operator is told to do if the log is right.
    for path in files(&dir) {
        std::fs::remove_file(path).unwrap();
    }
    server.until_ready().await;
    assert_eq!(server.status().await.state.unwrap().token, "2-3");
}

/// What was written over the lost events before the epoch began is in the epoch that those were in.
#[tokio::test]
async fn an_epoch_that_began_after_the_log_was_written_on_comes_too_late() {
    // So far that all positions of the lost events are taken again, or just some of them.
    for (written_on, position) in [(4, 4), (2, 3)] {
        let (log, faulty, mut writer, server) = running().await;
        writer.set("default/a", "lost").await;
        let lost = writer.set("default/a", "lost too").await;
        assert_eq!(server.value("default/a", &lost).await, "lost too");
        let (restored, mut survivor) = with_values(&["1"]).await;
        for _ in 0..written_on {
            survivor.set("default/a", "another").await;
        }
        survivor.head.epoch = restored.begin_epoch(&survivor.head).await.unwrap();
        let new = survivor.set("default/a", "new").await;
        faulty.replace(restored.clone());
        eventually("the reason is told", async || {
            let late = format!("epoch 2, which began at {}, is too late to say so", written_on + 2);
            server.service.readiness()().is_err_and(|why| {
                why.contains(&late) && why.contains(&format!("the event at position {position} "))
            })
        })
        .await;
        let status = server.get("default/a", Some(at_least(&lost))).await.unwrap_err();
        assert_eq!(reason_of(&status), Reason::Unavailable);
        // One that never saw the lost events knows nothing against the log.
        assert_eq!(Server::ready(restored).await.value("default/a", &new).await, "new");

        // Brought back, above the epoch that has had other events.
        for _ in 0..2 {
            writer.head.epoch = log.begin_epoch(&writer.head).await.unwrap();
        }
        faulty.replace(log);
        server.until_ready().await;
        assert_eq!(server.value("default/a", &lost).await, "lost too");
        let token = writer.set("default/a", "3").await;
        assert_eq!(server.value("default/a", &token).await, "3");
    }
}

#[tokio::test]
async fn another_log_under_the_same_address_is_refused_until_the_first_is_back() {
    // Shorter than the first one, and longer.
    for events in [1, 5] {
        let (log, faulty, mut writer, server) = running().await;
        let other = memory_log(2);
        let mut others_writer = Writer::new(other.clone()).await;
        for _ in 0..events {
            others_writer.commit(vec![(key("default/a"), Op::Set("other".to_owned()))]).await;
        }
        faulty.replace(other);
        eventually("the reason is told", async || {
            server.service.readiness()().is_err_and(|why| {
                why.contains(&log_id(1)) && why.contains(&log_id(2)) && why.contains("start")
            })
        })
        .await;
        for freshness in [None, Some(at_least("1-1"))] {
            let status = server.get("default/a", freshness).await.unwrap_err();
            assert_eq!(reason_of(&status), Reason::Unavailable, "{events} events");
        }

        faulty.replace(log);
        server.until_ready().await;
        let token = writer.set("default/a", "3").await;
        assert_eq!(server.value("default/a", &token).await, "3");
    }
}

/// The id of such a log, as it is told.
fn log_id(number: u128) -> String {
    uuid::Uuid::from_u128(number).to_string()
}

#[tokio::test]
async fn an_epoch_that_loses_nothing_goes_unnoticed_but_for_the_tokens() {
    let (log, _, mut writer, server) = running().await;
    writer.head.epoch = log.begin_epoch(&writer.head).await.unwrap();
    let token = writer.set("default/a", "3").await;
    assert_eq!(token, "2-3");
    let answer = server.get("default/a", Some(at_least(&token))).await.unwrap();
    assert_eq!(answer.state.unwrap().token, "2-3");
    assert_eq!(server.value("default/a", "1-2").await, "3");
}

/// A writer in this process may have kept what it appended just before somebody began an epoch.
#[tokio::test]
async fn what_is_at_hand_of_the_epoch_before_does_not_keep_anybody_from_reading_on() {
    let (log, writer) = with_values(&["1", "2"]).await;
    let kept = log.read(Position::GENESIS, PageLimit::TAIL).await.unwrap();
    log.begin_epoch(&writer.head).await.unwrap();
    let faulty = FaultyLog::around(log);
    *faulty.at_hand.lock().unwrap() = Some(kept);
    let server = Server::ready(faulty).await;
    assert_eq!(server.value("default/a", "2-2").await, "2");
}

#[tokio::test]
async fn a_standby_that_is_behind_what_was_read_is_waited_for() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    faulty.is_standby.store(true, Ordering::SeqCst);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    let token = writer.set("default/a", "2").await;
    let server = Server::ready(faulty.clone()).await;
    assert_eq!(server.value("default/a", &token).await, "2");

    let (behind, mut late) = with_values(&["1"]).await;
    faulty.replace(behind);
    eventually("the silence is noticed", async || {
        server.status().await.lag.unwrap() != prost_types::Duration::default()
    })
    .await;
    assert_eq!(server.value("default/a", &token).await, "2");

    late.set("default/a", "2").await;
    let newest = late.set("default/a", "3").await;
    assert_eq!(server.value("default/a", &newest).await, "3");
    let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
}

/// Behind one address there may be several stores, and the one that is asked whose log it is need not be
/// the one that is read.
#[tokio::test]
async fn whether_a_store_may_be_behind_is_judged_by_what_it_answers_itself() {
    let (log, faulty, mut writer, server) = running().await;
    let token = writer.set("default/a", "3").await;
    assert_eq!(server.value("default/a", &token).await, "3");

    // A standby is read, and the primary says whose log it is.
    let behind = memory_log(1);
    faulty.reach(Reach::Unknown);
    faulty.replace(behind.clone());
    eventually("the silence is noticed", async || {
        server.status().await.lag.unwrap() != prost_types::Duration::default()
    })
    .await;
    assert_eq!(server.service.readiness()(), Ok(()));
    assert_eq!(server.value("default/a", &token).await, "3");

    // What was read from a standby once may come from a primary by now: that one is behind nobody.
    faulty.replace(log);
    let token = writer.set("default/a", "4").await;
    assert_eq!(server.value("default/a", &token).await, "4");
    let asked_before = faulty.identities.load(Ordering::SeqCst);
    faulty.is_standby.store(true, Ordering::SeqCst);
    let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    eventually("it is asked whose log it is", async || {
        faulty.identities.load(Ordering::SeqCst) > asked_before
    })
    .await;
    faulty.is_standby.store(false, Ordering::SeqCst);
    faulty.reach(Reach::Asked);
    faulty.replace(behind);
    let told = server.until_not_ready().await;
    assert!(told.contains("lost events") || told.contains("no longer holds"), "{told}");
}

/// Behind one address there may be several, and the one that tells its head may be ahead of the one that is
/// read. What that one has is as good as ever.
#[tokio::test]
async fn what_has_come_is_served_though_more_is_known_of() {
    let (_, faulty, mut writer, server) = running().await;
    let has_come_to = |end| {
        faulty.tamper(move |rows| rows.retain(|row| row.position <= Position(end)));
    };
    has_come_to(2);
    let token = writer.set("default/a", "3").await;
    writer.set("default/a", "still to come").await;
    // So that it asks anew whose log it is, and where that ends.
    let asked_before = faulty.identities.load(Ordering::SeqCst);
    faulty.is_standby.store(true, Ordering::SeqCst);
    server.get("default/a", Some(linearizable())).await.unwrap_err();
    eventually("it is asked whose log it is", async || {
        faulty.identities.load(Ordering::SeqCst) > asked_before
    })
    .await;
    has_come_to(3);
    assert_eq!(server.value("default/a", &token).await, "3");
    assert_eq!(server.status().await.lag_events, 1);
}

/// One that was left behind by a failover still answers, and holds what was lost.
#[tokio::test]
async fn a_server_in_an_older_epoch_is_neither_believed_nor_called_broken() {
    let (old, faulty, mut writer, server) = running().await;
    let (promoted, mut survivor) = with_values(&["1", "2"]).await;
    survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
    let kept = survivor.set("default/a", "new").await;
    faulty.replace(promoted.clone());
    assert_eq!(server.value("default/a", &kept).await, "new");

    for value in ["lost", "lost too"] {
        writer.set("default/a", value).await;
        faulty.replace(old.clone());
        let asked = faulty.identities.load(Ordering::SeqCst);
        eventually("it was asked again and again", async || {
            faulty.identities.load(Ordering::SeqCst) > asked + 2
        })
        .await;
        let answer = server.get("default/a", None).await.unwrap();
        assert_eq!(answer.config.unwrap().value, "new");
        assert!(answer.state.unwrap().token.starts_with("2-"));
        // Where it ends says nothing of where the log does.
        let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
        assert_eq!(reason_of(&status), Reason::Unavailable, "{status}");
        faulty.replace(promoted.clone());
        let token = survivor.set("default/a", "new").await;
        assert_eq!(server.value("default/a", &token).await, "new");
    }
    assert_eq!(server.service.readiness()(), Ok(()));
}

/// Of an epoch that came after its own it knows nothing.
#[tokio::test]
async fn a_server_in_an_older_epoch_is_not_asked_whether_a_token_is_of_this_log() {
    let (old, mut writer) = with_values(&["1"]).await;
    let (promoted, survivor) = with_values(&["1"]).await;
    promoted.begin_epoch(&survivor.head).await.unwrap();
    let faulty = FaultyLog::around(promoted);
    let server = Server::start(faulty.clone(), &impatient());
    server.until_ready().await;
    writer.set("default/a", "lost").await;
    faulty.replace(old);
    let status = server.get("default/a", Some(at_least("3-1"))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable, "{status}");
}
