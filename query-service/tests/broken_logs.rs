//! A log that is cut off, edited, torn or newer than this program, under a server that reads from it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use configapi_domain::{Position, Timestamp};
use configapi_event_log::{CommandPart, EventLog as _, MemoryLog, StoredEvent, seal};
use configapi_proto::Reason;
use configapi_query_service::{Limits, QuerySettings};

use crate::support::{
    FaultyLog, Op, Server, Writer, at_least, eventually, key, linearizable, memory_log, quick,
    reason_of, token_of,
};

/// A log with two events, a server on it, and a way to break it.
pub async fn running() -> (Arc<MemoryLog>, Arc<FaultyLog>, Writer, Server) {
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
    edit(&faulty, 3, |row| row.payload = row.payload.replace('3', "5").into());
    is_refused_until_mended(&faulty, &mut writer, &server, "hash chain breaks at position 3").await;
}

/// What was read before is still there, so that nothing is read anew.
#[tokio::test]
async fn the_replay_took_what_it_took_however_often_the_log_was_refused_since() {
    let (_, faulty, mut writer, server) = running().await;
    let told = || {
        let page = server.metrics.render().unwrap();
        let line = page.lines().find(|line| line.starts_with("configapi_query_replay_seconds"));
        line.unwrap().to_owned()
    };
    let at_the_start = told();
    edit(&faulty, 3, |row| row.payload = row.payload.replace('3', "5").into());
    is_refused_until_mended(&faulty, &mut writer, &server, "hash chain").await;
    assert_eq!(told(), at_the_start);
}

#[tokio::test]
async fn a_log_that_does_not_begin_with_its_genesis_row_is_refused() {
    for (is_event, why) in
        [(false, "hash chain breaks at position 0"), (true, "does not begin with a genesis row")]
    {
        let faulty = FaultyLog::around(memory_log(1));
        edit(&faulty, 0, move |row| {
            row.recorded_at = Timestamp(1);
            if is_event {
                row.stream = "default/a".into();
            }
        });
        let server = Server::start(faulty.clone(), &quick());
        eventually("the reason is told", async || {
            server.service.readiness()().is_err_and(|told| told.contains(why))
        })
        .await;
        faulty.mend();
        server.until_ready().await;
    }
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
pub fn forge(faulty: &FaultyLog, position: u64, edit: impl Fn(&mut StoredEvent) + Send + 'static) {
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
    forge(&faulty, 4, |row| row.payload = r#"{"value":"4","old_value":"not that"}"#.into());
    writer.set("default/a", "3").await;
    writer.set("default/a", "4").await;
    let told = server.until_not_ready().await;
    assert!(told.contains("does not follow from the history of its config"), "{told}");
}

#[tokio::test]
async fn an_event_that_tells_another_content_than_the_one_it_is_about_is_refused() {
    let forged = [
        (Op::Delete, r#"{"deleted_value":"2"}"#, "what is deleted is not what it had"),
        (
            Op::Restore(Some(1)),
            r#"{"value":"2","old_value":"2","restored_version":1}"#,
            "what is restored is not what that version had",
        ),
        (
            Op::Restore(Some(1)),
            r#"{"value":"1","old_value":"2","content_type":"text/plain","restored_version":1}"#,
            "what is restored is not what that version had",
        ),
    ];
    for (op, payload, why) in forged {
        let log = memory_log(1);
        let faulty = FaultyLog::around(log.clone());
        let mut writer = Writer::new(log).await;
        writer.set("default/a", "1").await;
        let typed = Op::SetTyped("2".to_owned(), "text/plain".to_owned());
        writer.commit(vec![(key("default/a"), typed)]).await;
        let server = Server::ready(faulty.clone()).await;
        forge(&faulty, 3, move |row| row.payload = payload.into());
        let token = writer.commit(vec![(key("default/a"), op)]).await;
        let told = server.until_not_ready().await;
        assert!(told.contains("the event at position 3") && told.contains(why), "{told}");
        faulty.mend();
        server.until_ready().await;
        let answer = server.status().await;
        assert_eq!(answer.state.unwrap().token, token);
    }
}

#[tokio::test]
async fn a_version_that_was_a_delete_is_not_restored() {
    let (_, faulty, mut writer, server) = running().await;
    let token = writer.delete("default/a").await;
    let status = server.get("default/a", Some(at_least(&token))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::ConfigNotFound);
    let payload = r#"{"value":"2","old_value":null,"restored_version":3}"#;
    forge(&faulty, 4, move |row| row.payload = payload.into());
    writer.commit(vec![(key("default/a"), Op::Restore(None))]).await;
    let told = server.until_not_ready().await;
    assert!(told.contains("a version is restored that was a delete"), "{told}");
}

/// The hashes fit, but whoever reads up to the first event of the Apply would see half of it.
#[tokio::test]
async fn an_apply_whose_parts_do_not_join_is_refused() {
    let (_, faulty, mut writer, server) = running().await;
    forge(&faulty, 3, |row| row.part = CommandPart::WHOLE);
    let set = |name: &str| (key(name), Op::Set("3".to_owned()));
    let token = writer.commit(vec![set("default/a"), set("default/b")]).await;
    let told = server.until_not_ready().await;
    assert_eq!(told, "the event at position 4 is not the next part of a command");
    let status = server.get("default/a", None).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);

    faulty.mend();
    server.until_ready().await;
    assert_eq!(server.value("default/b", &token).await, "3");
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
async fn a_server_that_never_reached_its_log_says_what_is_in_its_way() {
    let faulty = FaultyLog::around(memory_log(1));
    faulty.cut_off(true);
    let server = Server::start(faulty.clone(), &quick());
    let told = Err("the log cannot be read: cut off".to_owned());
    eventually("the reason is told", async || server.service.readiness()() == told).await;
    faulty.cut_off(false);
    server.until_ready().await;
}

/// What is still to be read cannot be read then, and whoever waits for it does so in vain.
#[tokio::test]
async fn a_store_that_goes_out_of_reach_while_all_is_read_is_told_of() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    for value in ["1", "2", "3"] {
        writer.set("default/a", value).await;
    }
    // The last event is known of, and does not come.
    faulty.tamper(|rows| rows.retain(|row| row.position < Position(3)));
    let server = Server::start(faulty.clone(), &quick());
    let told = || server.service.readiness()().unwrap_err();
    eventually("it is read", async || server.status().await.lag_events == 1).await;
    for _ in 0..2 {
        eventually("what it does", async || told() == "the log is being read").await;
        faulty.cut_off(true);
        let why = "the log cannot be read: cut off";
        eventually("what is in its way", async || told() == why).await;
        faulty.cut_off(false);
    }
    faulty.mend();
    server.until_ready().await;
}

/// Only an epoch says that it is read anew, so that it helps to wait.
#[tokio::test]
async fn a_log_that_is_gone_altogether_is_not_said_to_be_read_anew() {
    let (_, faulty, mut writer, server) = running().await;
    faulty.has_no_genesis.store(true, Ordering::SeqCst);
    faulty.tamper(Vec::clear);
    server.until_not_ready().await;
    let told = || server.service.readiness()().unwrap_err();
    eventually("the server says why", async || told().contains("the log has no genesis")).await;
    assert!(!told().contains("anew"), "{}", told());

    faulty.has_no_genesis.store(false, Ordering::SeqCst);
    faulty.mend();
    let token = writer.set("default/a", "3").await;
    server.until_ready().await;
    assert_eq!(server.value("default/a", &token).await, "3");
}
