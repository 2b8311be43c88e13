//! healthcheck: for whoever restarts servers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::support::{Servers, configapi};

#[test]
fn a_server_that_serves_is_healthy_and_nothing_is_printed() {
    let servers = Servers::start();
    for address in [servers.command, servers.query] {
        let ended =
            configapi(["healthcheck", "--url", &format!("grpc://{address}")]).ends().succeeded();
        assert_eq!((ended.stdout, ended.stderr), (String::new(), String::new()));
    }
}

#[test]
fn a_server_that_is_away_or_silent_is_not_healthy() {
    configapi(["healthcheck", "--url", "grpc://127.0.0.1:1"]).ends().failed_with(1);
    configapi(["healthcheck", "--url", "http://127.0.0.1:1/v1/health"]).ends().failed_with(1);
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for scheme in ["grpc", "http"] {
        let url = format!("{scheme}://{address}");
        let ended =
            configapi(["healthcheck", "--url", &url, "--timeout", "200ms"]).ends().failed_with(1);
        assert!(ended.stderr.contains("no answer within 200ms"), "{ended:#?}");
    }
}

#[test]
fn over_http_the_status_decides() {
    let answer = |status: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = connection.read(&mut request).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let url = format!("http://{address}/v1/health?x=1");
        let ended = configapi(["healthcheck", "--url", &url]).ends();
        assert!(server.join().unwrap().starts_with("GET /v1/health?x=1 HTTP/1.1\r\n"));
        ended
    };
    answer("200 OK").succeeded();
    let ended = answer("503 Service Unavailable").failed_with(1);
    assert!(ended.stderr.contains("503"), "{ended:#?}");
}
