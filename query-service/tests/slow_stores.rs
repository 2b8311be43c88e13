//! A store that answers in time only if little is asked for.

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::PageLimit;
use configapi_query_service::{Limits, QuerySettings};

use crate::support::{FaultyLog, Server, Writer, eventually, memory_log, quick};

/// A log with so many values of this size, and the token of the last one.
async fn filled(count: usize, value_bytes: usize) -> (Arc<FaultyLog>, String) {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let value = "v".repeat(value_bytes);
    for number in 0..count {
        writer.set(&format!("default/n{number}"), &value).await;
    }
    (FaultyLog::around(log), writer.token())
}

fn patient_for(question_max: Duration) -> QuerySettings {
    QuerySettings { limits: Limits { question_max, ..quick().limits }, ..quick() }
}

#[tokio::test]
async fn a_start_comes_to_its_end_though_the_store_does_not_answer_for_whole_pages_in_time() {
    const LEAST_BYTES: usize = 64 << 10;
    let (faulty, token) = filled(40, 10_000).await;
    faulty.answer_up_to(LEAST_BYTES);
    let server = Server::start(faulty.clone(), &patient_for(Duration::from_millis(50)));
    server.until_ready().await;
    assert_eq!(server.value("default/n39", &token).await.len(), 10_000);
    assert_eq!(faulty.asked_bytes().iter().min(), Some(&LEAST_BYTES), "less helps nobody");
}

#[tokio::test]
async fn a_store_that_is_fast_again_is_asked_for_whole_pages_again() {
    const FEWER_BYTES: usize = 2 << 20;
    let (faulty, _) = filled(300, 100_000).await;
    faulty.answer_up_to(FEWER_BYTES);
    let server = Server::start(faulty.clone(), &patient_for(Duration::from_secs(1)));
    let is_asked_for_less = || faulty.asked_bytes().iter().position(|it| *it == FEWER_BYTES);
    eventually("less is asked for", async || is_asked_for_less().is_some()).await;
    faulty.answer_up_to(usize::MAX);
    server.until_ready().await;
    let since = &faulty.asked_bytes()[is_asked_for_less().unwrap()..];
    assert!(since.contains(&PageLimit::REPLAY.bytes()), "{since:?}");
}
