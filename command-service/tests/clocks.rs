//! Clocks that are set while a server runs.

use std::time::Duration;

use configapi_command_service::committer::Limits;
use configapi_domain::Timestamp;
use configapi_proto::Reason;

use crate::faulty_log::FaultyLog;
use crate::support::{BEGINNING, memory_log, start_on};

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
