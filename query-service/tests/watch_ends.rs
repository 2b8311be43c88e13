//! How watches end: with a definite code, and with the token to go on from.

use configapi_event_log::EventLog as _;
use configapi_proto::v1::consistency::{self, Linearizable};
use configapi_proto::v1::{Consistency, WatchRequest, event, watch_request};
use configapi_proto::{ApiError, Reason};
use configapi_query_service::QuerySettings;

use crate::freshness::impatient;
use crate::support::{
    FaultyLog, Op, Server, Writer, at_least, eventually, key, memory_log, quick, reason_of,
    token_of,
};
use crate::watching::{after_position, small_frames};

fn after_token(token: &str) -> WatchRequest {
    let start = Some(watch_request::Start::AfterToken(token.to_owned()));
    WatchRequest { start, ..after_position(0) }
}

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
    faulty.tamper(|rows| {
        rows.iter_mut().skip(1).for_each(|row| row.payload = format!("{} ", row.payload).into());
    });
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
    let told = ApiError::from_status(&status);
    match told.reason {
        Reason::LogChanged => {
            assert_eq!(told.metadata.get("lost_token"), Some(&lost));
            assert_eq!(token_of(&status), None);
        }
        Reason::Unavailable => {}
        other => panic!("{other:?}: {status:?}"),
    }

    server.until_ready().await;
    server.value("default/a", &token).await;
    let Err(status) = server.watch(after_token(&lost)).await else {
        panic!("the lost tail is gone")
    };
    assert_eq!(reason_of(&status), Reason::LogChanged);
    let mut frames = server.watch(after_token("1-1")).await.unwrap();
    frames.started().await;
    assert_eq!(frames.events().await.1.token, token);
}

/// What was lost is nothing that it was to tell, and it has told its client nothing of it.
#[tokio::test]
async fn a_watch_goes_on_from_what_it_told_though_it_has_seen_more_that_was_lost() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    let told = writer.set("default/a", "1").await;
    let server = Server::ready(faulty.clone()).await;
    let name = Some(watch_request::Selection::Name("a".to_owned()));
    let namespace = "default".to_owned();
    let request = |token: &str| WatchRequest {
        namespace: namespace.clone(),
        all_namespaces: false,
        selection: name.clone(),
        ..after_token(token)
    };
    let mut frames = server.watch(request(&told)).await.unwrap();
    frames.started().await;
    let replace = async {
        for number in 0..3 {
            let lost = writer.set("default/other", &number.to_string()).await;
            server.value("default/other", &lost).await;
        }
        let promoted = memory_log(1);
        let mut survivor = Writer::new(promoted.clone()).await;
        survivor.set("default/a", "1").await;
        survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
        let token = survivor.set("default/a", "2").await;
        faulty.replace(promoted);
        eventually("the new tail is served", async || {
            server.get("default/a", Some(at_least(&token))).await.is_ok()
        })
        .await;
        token
    };
    let (next, token) = tokio::join!(frames.events_or_end(), replace);
    let events = match next {
        // It was asked between the two.
        Err(status) => {
            assert_eq!(reason_of(&status), Reason::Unavailable, "{status:?}");
            assert_eq!(token_of(&status).as_deref(), Some("2-1"));
            let mut frames = server.watch(request("2-1")).await.unwrap();
            frames.started().await;
            frames.events().await
        }
        Ok(events) => events,
    };
    assert_eq!(events.1.token, token);
}

#[tokio::test]
async fn half_an_apply_that_was_lost_is_not_followed_by_half_of_another() {
    let log = memory_log(1);
    let faulty = FaultyLog::around(log.clone());
    let mut writer = Writer::new(log).await;
    writer.set("default/a", "1").await;
    let server = Server::start(faulty.clone(), &small_frames(2));
    server.until_ready().await;
    let mut frames = server.watch(after_position(1)).await.unwrap();
    frames.started().await;
    // Values so large that no frame is made before the one ahead of it was taken.
    let apply = |value: &str| {
        let value = value.repeat(20_000);
        let ops = (0..6).map(|n| (key(&format!("default/{n}")), Op::Set(value.clone())));
        ops.collect::<Vec<_>>()
    };
    let lost = writer.commit(apply("lost")).await;
    server.value("default/0", &lost).await;
    let (half, _) = frames.events().await;
    assert!(half.len() < 6, "the Apply is larger than a frame");

    // All of the Apply was lost, and nothing before it.
    let promoted = memory_log(1);
    let mut survivor = Writer::new(promoted.clone()).await;
    let kept = survivor.set("default/a", "1").await;
    survivor.head.epoch = promoted.begin_epoch(&survivor.head).await.unwrap();
    let token = survivor.commit(apply("new")).await;
    faulty.replace(promoted);
    eventually("the new tail is served", async || {
        server.get("default/0", Some(at_least(&token))).await.is_ok()
    })
    .await;

    let status = frames.next().await.unwrap().unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable, "what was told whole is there: {status:?}");
    assert_eq!(token_of(&status), Some(kept.clone()));
    let mut resumed = after_position(0);
    resumed.start = Some(watch_request::Start::AfterToken(kept));
    let mut frames = server.watch(resumed).await.unwrap();
    frames.started().await;
    let mut changes = Vec::new();
    while changes.len() < 6 {
        changes.extend(frames.events().await.0.into_iter().filter_map(|event| event.change));
    }
    let all_new = changes.iter().all(|change| match change {
        event::Change::ValueSet(set) => set.value.starts_with("new"),
        _ => false,
    });
    assert!(all_new, "something of what was lost is among them");
}

#[tokio::test]
async fn a_watch_from_an_epoch_that_never_was_is_told_its_own_token() {
    let server = Server::ready(memory_log(1)).await;
    let linearizable = Consistency { wish: Some(consistency::Wish::Linearizable(Linearizable {})) };
    for consistency in [None, Some(linearizable)] {
        let request = WatchRequest { consistency, ..after_token("9-7") };
        let Err(status) = server.watch(request).await else { panic!("there is no such epoch") };
        let told = ApiError::from_status(&status);
        assert_eq!(told.reason, Reason::LogChanged);
        assert_eq!(told.metadata.get("lost_token").map(String::as_str), Some("9-7"));
    }
}

/// What the server has reached would be a place too far on, or too far back.
#[tokio::test]
async fn a_watch_that_does_not_begin_is_told_where_it_can_begin_the_next_time() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for value in ["1", "2", "3"] {
        writer.set("default/a", value).await;
    }
    let server = Server::start(log, &impatient());
    server.until_ready().await;
    for (begin, token) in [(after_token("1-2"), Some("1-2")), (after_position(2), None)] {
        let request = WatchRequest { consistency: Some(at_least("1-9")), ..begin };
        let Err(status) = server.watch(request).await else { panic!("it began") };
        let told = ApiError::from_status(&status);
        assert_eq!(told.reason, Reason::Unavailable);
        let metadata = |key: &str| told.metadata.get(key).map(String::as_str);
        assert_eq!((metadata("token"), metadata("reached_token")), (token, Some("1-3")));
    }
}

/// A log that does not hold what a client has seen may have lost it. What comes next under those
/// positions is something else than the client thinks it has.
#[tokio::test]
async fn a_watch_from_where_the_log_has_not_reached_does_not_begin() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    let server = Server::start(log.clone(), &impatient());
    server.until_ready().await;
    for (begin, token) in [
        (after_token("1-3"), Some("1-3")),
        (after_token("1-18446744073709551615"), Some("1-18446744073709551615")),
        (after_position(3), None),
        (after_position(u64::MAX), None),
    ] {
        let Err(status) = server.watch(begin).await else { panic!("it began") };
        let told = ApiError::from_status(&status);
        assert_eq!(told.reason, Reason::Unavailable);
        let metadata = |key: &str| told.metadata.get(key).map(String::as_str);
        assert_eq!((metadata("token"), metadata("reached_token")), (token, Some("1-1")));
    }
    let server = Server::ready(log).await;
    writer.set("default/a", "2").await;
    let token = writer.set("default/a", "3").await;
    writer.set("default/a", "4").await;
    for begin in [after_token(&token), after_position(3)] {
        let mut frames = server.watch(begin).await.unwrap();
        assert_eq!(frames.started().await.token, token);
        assert_eq!(frames.events().await.0[0].position, 4);
    }
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
