//! The `OpenAPI` document and the page made of it: true to the routes, and complete.

use std::collections::BTreeSet;

use configapi_gateway::{GatewayLimits, UpstreamSettings, Upstreams};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use serde_json::Value;

use crate::support::{Ask, TestApp, raw};

/// Everything that the document describes. A route that is added here is a promise.
const OPERATIONS: [&str; 21] = [
    "GET /docs",
    "GET /openapi.json",
    "POST /v1/apply",
    "GET /v1/config",
    "DELETE /v1/config/{name}",
    "GET /v1/config/{name}",
    "PUT /v1/config/{name}",
    "GET /v1/config/{name}/at/{timestamp}",
    "GET /v1/config/{name}/history",
    "POST /v1/config/{name}/restore",
    "GET /v1/diff",
    "GET /v1/health",
    "GET /v1/namespaces/{namespace}/config",
    "DELETE /v1/namespaces/{namespace}/config/{name}",
    "GET /v1/namespaces/{namespace}/config/{name}",
    "PUT /v1/namespaces/{namespace}/config/{name}",
    "GET /v1/namespaces/{namespace}/config/{name}/at/{timestamp}",
    "GET /v1/namespaces/{namespace}/config/{name}/history",
    "POST /v1/namespaces/{namespace}/config/{name}/restore",
    "GET /v1/status",
    "GET /v1/watch",
];

async fn description(app: &TestApp) -> Value {
    let got = app.get("/openapi.json").got().await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
    got.json()
}

fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let paths = description["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods");
        methods.iter().map(|(method, it)| (path.clone(), method.to_uppercase(), it.clone()))
    });
    all.collect()
}

#[tokio::test]
async fn the_document_lists_exactly_these_operations() {
    let app = TestApp::start().await;
    let listed: Vec<_> = operations(&description(&app).await)
        .into_iter()
        .map(|(path, method, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(listed, OPERATIONS);
}

#[tokio::test]
async fn every_described_operation_is_there_and_no_other_method_is() {
    let app = TestApp::start().await;
    let description = description(&app).await;
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let operations = operations(&description);
    let described: BTreeSet<_> =
        operations.iter().map(|(path, method, _)| (path.as_str(), method.as_str())).collect();
    for (path, _, _) in &operations {
        let target = path
            .replace("{name}", "a")
            .replace("{namespace}", "default")
            .replace("{timestamp}", "2024-01-15T10:30:00Z");
        // A watch does not end by itself.
        let target = if path == "/v1/watch" { format!("{target}?name=%20") } else { target };
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let status = raw(app.address, method, &target).await;
            let there = described.contains(&(path.as_str(), method));
            assert_eq!(status != 405, there, "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn every_operation_is_described_in_full() {
    let app = TestApp::start().await;
    let description = description(&app).await;
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&description) {
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert!(ids.insert(id.clone()), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{method} {path} has a summary");
        for parameter in path.split('{').skip(1).filter_map(|rest| rest.split_once('}')) {
            let parameters = operation["parameters"].as_array().expect("parameters");
            let found = parameters.iter().any(|it| it["name"] == parameter.0 && it["in"] == "path");
            assert!(found, "{method} {path} describes {}", parameter.0);
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(response["description"].is_string());
            let problem = &response["content"]["application/problem+json"];
            if status.as_str() >= "400" && !path.ends_with("/health") {
                assert!(problem.is_object(), "{method} {path} {status}");
            }
        }
    }
    // Every reference leads somewhere.
    let text = description.to_string();
    assert!(!text.contains(":null"), "nothing is described as null");
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split_once('"').expect("an end").0;
        assert!(description.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn whoever_reads_may_say_how_fresh_and_is_told_of_a_log_that_changed() {
    let app = TestApp::start().await;
    let description = description(&app).await;
    for (path, method, operation) in operations(&description) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names: BTreeSet<_> = parameters.filter_map(|it| it["name"].as_str()).collect();
        // Whatever asks the servers waits as long as it is told to; a health check has its own limit.
        let waits = path.starts_with("/v1/") && path != "/v1/health";
        assert_eq!(names.contains("Prefer"), waits, "{method} {path}");
        if !names.contains("consistency") {
            continue;
        }
        assert!(names.contains("ConfigApi-Token"), "{method} {path}");
        assert!(operation["responses"]["409"].is_object(), "{method} {path} may be a 409");
    }
    let of = |path: &str, method: &str| &description["paths"][path][method]["parameters"];
    let namespace = |it: &Value| it["name"] == "namespace" && it["in"] == "query";
    assert!(of("/v1/apply", "post").as_array().is_some_and(|them| them.iter().any(namespace)));
}

#[tokio::test]
async fn a_read_knows_the_parameters_that_are_described_and_refuses_others() {
    let app = TestApp::start().await;
    let reads = operations(&description(&app).await).into_iter().filter(|(path, method, _)| {
        method == "GET" && path.starts_with("/v1/") && path != "/v1/health"
    });
    for (path, _, operation) in reads {
        let target = path
            .replace("{name}", "a")
            .replace("{namespace}", "default")
            .replace("{timestamp}", "2024-01-15T10:30:00Z");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let known = parameters.filter(|it| it["in"] == "query");
        let known: Vec<_> = known.map(|it| it["name"].as_str().expect("a name")).collect();
        assert!(!known.is_empty(), "{path}");
        // Said twice, they are refused, and so not as unknown.
        let all = known.iter().flat_map(|name| [format!("{name}=1"), format!("{name}=1")]);
        let all = all.collect::<Vec<_>>().join("&");
        let twice = app.get(&format!("{target}?{all}&_=1&_c%61che")).got().await;
        assert_eq!(twice.status, 400, "{path}: {}", twice.body);
        assert!(!twice.body.contains("unknown parameter"), "{path}: {}", twice.body);
        for query in ["prefx=a", "%70refx=a", "consistency=any&prefx", "prefx=a&name=%20"] {
            let unknown = app.get(&format!("{target}?{query}")).got_json().await;
            assert_eq!(unknown.status, 400, "{path}?{query}");
            let wants = unknown.json()["errors"][0]["detail"].to_string();
            assert!(wants.contains("unknown parameter `prefx`"), "{path}?{query}: {wants}");
            for name in &known {
                assert!(wants.contains(&format!("`{name}`")), "{path} tells of {name}: {wants}");
            }
        }
    }
    let nameless = app.get("/v1/config?=a").got_json().await;
    assert_eq!((nameless.status, &nameless.json()["errors"][0]["field"]), (400, &"query".into()));
    // Old clients may say what they like, and a cache may be kept from answering.
    app.set("a", "1").await;
    for path in ["/config/a?prefx=a", "/config?prefx=a", "/v1/config/a?_=17", "/v1/config?_"] {
        assert_eq!(app.get(path).got().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_an_operation_answers_is_among_what_is_described() {
    let app = TestApp::start().await;
    let description = description(&app).await;
    let described = |path: &str, method: &str, status: u16| {
        &description["paths"][path][method]["responses"][status.to_string()]["description"]
    };
    let wrong = app.get("/v1/health?consistency=x").got().await;
    assert_eq!(wrong.status, 400);
    assert!(described("/v1/health", "get", wrong.status).is_string());
    for path in ["/docs", "/openapi.json", "/v1/health", "/v1/status"] {
        let foreign = app.get(path).header("host", "rebound.example").got().await;
        assert_eq!(foreign.status, 403, "{path}");
        assert!(described(path, "get", foreign.status).is_string(), "{path}");
    }
    let none = GatewayLimits { max_requests: 0, ..GatewayLimits::default() };
    let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
    let nowhere = UpstreamSettings {
        command_url: http::Uri::from_static("http://127.0.0.1:1"),
        query_url: vec![http::Uri::from_static("http://127.0.0.1:1")],
    };
    let upstreams = Upstreams::remote(&nowhere);
    let full = TestApp::before(upstreams, none, HttpLimits::default(), metrics, life).await;
    for path in ["/docs", "/openapi.json", "/v1/health", "/v1/status"] {
        let status = full.get(path).got().await.status;
        assert_eq!(status, 429, "{path}");
        assert!(described(path, "get", status).is_string(), "{path}");
    }
    // Of what a write is refused for, a part is only seen where something is broken.
    for (path, method, operation) in operations(&description) {
        if method != "GET" {
            let told = |status: &str| operation["responses"][status]["description"].to_string();
            assert!(told("403").contains("ORIGIN_NOT_ALLOWED"), "{method} {path}");
            assert!(told("409").contains("LOG_CHANGED"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_page_explains_every_operation_and_problem_by_itself() {
    let app = TestApp::start().await;
    let got = app.get("/docs").got().await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/html; charset=utf-8"));
    let description = description(&app).await;
    for (_, _, operation) in operations(&description) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(got.body.contains(&format!("id=\"{id}\"")), "{id}");
    }
    let codes = &description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in codes.as_array().expect("codes") {
        let code = code.as_str().expect("a code");
        assert!(got.body.contains(&format!("id=\"{code}\"")), "{code}");
    }
    for elsewhere in ["<script", "src=", "href=\"http", "@import", "url("] {
        assert!(!got.body.contains(elsewhere), "{elsewhere}");
    }
}
