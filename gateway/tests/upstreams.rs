//! Servers that come and go behind the gateway.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args as _;
use configapi_event_log::EventLog;
use configapi_gateway::{GatewayLimits, UpstreamSettings, Upstreams};
use configapi_query_service::QuerySettings;
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::settings::{NoSettings, parse_from};
use configapi_runtime::shutdown::Lifecycle;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{
    Ask, CommandServer, Events, QueryServer, TestApp, eventually, gateway_at, gateway_to,
    memory_log,
};

/// However long a server may take, an answer comes sooner than this.
const QUICK: Duration = Duration::from_secs(3);

async fn servers(log: &Arc<dyn EventLog>) -> (CommandServer, QueryServer) {
    (CommandServer::start(log, None).await, QueryServer::start(log, None).await)
}

#[tokio::test]
async fn a_command_server_that_is_gone_is_told_quickly_and_comes_back_by_itself() {
    let log = memory_log();
    let (commands, queries) = servers(&log).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    app.set("a", "1").await;
    let address = commands.address();
    commands.kill().await;

    let began = Instant::now();
    let put = || app.put("/v1/config/a").header("content-type", "text/plain").body("2");
    let got = put().got_json().await;
    assert_eq!(got.status, 503, "{}", got.body);
    assert!(!got.header("retry-after").is_empty());
    assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
    assert_eq!(app.get("/v1/config/a").got().await.body, "1", "reads go on");
    let health = app.get("/v1/health").got().await;
    assert_eq!((health.status, health.header("retry-after")), (503, "1"));
    assert_eq!(health.json()["checks"]["eventstore"], "unhealthy");
    assert_eq!(health.json()["checks"]["projection"], "healthy");
    assert_eq!(health.json()["checks"]["database"], "healthy");

    let _commands = CommandServer::start(&log, Some(address)).await;
    eventually(async || put().got().await.status == 200).await;
    assert_eq!(app.get("/v1/config/a").got().await.body, "2");
    app.until_healthy().await;
}

/// Where somebody speaks HTTP/2 and goes away in the middle of the request that has this in it.
async fn server_that_goes_away_at(needle: &'static str) -> SocketAddr {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                connection.write_all(&SETTINGS).await?;
                let mut read = Vec::new();
                while !read.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                    if connection.read_buf(&mut read).await? == 0 {
                        break;
                    }
                }
                Ok::<_, io::Error>(())
            });
        }
    });
    address
}

#[tokio::test]
async fn a_write_whose_server_goes_away_is_told_that_it_may_have_been_done_and_how_to_find_out() {
    let log = memory_log();
    let queries = QueryServer::start(&log, None).await;
    let commands = server_that_goes_away_at("what-is-sent").await;
    let command_url = format!("http://{commands}").parse().expect("a URL");
    let settings = UpstreamSettings { command_url, query_url: vec![queries.url()] };
    let app = gateway_at(&settings, HttpLimits::default()).await;

    let put = app.put("/v1/config/a").header("idempotency-key", "k");
    let got = put.json(&json!({"value": "what-is-sent"})).got_json().await;
    assert_eq!((got.status, &got.json()["code"]), (503, &"OUTCOME_UNKNOWN".into()), "{}", got.body);
    assert!(!got.header("retry-after").is_empty());
    for sentence in ["title", "detail"] {
        let sentence = got.json()[sentence].clone();
        let words = sentence.as_str().unwrap_or_default();
        assert!(words.contains("may or may not have been written"), "{sentence}");
        assert!(words.contains("Idempotency-Key") && !words.contains("request id"), "{sentence}");
    }
    assert!(!got.body.contains("what-is-sent"), "values stay out of errors: {}", got.body);
}

#[tokio::test]
async fn a_large_body_takes_room_until_its_command_is_answered() {
    const BYTES: usize = 600_000;
    let queries = QueryServer::start(&memory_log(), None).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let commands = listener.local_addr().expect("an address");
    // It takes the connection, and says nothing.
    let silent = tokio::spawn(async move {
        let _connection = listener.accept().await.expect("a connection");
        std::future::pending::<()>().await;
    });
    let command_url = format!("http://{commands}").parse().expect("a URL");
    let settings = UpstreamSettings { command_url, query_url: vec![queries.url()] };
    let limits = GatewayLimits {
        max_body_bytes_held: 1 << 20,
        timeout: Duration::from_mins(1),
        ..GatewayLimits::default()
    };
    let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
    let upstreams = Upstreams::remote(&settings);
    let app = TestApp::before(upstreams, limits, HttpLimits::default(), metrics, life).await;

    let put = |wait: &str| {
        let put = app.put("/v1/config/a").header("content-type", "text/plain");
        put.header("prefer", wait).body("x".repeat(BYTES))
    };
    let first = tokio::spawn(put("wait=60").got());
    eventually(async || put("wait=0").got().await.status == 429).await;
    assert!(!first.is_finished(), "it waits for its answer");
    silent.abort();
    assert_eq!(first.await.expect("no panic").status, 503);
    assert_eq!(put("wait=0").got().await.status, 503, "all of it was given back");
}

#[tokio::test]
async fn a_query_server_that_is_gone_is_told_quickly_and_comes_back_by_itself() {
    let log = memory_log();
    let (commands, queries) = servers(&log).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    app.set("a", "1").await;
    let address = queries.address();
    queries.kill().await;

    let began = Instant::now();
    let got = app.get("/v1/config/a").got_json().await;
    assert!(matches!(got.status, 503 | 504), "{}", got.body);
    assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
    app.set("a", "2").await;
    let health = app.get("/v1/health").got().await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["checks"]["eventstore"], "healthy");
    assert_eq!(health.json()["checks"]["projection"], "unhealthy");
    eventually(async || app.get("/readyz").got().await.status == 503).await;

    let _queries = QueryServer::start(&log, Some(address)).await;
    eventually(async || app.get("/v1/config/a").got().await.status == 200).await;
    assert_eq!(app.get("/v1/config/a").got().await.body, "2");
    eventually(async || app.get("/readyz").got().await.status == 200).await;
}

#[tokio::test]
async fn reads_go_to_the_servers_that_are_there() {
    let log = memory_log();
    let (commands, first) = servers(&log).await;
    let second = QueryServer::start(&log, None).await;
    let app = gateway_to(&commands, &[&first, &second]).await;
    app.until_healthy().await;
    app.set("a", "1").await;
    first.kill().await;
    for _ in 0..50 {
        let got = app.get("/v1/config/a").got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "1"));
    }
    assert_eq!(app.get("/readyz").got().await.status, 200);
}

#[tokio::test]
async fn a_server_that_is_cut_off_from_the_log_does_not_fail_reads_that_another_can_answer() {
    let log = memory_log();
    let (commands, well) = servers(&log).await;
    // As far as anybody can tell, it reads the same log and hears of nothing.
    let cut_off = QueryServer::start(&memory_log(), None).await;
    let app = gateway_to(&commands, &[&cut_off, &well]).await;
    app.until_healthy().await;
    app.set("a", "1").await;
    for _ in 0..20 {
        let got = app.get("/v1/config/a").got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "1"));
    }
}

/// Nothing was written through this gateway, so that only what a client says tells how far a server has to be.
#[tokio::test]
async fn a_watch_comes_back_where_it_was_though_a_server_that_is_cut_off_has_yet_to_get_there() {
    let log = memory_log();
    let (commands, well) = servers(&log).await;
    let cut_off = QueryServer::start(&memory_log(), None).await;
    let elsewhere = gateway_to(&commands, &[&well]).await;
    for value in ["1", "2"] {
        elsewhere.set("a", value).await;
    }
    let app = gateway_to(&commands, &[&cut_off, &well]).await;
    app.until_healthy().await;
    for (path, id) in [("/v1/watch?name=a", "1-1"), ("/v1/watch?after=1", ""), ("/v1/watch", "1-1")]
    {
        let back = app.get(path).header("last-event-id", id);
        let change = Events::of(back).await.named("change").await;
        assert_eq!(change.id.as_deref(), Some("1-2"), "{path}");
    }
}

/// A server that is full has the fewest watches of this gateway, and so it is the first to be asked.
#[tokio::test]
async fn a_watch_for_which_one_server_has_no_room_begins_at_another() {
    let log = memory_log();
    let (commands, well) = servers(&log).await;
    let settings = QuerySettings { query_max_watchers: 0, ..QuerySettings::default() };
    let full = QueryServer::start_with(&log, None, settings).await;
    let app = gateway_to(&commands, &[&full, &well]).await;
    app.until_healthy().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let watch = app.get("/v1/watch").send().await.expect("an answer");
        assert_eq!(watch.status(), 200);
        open.push(watch);
    }
    let nowhere_else = gateway_to(&commands, &[&full, &full]).await;
    let refused = nowhere_else.get("/v1/watch").got_json().await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &"LIMIT_EXCEEDED".into()));
}

#[tokio::test]
async fn every_server_gets_its_share_of_reads() {
    let log = memory_log();
    let (commands, first) = servers(&log).await;
    let second = QueryServer::start(&log, None).await;
    let app = gateway_to(&commands, &[&first, &second]).await;
    app.until_healthy().await;
    // Of two servers, one has the watch.
    let _watch = app.get("/v1/watch").send().await.expect("a watch");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        seen.insert(app.get("/v1/status").got().await.json()["watchers"].as_u64());
    }
    assert_eq!(seen, [Some(0), Some(1)].into());
}

#[tokio::test]
async fn calls_within_the_process_are_counted_under_the_names_of_their_methods() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let change = serde_json::json!({"commands": [{"action": "set", "name": "b", "value": "2"}]});
    for (method, request) in [
        ("Get", app.get("/v1/config/a")),
        ("List", app.get("/v1/config")),
        ("History", app.get("/v1/config/a/history")),
        ("Diff", app.get("/v1/diff?from=0")),
        ("GetStatus", app.get("/v1/status")),
        ("Watch", app.get("/v1/watch")),
        ("Apply", app.post("/v1/apply").json(&change)),
        ("Delete", app.delete("/v1/config/a")),
        ("Restore", app.post("/v1/config/a/restore")),
    ] {
        // The rest of a watch is of no interest: its connection ends here.
        let status = request.send().await.expect("an answer").status();
        assert_eq!(status, 200, "{method}");
    }
    let counted = async |method: &str| {
        let page = app.get("/metrics").got().await.body;
        let labels = format!("grpc_method=\"{method}\",grpc_code=");
        page.lines()
            .filter(|line| line.starts_with("grpc_server_handled_total{") && line.contains(&labels))
            .any(|line| !line.ends_with(" 0"))
    };
    for method in ["Set", "Apply", "Delete", "Restore", "Get", "List", "History", "Diff"] {
        assert!(counted(method).await, "{method}");
    }
    // A health check has asked for the status too; a watch counts when it is given up.
    assert!(counted("GetStatus").await);
    eventually(async || counted("Watch").await).await;
    assert!(!counted("other").await);
}

#[test]
fn a_url_with_a_user_is_refused_and_its_password_not_repeated() {
    #[derive(Debug, clap::Parser)]
    struct Settings {
        #[command(flatten)]
        upstreams: UpstreamSettings,
    }
    let parse = |flag: &str, url: &str| parse_from::<Settings>(["test", flag, url]);
    for url in ["http://127.0.0.1:50052", "http://[::1]:50052", "http://queries", "http://q:1/"] {
        let settings = parse("--query-url", url).expect(url);
        assert_eq!(settings.upstreams.query_url.len(), 1);
    }
    for url in [
        "http://user:s3cret@127.0.0.1:1",
        "http://s3cret@127.0.0.1:1",
        "http://user:s3/cret@127.0.0.1:1",
        "user:s3cret@127.0.0.1:1",
    ] {
        for flag in ["--query-url", "--command-url"] {
            let Err(NoSettings::Wrong(line)) = parse(flag, url) else { panic!("{url} is taken") };
            assert!(line.contains(flag) && line.contains("without a user"), "{line}");
            assert!(!line.contains("s3"), "{line}");
        }
        let Err(NoSettings::Wrong(line)) =
            parse("--query-url", &format!("http://127.0.0.1:2,{url}"))
        else {
            panic!("{url} is taken among others")
        };
        assert!(!line.contains("s3"), "{line}");
    }
}

#[tokio::test]
async fn a_server_of_the_other_kind_is_not_taken_for_the_one_that_is_meant() {
    let log = memory_log();
    let (commands, queries) = servers(&log).await;
    gateway_to(&commands, &[&queries]).await.until_healthy().await;
    let swapped = UpstreamSettings { command_url: queries.url(), query_url: vec![commands.url()] };
    let app = gateway_at(&swapped, HttpLimits::default()).await;
    let health = app.get("/v1/health").got().await;
    assert_eq!(health.status, 503, "{}", health.body);
    assert_eq!(health.json()["checks"]["eventstore"], "unhealthy");
    let why = "the command server is one of another kind";
    assert_eq!(health.json()["details"]["eventstore"], why);
    eventually(async || app.get("/readyz").got().await.status == 503).await;
    let why = "what answers is no query server\n";
    assert_eq!(app.get("/readyz").got().await.body, why);
    for call in [app.get("/v1/config/a"), app.put("/v1/config/a").json(&json!({ "value": "1" }))] {
        let got = call.header("accept", "application/json").got().await;
        assert_eq!((got.status, &got.json()["code"]), (503, &"UNAVAILABLE".into()), "{}", got.body);
        assert!(got.body.contains("knows no such call"), "{}", got.body);
    }
    assert_eq!(app.get("/readyz").got().await.body, why);
}

#[tokio::test]
async fn who_is_no_query_server_is_passed_over_for_one_that_is() {
    let log = memory_log();
    let (commands, queries) = servers(&log).await;
    let both = UpstreamSettings {
        command_url: commands.url(),
        query_url: vec![commands.url(), queries.url()],
    };
    let app = gateway_at(&both, HttpLimits::default()).await;
    app.set("a", "1").await;
    for _ in 0..4 {
        let got = app.get("/v1/config/a").got().await;
        assert_eq!((got.status, &*got.body), (200, "1"));
    }
}

#[test]
fn help_does_not_show_what_the_environment_holds_of_the_urls() {
    let command = UpstreamSettings::augment_args(clap::Command::new("test"));
    let urls: Vec<_> = command.get_arguments().filter(|it| it.get_env().is_some()).collect();
    assert_eq!(urls.len(), 2);
    for url in urls {
        assert!(url.is_hide_env_values_set(), "{:?}", url.get_id());
    }
}

#[test]
fn spaces_around_the_urls_of_a_list_do_not_matter() {
    #[derive(Debug, clap::Parser)]
    struct Settings {
        #[command(flatten)]
        upstreams: UpstreamSettings,
    }
    let list = " http://127.0.0.1:1, http://queries:2 ,\thttp://[::1]:3";
    let settings = parse_from::<Settings>(["test", "--query-url", list]).unwrap();
    let urls: Vec<_> = settings.upstreams.query_url.iter().map(ToString::to_string).collect();
    assert_eq!(urls, ["http://127.0.0.1:1/", "http://queries:2/", "http://[::1]:3/"]);
    for wrong in ["http://127.0.0.1:1, ", "http://127.0.0.1:1, http://a b:2"] {
        let refused = parse_from::<Settings>(["test", "--query-url", wrong]);
        assert!(matches!(refused, Err(NoSettings::Wrong(_))), "{wrong}");
    }
}
