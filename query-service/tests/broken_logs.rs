//! A log that is cut off, edited, torn, replaced or newer than this program, under a server that
//! reads from it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use configapi_domain::{Position, Timestamp};
use configapi_event_log::{EventLog as _, MemoryLog, Reach, StoredEvent, seal};
use configapi_proto::Reason;
use configapi_query_service::{Limits, QuerySettings};

use crate::support::{
    FaultyLog, Op, Server, Writer, at_least, eventually, key, linearizable, memory_log, quick,
    reason_of, token_of,
};

/// A log with two events, a server on it, and a way to break it.
async fn running() -> (Arc<MemoryLog>, Arc<FaultyLog>, Writer, Server) {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    let token = writer.set("default/a", "2").await;
    let server = Server::ready(faulty.clone()).await;
    assert_eq!(server.value("default/a", &token).await, "2");
    (log, faulty, writer, server)
}

/// Tampers with the row at a position.
fn edit(faulty: &FaultyLog, position: u64, edit: impl Fn(&mut StoredEvent) + Send + 'static) {
    faulty.tamper(move |rows| {
        rows.iter_mut().filter(|row| row.position == Position(position)).for_each(&edit);
    });
}

/// The server refuses all reads, says why, and serves again once the log is mended.
async fn is_refused_until_mended(
    faulty: &FaultyLog,
    writer: &mut Writer,
    server: &Server,
    why: &str,
) {
    writer.set("default/a", "3").await;
    let token = writer.set("default/a", "4").await;
    let told = server.until_not_ready().await;
    assert!(told.contains(why), "{told}");
    let status = server.get("default/a", None).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert_eq!(token_of(&status).as_deref(), Some("1-2"));
    assert_eq!(server.status().await.not_ready_reason, told);

    faulty.mend();
    server.until_ready().await;
    assert_eq!(server.value("default/a", &token).await, "4");
}

#[tokio::test]
async fn an_edited_event_is_refused_until_the_log_is_right_again() {
    let (_, faulty, mut writer, server) = running().await;
    edit(&faulty, 3, |row| row.payload = row.payload.replace('3', "5"));
    is_refused_until_mended(&faulty, &mut writer, &server, "hash chain breaks at position 3").await;
}

#[tokio::test]
async fn a_missing_event_is_refused_until_the_log_is_right_again() {
    let (_, faulty, mut writer, server) = running().await;
    faulty.tamper(|rows| rows.retain(|row| row.position != Position(3)));
    is_refused_until_mended(&faulty, &mut writer, &server, "position 3 is missing").await;
}

#[tokio::test]
async fn time_that_runs_backwards_is_refused_until_the_log_is_right_again() {
    let (_, faulty, mut writer, server) = running().await;
    edit(&faulty, 3, |row| row.recorded_at = Timestamp(1));
    is_refused_until_mended(&faulty, &mut writer, &server, "time runs backwards at position 3")
        .await;
}

/// Changes a row and gives it and all that follow fitting hashes.
fn forge(faulty: &FaultyLog, position: u64, edit: impl Fn(&mut StoredEvent) + Send + 'static) {
    faulty.tamper(move |rows| {
        let mut is_forged = false;
        for at in 1..rows.len() {
            if rows[at].position == Position(position) {
                edit(&mut rows[at]);
                is_forged = true;
            }
            if is_forged {
                let before = rows[at - 1].hash;
                seal(before, &mut rows[at]);
            }
        }
    });
}

#[tokio::test]
async fn an_unknown_event_type_is_never_skipped() {
    let (_, faulty, mut writer, server) = running().await;
    forge(&faulty, 3, |row| row.event_type = "ConfigValueRenamed".into());
    is_refused_until_mended(&faulty, &mut writer, &server, "unknown type").await;
}

#[tokio::test]
async fn a_newer_schema_is_never_skipped() {
    let (_, faulty, mut writer, server) = running().await;
    forge(&faulty, 3, |row| row.schema_version = 2);
    is_refused_until_mended(&faulty, &mut writer, &server, "newer than this program").await;
}

#[tokio::test]
async fn an_event_that_breaks_the_rules_of_its_config_is_refused() {
    let (_, faulty, mut writer, server) = running().await;
    forge(&faulty, 4, |row| row.payload = r#"{"value":"4","old_value":"not that"}"#.to_owned());
    writer.set("default/a", "3").await;
    writer.set("default/a", "4").await;
    let told = server.until_not_ready().await;
    assert!(told.contains("does not follow from the history of its config"), "{told}");
}

#[tokio::test]
async fn a_store_out_of_reach_leaves_reads_alone_and_heals_by_itself() {
    let (_, faulty, mut writer, server) = running().await;
    faulty.cut_off(true);
    let token = writer.set("default/a", "3").await;

    let answer = server.get("default/a", None).await.unwrap();
    assert_eq!(answer.config.unwrap().value, "2");
    assert_eq!(answer.state.unwrap().position, 2);
    let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    eventually("the lag is told", async || {
        let lag = server.status().await.lag.unwrap();
        lag.seconds > 0 || lag.nanos > 0
    })
    .await;

    faulty.cut_off(false);
    assert_eq!(server.value("default/a", &token).await, "3");
    assert!(server.service.readiness()().is_ok());
}

#[tokio::test]
async fn while_the_store_does_not_answer_the_lag_grows_from_the_question_on() {
    let faulty = FaultyLog::around(memory_log(1));
    // So patient that it never finds that there is no answer.
    let limits = Limits { question_max: Duration::from_hours(1), ..quick().limits };
    let server = Server::start(faulty.clone(), &QuerySettings { limits, ..quick() });
    server.until_ready().await;
    let lag = || {
        let page = server.metrics.render().unwrap();
        let line = page.lines().find(|line| line.starts_with("configapi_query_lag_seconds "));
        line.unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(lag() < 1.0);
    faulty.mute(true);
    eventually("the lag is told", async || server.status().await.lag.unwrap().seconds > 0).await;
    assert!(lag() >= 1.0, "{}", lag());

    faulty.mute(false);
    let server = Server::ready(faulty).await;
    assert_eq!(server.status().await.lag.unwrap(), prost_types::Duration::default());
}

#[tokio::test]
async fn a_restore_that_shortens_the_log_leaves_no_lag_behind() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    writer.set("default/a", "1").await;
    writer.set("default/a", "2").await;
    let question_max = Duration::from_millis(100);
    let limits = Limits { question_max, wait_max: question_max, ..quick().limits };
    let server = Server::start(faulty.clone(), &QuerySettings { limits, ..quick() });
    server.until_ready().await;
    // The head is heard of, and what leads to it is not.
    faulty.mute(true);
    for value in ["3", "4", "5"] {
        writer.set("default/a", value).await;
    }
    eventually("the head is known", async || {
        let _ = server.get("default/a", Some(linearizable())).await;
        server.status().await.lag_events == 3
    })
    .await;

    let restored = memory_log(1);
    let mut survivor = Writer::new(restored.clone()).await;
    survivor.set("default/a", "1").await;
    survivor.set("default/a", "2").await;
    restored.begin_epoch(&survivor.head).await.unwrap();
    faulty.replace(restored);
    faulty.mute(false);
    eventually("the new epoch is served", async || {
        server.status().await.state.unwrap().token == "2-2"
    })
    .await;
    let status = server.status().await;
    assert_eq!((status.head_position, status.lag_events), (2, 0));
}

#[tokio::test]
async fn a_store_out_of_reach_at_the_start_is_waited_for() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log);
    faulty.cut_off(true);
    let server = Server::start(faulty.clone(), &crate::support::quick());
    let status = server.get("default/a", None).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert!(!server.status().await.ready);
    faulty.cut_off(false);
    server.until_ready().await;
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_read_anew_and_old_tokens_are_refused() {
    let (_, faulty, mut writer, server) = running().await;
    let lost = writer.set("default/a", "lost").await;
    assert_eq!(server.value("default/a", &lost).await, "lost");

    // A standby that had the first two events takes over, in an epoch of its own.
    let promoted = memory_log(1);
    let mut survivor = Writer::new(promoted.clone()).await;
    survivor.set("default/a", "1").await;
    survivor.set("default/a", "2").await;
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
async fn a_lost_tail_is_refused_until_a_new_epoch_says_so() {
    let (log, faulty, mut writer, server) = running().await;
    let lost = writer.set("default/a", "lost").await;
    assert_eq!(server.value("default/a", &lost).await, "lost");
    let restored = memory_log(1);
    let mut survivor = Writer::new(restored.clone()).await;
    survivor.set("default/a", "1").await;
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

#[tokio::test]
async fn a_server_that_never_reached_its_log_says_what_is_in_its_way() {
    let faulty = FaultyLog::around(memory_log(1));
    faulty.cut_off(true);
    let server = Server::start(faulty.clone(), &quick());
    let told = Err("the log cannot be read: cut off".to_owned());
    eventually("the reason is told", async || server.service.readiness()() == told).await;
    faulty.cut_off(false);
    server.until_ready().await;
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

    let behind = memory_log(1);
    let mut late = Writer::new(behind.clone()).await;
    late.set("default/a", "1").await;
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

/// One that was left behind by a failover still answers, and holds what was lost.
#[tokio::test]
async fn a_server_in_an_older_epoch_is_neither_believed_nor_called_broken() {
    let (old, faulty, mut writer, server) = running().await;
    let promoted = memory_log(1);
    let mut survivor = Writer::new(promoted.clone()).await;
    survivor.set("default/a", "1").await;
    survivor.set("default/a", "2").await;
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
        faulty.replace(promoted.clone());
        let token = survivor.set("default/a", "new").await;
        assert_eq!(server.value("default/a", &token).await, "new");
    }
    assert_eq!(server.service.readiness()(), Ok(()));
}
