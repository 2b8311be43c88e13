//! Clients that go away while they are waited on.

use configapi_runtime::http::HttpLimits;
use tokio::io::AsyncWriteExt as _;

use super::{
    http::{HttpServer, get_once},
    support::{soon, until},
};

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_counted() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let left = r#"{method="GET",route="/gate",status="499"} 1"#;
    let mut client = server.connect().await;
    client.write_all(get_once("/gate").as_bytes()).await.expect("written");
    soon(server.reached.notified()).await;
    drop(client);
    let lines = ["http_server_requests_total", "http_server_request_duration_seconds_count"];
    for line in lines.map(|name| format!("{name}{left}")) {
        until(|| server.metrics.render().expect("renders").contains(&line)).await;
    }
    server.gate.notify_one();
    assert!(server.exchange(&get_once("/gate")).await.ends_with("open"));
    let page = server.metrics.render().expect("renders");
    assert!(page.contains(left) && page.contains(&left.replace("499", "200")), "{page}");
}
