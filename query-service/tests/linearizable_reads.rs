//! Linearizable reads while the log becomes another one: what the store says of its head holds for the log
//! that it is the head of, and no state of another one answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use configapi_event_log::EventLog as _;
use configapi_proto::Reason;

use crate::freshness::impatient;
use crate::replaced_logs::with_values;
use crate::support::{FaultyLog, Server, eventually, linearizable, memory_log, reason_of};

#[tokio::test]
async fn a_log_without_an_event_has_a_head_too() {
    let server = Server::ready(memory_log(1)).await;
    let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::ConfigNotFound);
}

#[tokio::test]
async fn what_the_log_lost_answers_no_linearizable_read_before_the_loss_is_read_of() {
    let (went_another_way, _) = with_values(&["1", "2", "another"]).await;
    let (promoted, survivor) = with_values(&["1", "2"]).await;
    promoted.begin_epoch(&survivor.head).await.unwrap();
    for instead in [went_another_way, promoted] {
        let (log, _) = with_values(&["1", "2", "lost"]).await;
        let faulty = FaultyLog::around(log);
        let server = Server::start(faulty.clone(), &impatient());
        server.until_ready().await;
        assert_eq!(server.value("default/a", "1-3").await, "lost");
        // The store says where it ends, and nothing of what it has.
        faulty.mute(true);
        faulty.replace(instead);
        let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
        assert_eq!(reason_of(&status), Reason::Unavailable);
    }
}

#[tokio::test]
async fn a_head_that_was_lost_since_it_was_told_is_not_waited_for() {
    let (log, _) = with_values(&["1", "2", "lost", "lost too"]).await;
    let faulty = FaultyLog::around(log);
    let server = Arc::new(Server::ready(faulty.clone()).await);
    let before = faulty.heads.load(Ordering::SeqCst);
    faulty.close_gate();
    let reader = Arc::clone(&server);
    let read = tokio::spawn(async move { reader.get("default/a", Some(linearizable())).await });
    eventually("the head is asked for", async || faulty.heads.load(Ordering::SeqCst) == before + 1)
        .await;
    let (promoted, mut survivor) = with_values(&["1", "2"]).await;
    survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
    let kept = survivor.set("default/a", "new").await;
    faulty.open_gate();
    faulty.replace(promoted);
    eventually("what is left is served", async || {
        let answer = server.get("default/a", None).await;
        answer.is_ok_and(|answer| answer.config.unwrap().value == "new")
    })
    .await;
    faulty.let_heads_through(1);
    let answer = read.await.unwrap().unwrap();
    assert_eq!(answer.config.unwrap().value, "new");
    assert_eq!(answer.state.unwrap().token, kept);
}
