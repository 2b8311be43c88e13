//! Reads that wish to be fresh: they wait, they are told when it takes too long, and one question
//! to the store is enough for all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use configapi_domain::Timestamp;
use configapi_event_log::{EventLog, Reach};
use configapi_proto::v1::{
    AtTimeRequest, DiffRequest, GetRequest, ListRequest, PointInTime, at_time_request,
    point_in_time,
};
use configapi_proto::{Reason, timestamp_from_micros};
use configapi_query_service::{Limits, QuerySettings};
use futures_util::future::join_all;
use tonic::{Request, Status};

use crate::support::{
    FaultyLog, Server, Writer, at_least, eventually, linearizable, memory_log, quick, reason_of,
    token_of,
};

pub fn impatient() -> QuerySettings {
    let limits = Limits { wait_max: Duration::from_millis(50), ..quick().limits };
    QuerySettings { limits, ..quick() }
}

#[tokio::test]
async fn a_read_with_a_token_waits_for_it() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let server = Server::ready(log).await;
    let (answer, _) = tokio::join!(server.value("default/a", "1-2"), async {
        writer.set("default/a", "1").await;
        writer.set("default/a", "2").await
    });
    assert_eq!(answer, "2");
}

#[tokio::test]
async fn a_token_that_does_not_come_in_time_is_unavailable_with_what_there_is() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    let server = Server::start(log, &impatient());
    server.until_ready().await;
    let status = server.get("default/a", Some(at_least("1-9"))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert_eq!(token_of(&status).as_deref(), Some("1-1"));
}

#[tokio::test]
async fn a_token_of_an_epoch_that_the_log_never_had_is_refused() {
    let server = Server::ready(memory_log(1)).await;
    let status = server.get("default/a", Some(at_least("7-1"))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::LogChanged);
    let told = configapi_proto::ApiError::from_status(&status);
    assert_eq!(told.metadata.get("lost_token").map(String::as_str), Some("7-1"));
    let status = server.get("default/a", Some(at_least("1_1"))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::InvalidArgument);
}

#[tokio::test]
async fn a_moment_that_is_not_reached_yet_is_waited_for() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let server = Server::ready(log).await;
    let request = AtTimeRequest {
        at: Some(PointInTime { moment: Some(point_in_time::Moment::Position(1)) }),
        selection: Some(at_time_request::Selection::Name("a".to_owned())),
        ..AtTimeRequest::default()
    };
    let mut client = server.client.clone();
    let (answer, _) = tokio::join!(client.at_time(Request::new(request)), async {
        writer.set("default/a", "1").await;
        writer.set("default/a", "2").await
    });
    assert_eq!(answer.unwrap().into_inner().configs[0].value, "1");
}

#[tokio::test]
async fn a_position_within_an_apply_means_the_whole_of_it() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let set = |name: &str| (crate::support::key(name), crate::support::Op::Set("1".to_owned()));
    writer.commit(vec![set("default/a"), set("default/b"), set("default/c")]).await;
    let server = Server::ready(log).await;
    let request = GetRequest {
        name: "c".to_owned(),
        at: Some(PointInTime { moment: Some(point_in_time::Moment::Token("1-1".to_owned())) }),
        ..GetRequest::default()
    };
    let answer = server.client.clone().get(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(answer.state.unwrap().position, 3);
}

#[tokio::test]
async fn a_linearizable_read_sees_all_that_was_written_before_it() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let server = Server::ready(log).await;
    for round in 0..200 {
        let value = round.to_string();
        writer.set("default/a", &value).await;
        let answer = server.get("default/a", Some(linearizable())).await.unwrap();
        assert_eq!(answer.config.unwrap().value, value);
    }
}

#[tokio::test]
async fn one_question_answers_all_who_wait_but_none_that_came_after_it_was_asked() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    writer.set("default/a", "old").await;
    let server = Arc::new(Server::ready(faulty.clone()).await);
    let before = faulty.heads.load(Ordering::SeqCst);
    faulty.close_gate();
    let read = || {
        let server = Arc::clone(&server);
        async move { server.get("default/a", Some(linearizable())).await }
    };

    let first = tokio::spawn(read());
    eventually("the first question is asked", async || {
        faulty.heads.load(Ordering::SeqCst) == before + 1
    })
    .await;
    // The first question does not know of this write, so the others must not lean on its answer.
    writer.set("default/a", "new").await;
    let others: Vec<_> = (0..100).map(|_| tokio::spawn(read())).collect();
    faulty.let_heads_through(2);

    first.await.unwrap().unwrap();
    for other in join_all(others).await {
        assert_eq!(other.unwrap().unwrap().config.unwrap().value, "new");
    }
    assert_eq!(faulty.heads.load(Ordering::SeqCst), before + 2);
}

#[tokio::test]
async fn a_store_that_became_a_standby_gives_no_linearizable_read() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log.clone()).await;
    let token = writer.set("default/a", "1").await;
    let server = Server::ready(faulty.clone()).await;
    assert!(server.get("default/a", Some(linearizable())).await.is_ok());

    // It is a standby from now on, at the same address and in the same epoch.
    let asked_before = faulty.identities.load(Ordering::SeqCst);
    faulty.is_standby.store(true, Ordering::SeqCst);
    let status = server.get("default/a", Some(linearizable())).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert!(status.message().contains("standby"), "{status}");
    assert_eq!(server.value("default/a", &token).await, "1");
    eventually("it is asked whose log it is", async || {
        faulty.identities.load(Ordering::SeqCst) > asked_before
    })
    .await;
    // A standby may be behind what was read before; that is no loss.
    faulty.replace(memory_log(1));
    eventually("the silence is noticed", async || {
        server.status().await.lag.unwrap() != prost_types::Duration::default()
    })
    .await;
    assert_eq!(server.value("default/a", &token).await, "1");

    faulty.replace(log);
    faulty.is_standby.store(false, Ordering::SeqCst);
    assert!(server.get("default/a", Some(linearizable())).await.is_ok());
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_micros().try_into().unwrap())
}

fn time(at: Timestamp) -> PointInTime {
    PointInTime { moment: Some(point_in_time::Moment::Time(timestamp_from_micros(at.0))) }
}

async fn value_at(server: &Server, at: Timestamp) -> Result<String, Status> {
    let request = AtTimeRequest {
        at: Some(time(at)),
        selection: Some(at_time_request::Selection::Name("a".to_owned())),
        ..AtTimeRequest::default()
    };
    let answer = server.client.clone().at_time(Request::new(request)).await?;
    Ok(answer.into_inner().configs[0].value.clone())
}

#[tokio::test]
async fn a_time_that_the_log_was_not_read_up_to_is_never_answered_with_less() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    writer.set("default/a", "oldest").await;
    let oldest = writer.head.recorded_at;
    writer.set("default/a", "old").await;
    let old = writer.head.recorded_at;
    let server = Server::start(faulty.clone(), &impatient());
    server.until_ready().await;
    assert_eq!(value_at(&server, old).await.unwrap(), "old");

    faulty.cut_off(true);
    writer.head.recorded_at = now();
    writer.set("default/a", "new").await;
    let written_at = writer.head.recorded_at;
    eventually("that time is in the past", async || now() > written_at).await;
    let status = value_at(&server, written_at).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert!(status.message().contains("has been read up to 20"), "{status}");
    let get =
        GetRequest { name: "a".to_owned(), at: Some(time(written_at)), ..GetRequest::default() };
    let list = ListRequest { at: Some(time(written_at)), ..ListRequest::default() };
    let diff =
        DiffRequest { from: Some(time(old)), to: Some(time(written_at)), ..DiffRequest::default() };
    let mut client = server.client.clone();
    assert_eq!(reason_of(&client.get(get).await.unwrap_err()), Reason::Unavailable);
    assert_eq!(reason_of(&client.list(list).await.unwrap_err()), Reason::Unavailable);
    assert_eq!(reason_of(&client.diff(diff).await.unwrap_err()), Reason::Unavailable);
    // What was read says all about times before it, and the future is what there is.
    assert_eq!(value_at(&server, oldest).await.unwrap(), "oldest");
    assert_eq!(value_at(&server, old).await.unwrap(), "old");
    assert_eq!(value_at(&server, Timestamp(now().0 + 60_000_000)).await.unwrap(), "old");

    faulty.cut_off(false);
    eventually("it is answered", async || match value_at(&server, written_at).await {
        Ok(value) => value == "new" || panic!("answered {value:?}"),
        Err(_) => false,
    })
    .await;
}

/// An event bears the time at which it was decided on, and may be on its way when the log is looked at.
#[tokio::test]
async fn a_look_from_before_the_question_says_nothing_of_the_last_moments() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    writer.set("default/a", "old").await;
    let old = writer.head.recorded_at;
    let server = Server::start(faulty.clone(), &impatient());
    server.until_ready().await;

    faulty.tamper(|rows| rows.retain(|row| row.position.0 <= 1));
    writer.head.recorded_at = now();
    writer.set("default/a", "new").await;
    let written_at = writer.head.recorded_at;
    eventually("that time is in the past", async || now() > written_at).await;
    assert_eq!(value_at(&server, written_at).await.unwrap(), "old", "as far as can be known");

    // By now it is in the log, and nobody has looked since.
    faulty.cut_off(true);
    faulty.mend();
    let status = value_at(&server, written_at).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert_eq!(value_at(&server, old).await.unwrap(), "old", "that was settled long ago");
    faulty.cut_off(false);
    assert_eq!(value_at(&server, written_at).await.unwrap(), "new");
}

/// A log that ends after its first event, as a standby has it that has come to this time.
fn standby_at(log: Arc<dyn EventLog>, replayed: Timestamp) -> Arc<FaultyLog> {
    let faulty = FaultyLog::around(log);
    faulty.is_standby.store(true, Ordering::SeqCst);
    faulty.tamper(|rows| rows.retain(|row| row.position.0 <= 1));
    faulty.reach(Reach::Replayed(replayed));
    faulty
}

#[tokio::test]
async fn a_standby_answers_about_no_time_that_it_has_not_come_to() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "old").await;
    let old = writer.head.recorded_at;
    let long_after = Timestamp(old.0 + 300_000_000);
    let standby = standby_at(log, long_after);
    let server = Server::start(standby.clone(), &impatient());
    server.until_ready().await;
    assert_eq!(value_at(&server, old).await.unwrap(), "old");

    writer.head.recorded_at = now();
    writer.set("default/a", "new").await;
    let written_at = writer.head.recorded_at;
    eventually("that time is in the past", async || now() > written_at).await;
    let before = Timestamp(written_at.0 - 1);
    for reach in [Reach::Replayed(long_after), Reach::Unknown, Reach::Replayed(before)] {
        standby.reach(reach);
        for time in [before, written_at] {
            let status = value_at(&server, time).await.unwrap_err();
            assert_eq!(reason_of(&status), Reason::Unavailable);
            assert!(status.message().contains("has been read up to "), "{status}");
        }
    }
    assert_eq!(value_at(&server, old).await.unwrap(), "old");
    standby.mend();
    standby.reach(Reach::Replayed(Timestamp(now().0 + 3_600_000_000)));
    eventually("it is answered", async || match value_at(&server, written_at).await {
        Ok(value) => value == "new" || panic!("answered {value:?}"),
        Err(_) => false,
    })
    .await;
}

/// A clock that is ahead on the other side says nothing of what is yet to come.
#[tokio::test]
async fn a_standby_that_has_come_further_than_now_answers_about_now() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "old").await;
    let standby = standby_at(log, Timestamp(now().0 + 3_600_000_000));
    let server = Server::start(standby.clone(), &impatient());
    server.until_ready().await;
    assert_eq!(value_at(&server, now()).await.unwrap(), "old");
    standby.cut_off(true);
    let after_it_was_asked = now();
    eventually("that time is in the past", async || now() > after_it_was_asked).await;
    let status = value_at(&server, after_it_was_asked).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_standby_does_not_make_it_be_asked_without_a_pause() {
    const WAITS: u64 = 5;
    let log = memory_log(1);
    Writer::new(log.clone()).await.set("default/a", "1").await;
    let standby = standby_at(log, Timestamp(0));
    let server = Server::start(standby.clone(), &impatient());
    server.until_ready().await;
    let (begun, before) = (std::time::Instant::now(), standby.reads.load(Ordering::SeqCst));
    for _ in 0..WAITS {
        let status = value_at(&server, now()).await.unwrap_err();
        assert_eq!(reason_of(&status), Reason::Unavailable);
    }
    let reads = standby.reads.load(Ordering::SeqCst) - before;
    let pauses = begun.elapsed().as_micros() / quick().limits.poll_min.as_micros();
    // Each wait asks once at once, and the rest is what an idle store is asked anyway.
    assert!(u128::from(reads) <= pauses + u128::from(2 * WAITS), "{reads} reads, {pauses} pauses");
}

#[tokio::test]
async fn a_time_since_which_nothing_happened_is_answered_once_the_log_was_read_again() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    let server = Server::ready(log).await;
    for _ in 0..20 {
        assert_eq!(value_at(&server, now()).await.unwrap(), "1");
    }
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_server_shuts_down() {
    // The one waits for an event, the other for what the store says of its head, which it does not.
    for wish in [at_least("1-1"), linearizable()] {
        let log = FaultyLog::around(memory_log(1));
        let server = Server::ready(log.clone()).await;
        log.close_gate();
        let (answer, ()) = tokio::join!(server.get("default/a", Some(wish.clone())), async {
            server.life.begin_shutdown("the test says so");
        });
        let late = server.get("default/a", Some(wish)).await;
        for status in [answer.unwrap_err(), late.unwrap_err()] {
            assert_eq!(reason_of(&status), Reason::Unavailable);
            assert_eq!(status.message(), "the server is shutting down");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_says_in_vain_that_there_is_more_is_not_asked_without_a_pause() {
    const WAITS: u32 = 100;
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    let server = Server::ready(faulty.clone()).await;
    let pause = quick().limits.poll_min;
    faulty.is_restless.store(true, Ordering::SeqCst);
    let (begun, before) = (std::time::Instant::now(), faulty.waits.load(Ordering::SeqCst));
    eventually("many waits", async || {
        faulty.waits.load(Ordering::SeqCst) >= before + u64::from(WAITS)
    })
    .await;
    // The wait under way when it began, and the one after it, are not told of in vain.
    assert!(begun.elapsed() >= pause * (WAITS - 3), "{:?}", begun.elapsed());
    writer.set("default/a", "1").await;
    assert_eq!(server.value("default/a", "1-1").await, "1");
}
