//! A log that was restored: tokens of what was lost are told so, those of what is still there hold,
//! and the gateway goes on including what was written through it.

use std::sync::Arc;

use configapi_event_log::EventLog;
use reqwest::RequestBuilder;

use crate::support::{
    Ask, CommandServer, QueryServer, TestApp, eventually, gateway_to, memory_log, token_wished,
};

/// A log of two epochs: three events, of which the first two are of the first epoch and are all that
/// is left of it.
async fn restored_log() -> Arc<dyn EventLog> {
    let log = memory_log();
    let before = TestApp::on(&log).await;
    before.set("a", "1").await;
    before.set("a", "2").await;
    drop(before);
    log.begin_epoch(&log.head().await.expect("a head")).await.expect("an epoch");
    log
}

/// Every kind of read.
const READS: [&str; 8] = [
    "/v1/config/a",
    "/v1/config/never",
    "/v1/config/a?at=1",
    "/v1/config",
    "/v1/config/a/history",
    "/v1/diff?from=0",
    "/v1/status",
    "/v1/watch?after=0",
];

async fn status_of(read: RequestBuilder) -> u16 {
    // A watch does not end by itself.
    read.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_token_of_a_lost_tail_is_told_so_whatever_else_is_wished() {
    let app = TestApp::on(&restored_log().await).await;
    for round in ["before", "after"] {
        for path in READS {
            for level in ["any", "own-writes", "linearizable"] {
                let mark = if path.contains('?') { '&' } else { '?' };
                let read = app.get(&format!("{path}{mark}consistency={level}"));
                let lost = status_of(read.header("configapi-token", "1-21")).await;
                assert_eq!(lost, 409, "{path} {level}, {round} a write");
            }
        }
        // From now on the gateway has a token of its own, of the later epoch.
        app.set("b", "1").await;
    }
}

#[tokio::test]
async fn a_token_from_before_the_loss_still_holds() {
    let app = TestApp::on(&restored_log().await).await;
    assert_eq!(app.set("b", "1").await.header("configapi-token"), "2-3");
    for token in ["1-0", "1-2", "2-3", "2-1"] {
        for path in READS {
            for level in ["any", "own-writes", "linearizable"] {
                let mark = if path.contains('?') { '&' } else { '?' };
                let read = app.get(&format!("{path}{mark}consistency={level}"));
                let status = status_of(read.header("configapi-token", token)).await;
                let wanted = if path.contains("never") { 404 } else { 200 };
                assert_eq!(status, wanted, "{token} {path} {level}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_an_older_epoch_does_not_make_a_read_older_than_own_writes() {
    let (app, wishes) = TestApp::recorded(&restored_log().await).await;
    app.set("b", "1").await;
    let sent_for = async |token: &str| {
        let got = app.get("/v1/config/b").header("configapi-token", token).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "1"), "{token}");
        token_wished(&wishes)
    };
    assert_eq!(sent_for("1-1").await.as_deref(), Some("2-3"));
    assert_eq!(sent_for("2-1").await.as_deref(), Some("2-3"));
}

#[tokio::test]
async fn a_newer_epoch_that_a_client_knows_of_is_joined_with_own_writes() {
    let log = memory_log();
    let (app, wishes) = TestApp::recorded(&log).await;
    app.set("a", "1").await;
    app.set("a", "2").await;
    log.begin_epoch(&log.head().await.expect("a head")).await.expect("an epoch");
    let other = TestApp::on(&log).await;
    assert_eq!(other.set("b", "1").await.header("configapi-token"), "2-3");
    let read = |token| app.get("/v1/config/a").header("configapi-token", token).got();
    // As a read of the past is stamped: the epoch is new, the position is old.
    assert_eq!(read("2-1").await.body, "2");
    assert_eq!(token_wished(&wishes).as_deref(), Some("2-2"));
    assert_eq!(read("2-3").await.body, "2");
    assert_eq!(token_wished(&wishes).as_deref(), Some("2-3"));
}

#[tokio::test]
async fn a_position_of_another_log_does_not_make_the_gateway_forget_its_writes() {
    let (app, wishes) = TestApp::recorded(&memory_log()).await;
    app.set("a", "1").await;
    for path in ["/v1/config/a?at=9-1", "/v1/config?at=9-1", "/v1/diff?from=9-1"] {
        assert_eq!(app.get(path).got().await.status, 409, "{path}");
        assert_eq!(app.get("/v1/config/a").got().await.body, "1");
        assert_eq!(token_wished(&wishes).as_deref(), Some("1-1"), "after {path}");
    }
    let foreign = app.get("/v1/watch").header("last-event-id", "9-1");
    assert_eq!(foreign.got().await.status, 409);
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
    assert_eq!(token_wished(&wishes).as_deref(), Some("1-1"));
}

#[tokio::test]
async fn a_gateway_forgets_what_the_log_has_lost() {
    let (lost, survived) = (memory_log(), restored_log().await);
    let commands = CommandServer::start(&lost, None).await;
    let queries = QueryServer::start(&lost, None).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    for value in ["1", "2", "3"] {
        app.set("a", value).await;
    }
    let address = queries.address();
    queries.kill().await;
    let _queries = QueryServer::start(&survived, Some(address)).await;
    eventually(async || app.get("/v1/config/a").got().await.status == 200).await;
    assert_eq!(app.get("/v1/config/a").got().await.body, "2");
    let own = app.get("/v1/config/a").header("configapi-token", "1-3").got().await;
    assert_eq!(own.status, 409, "the client's own token is not forgotten for it");
}

#[tokio::test]
async fn a_gateway_goes_on_after_its_store_was_replaced_by_a_shorter_one() {
    // Nothing but its end tells a log from another one that is of the same epoch.
    let (old, new) = (memory_log(), memory_log());
    let commands = CommandServer::start(&old, None).await;
    let queries = QueryServer::start(&old, None).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    for value in ["1", "2", "3"] {
        app.set("a", value).await;
    }
    let (at, queries_at) = (commands.address(), queries.address());
    commands.kill().await;
    queries.kill().await;
    let _commands = CommandServer::start(&new, Some(at)).await;
    let _queries = QueryServer::start(&new, Some(queries_at)).await;
    TestApp::on(&new).await.set("b", "4").await;
    app.until_healthy().await;
    eventually(async || app.get("/v1/config/b").got().await.status == 200).await;
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    assert_eq!(app.set("b", "5").await.header("configapi-token"), "1-2");
    assert_eq!(app.get("/v1/config/b").got().await.body, "5");
    let watch = app.get("/v1/watch").header("prefer", "wait=1").send().await.expect("an answer");
    assert_eq!(watch.status().as_u16(), 200);
    // What the client itself wishes is not given up for it.
    let own = app.get("/v1/config/b").header("configapi-token", "1-3").header("prefer", "wait=2");
    assert_eq!(own.got().await.status, 503);
}

#[tokio::test]
async fn a_watch_finds_out_by_itself_that_the_store_was_replaced() {
    let (old, new) = (memory_log(), memory_log());
    let commands = CommandServer::start(&old, None).await;
    let queries = QueryServer::start(&old, None).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    app.set("a", "1").await;
    let address = queries.address();
    queries.kill().await;
    let _queries = QueryServer::start(&new, Some(address)).await;
    let watch = async || app.get("/v1/watch").send().await.expect("an answer").status().as_u16();
    eventually(async || watch().await == 200).await;
}

#[tokio::test]
async fn a_token_that_nobody_reaches_does_not_make_the_gateway_forget_its_writes() {
    let (app, wishes) = TestApp::recorded(&memory_log()).await;
    app.set("a", "1").await;
    for path in ["/v1/config/a", "/v1/config", "/v1/watch"] {
        let read = app.get(path).header("configapi-token", "1-21").header("prefer", "wait=2");
        assert_eq!(read.got().await.status, 503, "{path}");
        assert_eq!(app.get("/v1/config/a").got().await.body, "1");
        assert_eq!(token_wished(&wishes).as_deref(), Some("1-1"), "after {path}");
    }
}
