//! Watches that begin after a time: with exactly what was recorded later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use configapi_domain::Timestamp;
use configapi_event_log::Reach;
use configapi_proto::v1::{WatchRequest, watch_request};
use configapi_proto::{Reason, timestamp_from_micros};

use crate::freshness::{impatient, now};
use crate::support::{FaultyLog, Op, Server, Writer, eventually, key, memory_log, reason_of};

fn since(time: Timestamp) -> WatchRequest {
    let start = Some(watch_request::Start::AfterTime(timestamp_from_micros(time.0)));
    WatchRequest { start, ..WatchRequest::default() }
}

/// The positions of the first events after a time; where it began is told before.
async fn first(server: &Server, time: Timestamp, count: usize) -> (u64, Vec<u64>) {
    let mut frames = server.watch(since(time)).await.unwrap();
    let began_after = frames.started().await.position;
    let mut positions = Vec::new();
    let all = async {
        while positions.len() < count {
            positions.extend(frames.events().await.0.iter().map(|event| event.position));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("as many events as expected");
    (began_after, positions)
}

#[tokio::test]
async fn a_watch_begins_with_the_first_event_after_a_time() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let mut times = Vec::new();
    for value in ["1", "2"] {
        writer.set("default/a", value).await;
        times.push(writer.head.recorded_at);
        // Some commands share a time, and these must not.
        writer.head.recorded_at.0 += 5_000;
    }
    let set = |name: &str| (key(name), Op::Set("1".to_owned()));
    writer.commit(vec![set("default/a"), set("default/b"), set("default/c")]).await;
    let server = Server::ready(log).await;
    let before = Timestamp(times[0].0 - 1);
    assert_eq!(first(&server, before, 5).await, (0, vec![1, 2, 3, 4, 5]));
    assert_eq!(first(&server, times[0], 4).await, (1, vec![2, 3, 4, 5]));
    assert_eq!(first(&server, Timestamp(times[1].0 - 1), 4).await, (1, vec![2, 3, 4, 5]));
    assert_eq!(first(&server, times[1], 3).await, (2, vec![3, 4, 5]));
    // The future is the present.
    let future = Timestamp(now().0 + 60_000_000);
    let ((began_after, positions), _) = tokio::join!(first(&server, future, 1), async {
        eventually("the watch is open", async || server.status().await.watchers == 1).await;
        writer.set("default/a", "3").await
    });
    assert_eq!((began_after, positions), (5, vec![6]));
}

#[tokio::test]
async fn a_watch_waits_until_all_of_its_time_is_known() {
    let log = memory_log(1);
    Writer::new(log.clone()).await.set("default/a", "1").await;
    let standby = FaultyLog::around(log);
    standby.is_standby.store(true, Ordering::SeqCst);
    let asked_for = now();
    standby.reach(Reach::Replayed(Timestamp(asked_for.0 - 1)));
    let server = Server::start(standby.clone(), &impatient());
    server.until_ready().await;
    eventually("that time is in the past", async || now() > asked_for).await;
    let Err(status) = server.watch(since(asked_for)).await else { panic!("it began") };
    assert_eq!(reason_of(&status), Reason::Unavailable);
    standby.reach(Reach::Replayed(Timestamp(now().0 + 3_600_000_000)));
    eventually("it begins", async || server.watch(since(asked_for)).await.is_ok()).await;
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let server = Server::ready(memory_log(1)).await;
    let time = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
    let start = Some(watch_request::Start::AfterTime(time));
    let Err(status) = server.watch(WatchRequest { start, ..WatchRequest::default() }).await else {
        panic!("it began")
    };
    assert_eq!(reason_of(&status), Reason::InvalidArgument);
    assert!(status.message().contains("after_time"), "{status}");
}
