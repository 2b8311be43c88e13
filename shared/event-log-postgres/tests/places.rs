//! Where a server should be, and what is there instead: errors say it, and never who asks.

use std::net::SocketAddr;

use configapi_event_log::EventLog as _;
use configapi_event_log_postgres::{Access, PostgresLog, migrate};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every connection as a web server does.
async fn web_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whoever has gone hears nothing.
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    address
}

/// What a reader and `migrate` are told about this URL.
async fn told(url: &str) -> [String; 2] {
    let log = PostgresLog::new(url, Access::ReadOnly).expect("a URL");
    let read = log.head().await.expect_err("nobody to ask").to_string();
    [read, migrate(url).await.expect_err("nobody to ask").to_string()]
}

#[tokio::test]
async fn where_no_connection_could_be_made_is_told_without_user_and_password() {
    let web_server = web_server().await;
    for (url, expected) in [
        (
            "postgres://me:secret@localhost/postgres?host=/nosuch".to_owned(),
            "cannot connect to the socket /nosuch/.s.PGSQL.5432: No such file".to_owned(),
        ),
        (
            "postgres://me:secret@127.0.0.1:1/postgres".to_owned(),
            "cannot connect to 127.0.0.1:1: Connection refused".to_owned(),
        ),
        (
            format!("postgres://me:secret@{web_server}/postgres"),
            format!("what answers at {web_server} is no PostgreSQL, or wants"),
        ),
        // What looks like a host and a port may be a user and the beginning of a password.
        (
            "postgres://127.0.0.1:1/secret@db/postgres".to_owned(),
            "cannot connect to the host of the URL: Connection refused".to_owned(),
        ),
    ] {
        for text in told(&url).await {
            assert!(text.contains(&expected), "{url}: {text}");
            for hidden in ["me:", "secret", "sqlx"] {
                assert!(!text.contains(hidden), "{url}: {text}");
            }
        }
    }
}
