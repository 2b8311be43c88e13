//! How watches end: with a definite code, and with the token to go on from.

use configapi_event_log::EventLog as _;
use configapi_proto::Reason;
use configapi_proto::v1::{WatchRequest, watch_request};
use configapi_query_service::QuerySettings;

use crate::support::{FaultyLog, Server, Writer, memory_log, quick, reason_of, token_of};
use crate::watching::after_position;

#[tokio::test]
async fn a_shutdown_ends_a_watch_with_the_token_to_go_on_from() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let token = writer.set("default/a", "1").await;
    let server = Server::ready(log).await;
    let mut frames = server.watch(after_position(0)).await.unwrap();
    frames.started().await;
    frames.events().await;
    server.life.begin_shutdown("the test says so");
    let status = frames.end().await;
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert_eq!(token_of(&status), Some(token));
}

#[tokio::test]
async fn a_broken_log_ends_a_watch_with_the_last_safe_token() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    let token = writer.set("default/a", "1").await;
    let server = Server::ready(faulty.clone()).await;
    let mut frames = server.watch(after_position(0)).await.unwrap();
    frames.started().await;
    frames.events().await;
    faulty.tamper(|rows| rows.iter_mut().skip(1).for_each(|row| row.payload.push(' ')));
    writer.set("default/a", "2").await;
    let status = frames.end().await;
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert_eq!(token_of(&status), Some(token));
}

#[tokio::test]
async fn a_lost_tail_ends_a_watch_that_has_seen_it() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    writer.set("default/a", "1").await;
    let lost = writer.set("default/a", "lost").await;
    let server = Server::ready(faulty.clone()).await;
    let mut frames = server.watch(after_position(0)).await.unwrap();
    frames.started().await;
    while frames.events().await.1.token != lost {}

    let promoted = memory_log(1);
    let mut survivor = Writer::new(promoted.clone()).await;
    survivor.set("default/a", "1").await;
    survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
    let token = survivor.set("default/a", "2").await;
    faulty.replace(promoted);
    let status = frames.end().await;
    // Either it learns at once that its place is gone, or first that the server reads anew.
    assert!(matches!(reason_of(&status), Reason::LogChanged | Reason::Unavailable), "{status:?}");

    server.until_ready().await;
    server.value("default/a", &token).await;
    let mut resumed = after_position(0);
    resumed.start = Some(watch_request::Start::AfterToken(lost));
    let Err(status) = server.watch(resumed).await else { panic!("the lost tail is gone") };
    assert_eq!(reason_of(&status), Reason::LogChanged);
    let mut kept = after_position(0);
    kept.start = Some(watch_request::Start::AfterToken("1-1".to_owned()));
    let mut frames = server.watch(kept).await.unwrap();
    frames.started().await;
    assert_eq!(frames.events().await.1.token, token);
}

#[tokio::test]
async fn no_more_watches_than_allowed_are_open_at_once() {
    let settings = QuerySettings { query_max_watchers: 2, ..quick() };
    let server = Server::start(memory_log(1), &settings);
    server.until_ready().await;
    let first = server.watch(WatchRequest::default()).await.unwrap();
    let _second = server.watch(WatchRequest::default()).await.unwrap();
    let Err(status) = server.watch(WatchRequest::default()).await else { panic!("too many") };
    assert_eq!(reason_of(&status), Reason::LimitExceeded);
    assert_eq!(server.status().await.watchers, 2);
    drop(first);
    assert!(server.watch(WatchRequest::default()).await.is_ok());
}
