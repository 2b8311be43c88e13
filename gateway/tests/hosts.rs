//! By which names the gateway may be called: a web page can let its own name point at any machine.

use configapi_gateway::{
    Gateway, GatewayLimits, GatewaySettings, HostName, UpstreamSettings, Upstreams,
};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;

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
    for wrong in
        ["https://config.example.com", "config.example.com:443", "a,,b", "a b", "*.example"]
    {
        let error = parse(wrong).unwrap_err().to_string();
        assert!(error.contains("--gateway-hosts"), "{error}");
    }
}
