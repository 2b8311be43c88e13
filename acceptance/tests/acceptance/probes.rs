//! What probes are told by everything in one process: as much as by servers of their own.

use std::net::SocketAddr;
use std::path::Path;

use configapi_acceptance::chaos::proxy::{Behaviour, Proxy};
use configapi_acceptance::{AllInOne, Binary, Process, Rest, WAIT_LIMIT, eventually};
use configapi_proto::v1::SetRequest;
use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::{ApiError, Reason};
use reqwest::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, RETRY_AFTER,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, raw_sql};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const PASSWORD: &str = "not-to-be-told";

fn serve(store: &str, folder: &Path) -> Process {
    let any = || "127.0.0.1:0".to_owned();
    let settings = [
        ("CONFIGAPI_STORE", store.to_owned()),
        ("CONFIGAPI_COMMAND_ADDR", any()),
        ("CONFIGAPI_QUERY_ADDR", any()),
        ("CONFIGAPI_GATEWAY_ADDR", any()),
        ("CONFIGAPI_ADMIN_ADDR", any()),
    ];
    Process::start(Binary::ConfigApi, &["serve"], &settings, folder.join("serve.log"))
}

fn channel(server: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{server}")).unwrap().connect_lazy()
}

/// What the health service says of all that is served there.
async fn well(server: SocketAddr) -> Result<(), Status> {
    let mut health = HealthClient::new(channel(server));
    let said = health.check(HealthCheckRequest::default()).await?.into_inner().status();
    assert_eq!(said, ServingStatus::Serving);
    Ok(())
}

fn assert_refused(status: &Status) {
    let error = ApiError::from_command_status(status);
    assert_eq!(error.reason, Reason::Unavailable, "{status:?}");
    assert_eq!(error.message, "starting: the store is not open yet");
    assert!(error.retry_after.is_some(), "{status:?}");
}

/// A new database on the server that `DATABASE_URL` names.
async fn database() -> (String, PgConnectOptions) {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        panic!("DATABASE_URL is not set: run this by `make test` or under `scripts/with-postgres`");
    };
    let server: PgConnectOptions = url.parse().unwrap();
    let name = format!("configapi_probes_{}", uuid::Uuid::now_v7().simple());
    let mut connection = server.clone().disable_statement_logging().connect().await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    raw_sql(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    (name, server)
}

#[tokio::test]
async fn what_waits_for_its_store_answers_probes_and_tells_everybody_else_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let (name, server) = database().await;
    let host = format!("{}:{}", server.get_host(), server.get_port());
    let upstream = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
    let proxy = Proxy::start(upstream).await.unwrap();
    proxy.behave(Behaviour { refuses: true, ..Behaviour::default() });
    let (user, database) = (server.get_username(), proxy.address());
    let store = format!("postgres://{user}:{PASSWORD}@{database}/{name}");
    let mut process = serve(&store, folder.path());

    let rest = process.address_of("starting gateway").await;
    for address in [rest, process.address_of("admin").await] {
        assert_eq!(
            Rest::new(address).get("/livez").await.unwrap(),
            (StatusCode::OK, "ok\n".to_owned())
        );
        let (status, why) = Rest::new(address).get("/readyz").await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(why, "starting: the store is not open yet\n");
        let (_, page) = Rest::new(address).get("/metrics").await.unwrap();
        assert_eq!(page.matches("\nconfigapi_ready 0\n").count(), 1, "{page}");
    }
    let client = reqwest::Client::new();
    for path in ["v1/config/a", "v1/watch", "nowhere"] {
        let asked = client.get(format!("http://{rest}/{path}")).header(ACCEPT, "application/json");
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.headers().contains_key(RETRY_AFTER), "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "UNAVAILABLE", "{path}");
        assert_eq!(problem["detail"], "starting: the store is not open yet", "{path}");
        assert_ne!(problem["request_id"], "", "{path}");
    }
    let (status, told) = Rest::new(rest).get("/v1/health").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let health: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(health["checks"]["database"], "unhealthy");
    assert_eq!(health["details"]["database"], "starting: the store is not open yet");

    let page = "http://localhost:8080";
    let preflight = client.request(Method::OPTIONS, format!("http://{rest}/v1/config/a"));
    let preflight = preflight.header(ACCESS_CONTROL_REQUEST_METHOD, "PUT").header(ORIGIN, page);
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(answer.headers()[ACCESS_CONTROL_ALLOW_METHODS].to_str().unwrap().contains("PUT"));
    let asked = client.get(format!("http://{rest}/v1/config/a"));
    let answer = asked.header(ORIGIN, page).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], page);

    let of_another = client.get(format!("http://{rest}/metrics")).header(HOST, "example.com");
    assert_eq!(of_another.send().await.unwrap().status(), StatusCode::FORBIDDEN);

    let (commands, queries) =
        (process.address_of("starting command").await, process.address_of("starting query").await);
    for server in [commands, queries] {
        assert_refused(&well(server).await.unwrap_err());
    }
    let set = || SetRequest { name: "a".to_owned(), value: "1".to_owned(), ..Default::default() };
    let mut writer = CommandServiceClient::new(channel(commands));
    assert_refused(&writer.set(set()).await.unwrap_err());

    proxy.behave(Behaviour::default());
    eventually("ready", || async {
        Rest::new(rest).get("/readyz").await.filter(|(status, _)| *status == StatusCode::OK)
    })
    .await;
    let (_, page) = Rest::new(rest).get("/metrics").await.unwrap();
    assert_eq!(page.matches("\nconfigapi_ready 1\n").count(), 1, "{page}");
    let (status, configs) = Rest::new(rest).get("/v1/config").await.unwrap();
    assert_eq!((status, &*configs), (StatusCode::OK, "[]"));
    // On the connection that was refused too, once it has found out that its other end is gone.
    eventually("a write", || async { writer.clone().set(set()).await.ok() }).await;
    for server in [commands, queries] {
        eventually("health", || async { well(server).await.ok() }).await;
    }
    process.terminate().await;
    assert_eq!(process.wait(WAIT_LIMIT).await, Some(0), "{}", process.said());
    assert!(!process.said().contains(PASSWORD), "{}", process.said());
}

#[tokio::test]
async fn what_is_asked_to_end_before_its_store_is_there_ends() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("postgres://user@{}/none", nobody.local_addr().unwrap());
    drop(nobody);
    let mut process = serve(&store, folder.path());
    let rest = process.address_of("starting gateway").await;
    assert_eq!(Rest::new(rest).get("/livez").await.unwrap().0, StatusCode::OK);
    process.terminate().await;
    assert_eq!(process.wait(WAIT_LIMIT).await, Some(0), "{}", process.said());
}

#[tokio::test]
async fn what_may_not_serve_its_log_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("configapi.db");
    let store = format!("sqlite:{}", file.display());
    let mut system = AllInOne::start(&store, folder.path()).await;
    system.rest().put("a", "1").await.unwrap();
    system.process.terminate().await;
    assert_eq!(system.process.wait(WAIT_LIMIT).await, Some(0));
    let mut console = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let edit = "DROP TRIGGER events_are_not_updated; \
        UPDATE events SET metadata = '{\"actor\":\"nobody\"}' WHERE position = 1";
    raw_sql(edit).execute(&mut console).await.unwrap();
    console.close().await.unwrap();

    let process = serve(&store, folder.path());
    let rest = process.address_of("gateway").await;
    let why = eventually("a reason", || async {
        Rest::new(rest).get("/readyz").await.filter(|(_, why)| why.contains("hash chain"))
    });
    let (status, why) = why.await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{why}");
    let (_, page) = Rest::new(rest).get("/metrics").await.unwrap();
    assert!(page.contains("\nconfigapi_ready 0\n"), "{page}");
    assert_eq!(
        Rest::new(rest).get("/v1/config/a").await.unwrap().0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(Rest::new(rest).get("/livez").await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn a_server_with_a_stop_delay_tells_probes_and_serves_on_until_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let any = || "127.0.0.1:0".to_owned();
    let settings = [
        ("CONFIGAPI_STORE", "memory:".to_owned()),
        ("CONFIGAPI_COMMAND_ADDR", any()),
        ("CONFIGAPI_QUERY_ADDR", any()),
        ("CONFIGAPI_GATEWAY_ADDR", any()),
        ("CONFIGAPI_ADMIN_ADDR", any()),
        ("CONFIGAPI_STOP_DELAY", "1h".to_owned()),
    ];
    let log = folder.path().join("serve.log");
    let mut process = Process::start(Binary::ConfigApi, &["serve"], &settings, log);
    let command = process.address_of("command").await;
    let query = process.address_of("query").await;
    let admin = Rest::new(process.address_of("admin").await);
    let rest = Rest::new(process.address_of("gateway").await);
    eventually("the system to be healthy", || async {
        rest.get("/v1/health").await.filter(|(status, _)| status.is_success())
    })
    .await;
    well(command).await.unwrap();

    process.terminate().await;
    eventually("probes to be told", || async {
        rest.get("/readyz").await.filter(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE)
    })
    .await;
    let not_ready = (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned());
    assert_eq!(admin.get("/readyz").await.unwrap(), not_ready);
    assert_eq!(admin.get("/livez").await.unwrap().0, StatusCode::OK);
    let metrics = admin.get("/metrics").await.unwrap().1;
    assert!(metrics.lines().any(|line| line == "configapi_ready 0"), "{metrics}");
    for server in [command, query] {
        eventually("health to say so", || async {
            let mut health = HealthClient::new(channel(server));
            let said = health.check(HealthCheckRequest::default()).await.ok()?.into_inner();
            (said.status() == ServingStatus::NotServing).then_some(())
        })
        .await;
    }
    // Whoever comes all the same is served, over new connections too.
    let late = Rest::new(process.address_of("gateway").await);
    assert_eq!(late.put("late", "1").await.unwrap().0, StatusCode::OK);
    assert_eq!(late.get("/v1/config/late").await.unwrap().1, "1");

    process.terminate().await;
    assert_eq!(process.wait(WAIT_LIMIT).await, Some(0), "{}", process.said());
}
