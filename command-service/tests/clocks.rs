//! Clocks that are set while a server runs.

use std::time::Duration;

use configapi_command_service::committer::Limits;
use configapi_domain::Timestamp;
use configapi_proto::Reason;

use crate::faulty_log::FaultyLog;
use crate::support::{BEGINNING, memory_log, set_request, start_on};

#[tokio::test]
async fn a_clock_that_is_set_wrong_while_the_server_runs_is_refused_until_it_is_right_again() {
    const HOUR_US: i64 = 3_600_000_000;
    let log = FaultyLog::new(memory_log());
    log.tell_time(Timestamp(BEGINNING));
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    for step in [-HOUR_US, HOUR_US] {
        server.clock.turn_back(step);
        let refused = server.set("a", "wrong").await.unwrap_err();
        assert_eq!(refused.reason, Reason::Unavailable, "{refused:?}");
        server.clock.turn_back(-step);
        // It is back once it has looked again.
        let until_it_takes = async { while server.set("a", "right").await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(20), until_it_takes).await.unwrap();
    }
    let events = server.events().await;
    assert_eq!(events.len(), 3);
    for event in events {
        assert!((BEGINNING..BEGINNING + 1_000_000).contains(&event.recorded_at.0), "{event:?}");
    }
}

/// Who asks what was true at a time is answered from what is in the log soon after it.
#[tokio::test]
async fn events_bear_the_time_of_the_decision_however_long_the_look_ups_before_it_took() {
    const SLOW_US: i64 = 400_000;
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    log.hold_look_ups().await;
    let set = |name: &'static str| {
        let mut client = server.client.clone();
        tokio::spawn(async move { client.set(set_request(name, "1")).await.unwrap() })
    };
    let slow = set("a");
    log.looked_up().await;
    server.clock.advance(SLOW_US);
    log.let_look_ups_go();
    slow.await.unwrap();
    let events = server.events().await;
    assert!(events[0].recorded_at.0 >= BEGINNING + SLOW_US, "{events:?}");

    // One is decided ahead, and goes with one that nobody knows yet.
    log.close_gate().await;
    let before = set("a");
    log.append_waits().await;
    log.hold_look_ups().await;
    let ahead = set("a");
    let unknown = set("b");
    log.looked_up().await;
    log.open_gate();
    before.await.unwrap();
    server.clock.advance(SLOW_US);
    log.let_look_ups_go();
    ahead.await.unwrap();
    unknown.await.unwrap();
    let events = server.events().await;
    assert!(events[2..].iter().all(|event| event.recorded_at.0 >= BEGINNING + 2 * SLOW_US));
}
