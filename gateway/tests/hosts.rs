//! By which names the gateway may be called: a web page can let its own name point at any machine.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use configapi_gateway::{
    Gateway, GatewayLimits, GatewaySettings, HostName, UpstreamSettings, Upstreams, starting,
};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use http::Request;
use tokio::net::TcpStream;
use tower::Service as _;

use crate::support::{Ask, Got, Raw, TestApp};

const FOREIGN: [&str; 7] = [
    "rebound.example",
    "rebound.example:4000",
    "localhost.example",
    "127.0.0.1.example",
    "1.2.3",
    "[::1",
    "localhost:4000@rebound.example",
];

async fn called(app: &TestApp, host: &str, path: &str) -> Got {
    app.get(path).header("host", host).got_json().await
}

fn limits(hosts: &[&str]) -> GatewayLimits {
    let named = |name: &&str| name.parse().expect("a name");
    let hosts = hosts.iter().map(named).collect();
    GatewayLimits { hosts, ..GatewayLimits::default() }
}

#[tokio::test]
async fn a_gateway_of_this_machine_answers_to_no_name_that_a_page_may_own() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    for host in FOREIGN {
        for path in ["/v1/config/a", "/docs", "/metrics", "/v1/health", "/nowhere"] {
            let got = called(&app, host, path).await;
            let code = got.json()["code"].clone();
            assert_eq!((got.status, code), (403, "HOST_NOT_ALLOWED".into()), "{host} {path}");
        }
        let delete = app.delete("/v1/config/a").header("host", host);
        let same = delete.header("origin", format!("http://{host}"));
        assert_eq!(same.got().await.status, 403, "{host}");
    }
    for host in [
        "localhost",
        "LocalHost:4000",
        "localhost.:4000",
        "dev.localhost",
        "127.0.0.1",
        "192.0.2.7:4000",
        "[::1]",
        "[::1]:4000",
    ] {
        assert_eq!(called(&app, host, "/v1/config/a").await.status, 200, "{host}");
    }
    // What no browser sends.
    let mut old = Raw::connect(app.address).await;
    old.say("GET /v1/config/a HTTP/1.0\r\n\r\n").await;
    let said = old.hear_all().await;
    assert!(said.contains(" 200 OK"), "{said}");
}

/// Status and body of the answer to a request of this first line and these headers.
async fn exchanged(app: &TestApp, line: &str, headers: &[&str]) -> (u16, String) {
    let mut connection = Raw::connect(app.address).await;
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    connection.say(format!("{line}\r\n{headers}connection: close\r\n\r\n")).await;
    let answer = connection.hear_all().await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.contains("\r\nx-request-id: "), "{head}");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

#[tokio::test]
async fn a_request_says_once_whom_it_is_for() {
    let anybody = TestApp::start_with(limits(&["*"]), HttpLimits::default()).await;
    let app = TestApp::start_with(limits(&["gateway"]), HttpLimits::default()).await;
    let different = "host: must be the host that the target of the request names";
    for app in [&anybody, &app] {
        for path in ["/v1/config", "/livez", "/nowhere", "/docs"] {
            let line = format!("GET {path} HTTP/1.1");
            let (status, body) = exchanged(app, &line, &[]).await;
            assert_eq!((status, &*body), (400, "host: is missing"), "{path}");
            for second in ["gateway", "rebound.example"] {
                let both = ["host: gateway", &format!("Host: {second}")];
                let (status, body) = exchanged(app, &line, &both).await;
                assert_eq!((status, &*body), (400, "host: must be said only once"), "{second}");
            }
        }
        for (target, host) in [
            ("http://rebound.example/v1/config", "gateway"),
            ("http://gateway/v1/config", "rebound.example"),
            ("http://gateway:4000/v1/config", "gateway"),
            ("http://gateway/v1/config", "gateway:4000"),
            ("http://gateway/v1/config", "gateway:443"),
            ("http://somebody@gateway/v1/config", "gateway"),
            ("http://gateway/v1/config", ""),
        ] {
            let host = format!("host: {host}");
            let (status, body) = exchanged(app, &format!("GET {target} HTTP/1.1"), &[&host]).await;
            assert_eq!((status, &*body), (400, different), "{target} {host}");
        }
        for (target, host) in [
            ("http://gateway/v1/config", "gateway"),
            ("http://gateway:4000/v1/config", "Gateway:4000"),
            ("http://GATEWAY:80/v1/config", "gateway"),
            ("https://gateway/v1/config", "gateway:443"),
        ] {
            let host = format!("host: {host}");
            let got = exchanged(app, &format!("GET {target} HTTP/1.1"), &[&host]).await;
            assert_eq!(got, (200, "[]".to_owned()), "{target} {host}");
        }
    }
    let foreign = "GET http://rebound.example/v1/config HTTP/1.1";
    assert_eq!(exchanged(&app, foreign, &["host: rebound.example"]).await.0, 403);
    assert_eq!(exchanged(&anybody, foreign, &["host: rebound.example"]).await.0, 200);
    // As old probes ask.
    for probe in [&[][..], &["host: gateway"][..]] {
        assert_eq!(exchanged(&app, "GET /readyz HTTP/1.0", probe).await.0, 200);
    }
}

#[tokio::test]
async fn over_http_2_the_authority_is_whom_a_request_is_for() {
    let app = TestApp::start_with(limits(&["gateway"]), HttpLimits::default()).await;
    let ask = async |authority: &str, host: Option<&str>| {
        let mut request = Request::get(format!("http://{authority}/v1/config"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        status_over_http_2(app.address, request.body(()).expect("a request")).await
    };
    assert_eq!(ask("gateway", None).await, 200);
    assert_eq!(ask("gateway:4000", Some("gateway:4000")).await, 200);
    assert_eq!(ask("rebound.example", None).await, 403);
    assert_eq!(ask("rebound.example", Some("rebound.example")).await, 403);
    assert_eq!(ask("rebound.example", Some("gateway")).await, 400);
    assert_eq!(ask("gateway", Some("rebound.example")).await, 400);
}

async fn status_over_http_2(address: SocketAddr, request: Request<()>) -> u16 {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let (answer, _body) = client.send_request(request, true).expect("it is sent");
    let status = answer.await.expect("an answer").status().as_u16();
    connection.abort();
    status
}

#[tokio::test]
async fn names_that_are_listed_are_answered_to() {
    let limits = limits(&["config.example.com", "gateway"]);
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    for host in ["config.example.com", "Config.Example.com.:443", "gateway:4000", "localhost"] {
        assert_eq!(called(&app, host, "/v1/health").await.status, 200, "{host}");
    }
    for host in ["example.com", "a.config.example.com", "gateway.example.com"] {
        assert_eq!(called(&app, host, "/v1/health").await.status, 403, "{host}");
    }
    let app = TestApp::start_with(self::limits(&["gateway", "*"]), HttpLimits::default()).await;
    assert_eq!(called(&app, "rebound.example", "/v1/health").await.status, 200);
}

#[tokio::test]
async fn a_gateway_for_other_machines_answers_to_all_names_unless_some_are_listed() {
    for (hosts, status) in [(vec![], 404), (vec!["gateway"], 403)] {
        let upstreams = UpstreamSettings {
            command_url: "http://127.0.0.1:9".parse().unwrap(),
            query_url: vec!["http://127.0.0.1:9".parse().unwrap()],
        };
        let life = Lifecycle::default();
        let metrics = Metrics::new("test", "0");
        let gateway = Gateway::new(Upstreams::remote(&upstreams), limits(&hosts), &metrics, &life);
        let app = TestApp::serve(gateway, "0.0.0.0:0", HttpLimits::default(), life).await;
        assert_eq!(called(&app, "config.example.com", "/nowhere").await.status, status);
        assert_eq!(called(&app, "gateway", "/nowhere").await.status, 404);
    }
}

#[tokio::test]
async fn an_address_of_this_machine_is_one_however_it_is_written() {
    for (address, status) in [("[::ffff:127.0.0.1]:4000", 403), ("[::ffff:10.0.0.1]:4000", 503)] {
        let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
        let (address, ready) = (address.parse().unwrap(), Arc::new(|| Err("it starts".to_owned())));
        let mut gateway = starting(&limits(&[]), address, ready, &metrics, &life);
        let request = Request::get("/v1/config/a").header("host", "rebound.example");
        let answer = gateway.call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{address}");
    }
}

#[test]
fn a_setting_that_is_no_name_is_refused() {
    #[derive(Debug, clap::Parser)]
    struct Settings {
        #[command(flatten)]
        gateway: GatewaySettings,
    }
    let parse = |hosts: &str| {
        <Settings as clap::Parser>::try_parse_from(["test", "--gateway-hosts", hosts])
    };
    let named = parse("config.example.com,*").unwrap().gateway.gateway_hosts;
    assert_eq!(named, [HostName::One("config.example.com".into()), HostName::Any]);
    let named = parse(" config.example.com , *").unwrap().gateway.gateway_hosts;
    assert_eq!(named, [HostName::One("config.example.com".into()), HostName::Any]);
    for wrong in [
        "https://config.example.com",
        "config.example.com:443",
        "a,,b",
        "a, ,b",
        "a b",
        "*.example",
    ] {
        let error = parse(wrong).unwrap_err().to_string();
        assert!(error.contains("--gateway-hosts"), "{error}");
    }
}
