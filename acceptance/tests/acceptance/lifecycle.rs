//! How the programs end and what they refuse to start with.

#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt as _;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use configapi_acceptance::{AllInOne, Binary, Process, Rest, WAIT_LIMIT, eventually};
use configapi_proto::v1::GetStatusRequest;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use reqwest::StatusCode;

/// Longer than any drain limit.
const END_LIMIT: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_termination_under_load_loses_nothing_acknowledged_and_cuts_nothing_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    let mut system = AllInOne::start(&store, folder.path()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (rest, is_over) = (system.rest(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut acknowledged = 0_u32;
                while !is_over.load(Ordering::Relaxed) {
                    match rest.put(&format!("w{writer}"), &(acknowledged + 1).to_string()).await {
                        Some((StatusCode::OK, _)) => acknowledged += 1,
                        // Refused or cut off: the server has begun to end.
                        Some(_) | None => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    let rest = system.rest();
    eventually("some load", || async {
        let (_, value) = rest.get("/v1/config/w0").await?;
        value.parse::<u32>().ok().filter(|written| *written >= 20)
    })
    .await;
    system.process.terminate().await;
    assert_eq!(system.process.wait(END_LIMIT).await, Some(0), "{}", system.process.said());
    is_over.store(true, Ordering::Relaxed);
    let system = AllInOne::start(&store, folder.path()).await;
    for (number, writer) in writers.into_iter().enumerate() {
        let acknowledged = writer.await.unwrap();
        let (_, value) = system.rest().get(&format!("/v1/config/w{number}")).await.unwrap();
        let written: u32 = value.parse().unwrap();
        assert!(written >= acknowledged, "w{number}: {acknowledged} acknowledged, {written} kept");
        // A connection on which the answer was not yet sent may be closed; one request at most.
        assert!(written <= acknowledged + 1, "w{number}: {written} written, {acknowledged} known");
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_with_everything_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    for round in 1..=3 {
        let mut system = AllInOne::start(&store, folder.path()).await;
        let rest = system.rest();
        for i in 0..20 {
            let value = format!("{round}-{i}");
            assert_eq!(rest.put(&format!("k{i}"), &value).await.unwrap().0, StatusCode::OK);
        }
        system.process.kill().await;
        let system = AllInOne::start(&store, folder.path()).await;
        for i in 0..20 {
            let (_, value) = system.rest().get(&format!("/v1/config/k{i}")).await.unwrap();
            assert_eq!(value, format!("{round}-{i}"));
        }
    }
}

#[tokio::test]
async fn a_start_that_goes_well_warns_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    // A new log, and one that is there: which of the servers within is first is a matter of chance.
    for _ in 0..5 {
        let mut system = AllInOne::start(&store, folder.path()).await;
        assert_eq!(system.rest().put("a", "1").await.unwrap().0, StatusCode::OK);
        system.process.terminate().await;
        assert_eq!(system.process.wait(END_LIMIT).await, Some(0));
        let said = system.process.said();
        assert!(said.contains("the log can be written"), "{said}");
        // Whoever waits for the start asks too early, and is told so.
        let is_answer =
            |line: &str| line.contains("request failed") || line.contains("call failed");
        let is_bad = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        let warnings: Vec<_> = said.lines().filter(is_bad).filter(|it| !is_answer(it)).collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_one_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (Binary::ConfigApi, "CONFIGAPI_GATEWAY_ADDR", "nowhere"),
        (Binary::ConfigApi, "CONFIGAPI_STORE", "mysql://somewhere"),
        (Binary::CommandService, "CONFIGAPI_STORE", "memory:"),
        (Binary::QueryService, "CONFIGAPI_STORE", "memory:"),
        // What is shipped has no failpoints, and must not be believed to have any.
        (Binary::ConfigApi, "CONFIGAPI_FAILPOINTS", "watch.before-send=exit"),
        (Binary::CommandService, "CONFIGAPI_FAILPOINTS", "commit.before-answer=exit"),
        (Binary::QueryService, "CONFIGAPI_FAILPOINTS", "watch.before-send=exit"),
        (Binary::Gateway, "CONFIGAPI_FAILPOINTS", ""),
    ];
    for (number, (binary, setting, value)) in cases.into_iter().enumerate() {
        let arguments: &[&str] = if binary == Binary::ConfigApi { &["serve"] } else { &[] };
        let log = folder.path().join(format!("wrong-{number}.log"));
        let store = format!("sqlite:{}/log.db", folder.path().display());
        let settings = [("CONFIGAPI_STORE", store), (setting, value.to_owned())];
        let mut process = Process::start(binary, arguments, &settings, log);
        assert_eq!(process.wait(WAIT_LIMIT).await, Some(2), "{setting}");
        let said = process.said();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with(&format!("{}: ", binary.name())), "{said}");
        assert!(said.contains(setting), "{said}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_stops_the_start_with_one_line_that_names_setting_and_address() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cases = [
        (Binary::ConfigApi, "CONFIGAPI_COMMAND_ADDR"),
        (Binary::ConfigApi, "CONFIGAPI_QUERY_ADDR"),
        (Binary::ConfigApi, "CONFIGAPI_GATEWAY_ADDR"),
        (Binary::CommandService, "CONFIGAPI_COMMAND_ADDR"),
        (Binary::CommandService, "CONFIGAPI_ADMIN_ADDR"),
        (Binary::QueryService, "CONFIGAPI_QUERY_ADDR"),
        (Binary::QueryService, "CONFIGAPI_ADMIN_ADDR"),
        (Binary::Gateway, "CONFIGAPI_GATEWAY_ADDR"),
        (Binary::Gateway, "CONFIGAPI_ADMIN_ADDR"),
        (Binary::ConfigApi, "CONFIGAPI_ADMIN_ADDR"),
    ];
    for (number, (binary, setting)) in cases.into_iter().enumerate() {
        let arguments: &[&str] = if binary == Binary::ConfigApi { &["serve"] } else { &[] };
        let log = folder.path().join(format!("taken-{number}.log"));
        let store = format!("sqlite:{}/log.db", folder.path().display());
        let mut settings = vec![("CONFIGAPI_STORE", store)];
        for other in ["CONFIGAPI_COMMAND_ADDR", "CONFIGAPI_QUERY_ADDR", "CONFIGAPI_GATEWAY_ADDR"] {
            settings.push((other, "localhost:0".to_owned()));
        }
        settings.push((setting, address.clone()));
        let mut process = Process::start(binary, arguments, &settings, log);
        assert_eq!(process.wait(WAIT_LIMIT).await, Some(2), "{binary:?} {setting}");
        let said = process.said();
        let why = said.lines().filter(|line| line.contains("cannot listen")).collect::<Vec<_>>();
        assert_eq!(why.len(), 1, "{said}");
        assert!(why[0].starts_with(&format!("{}: ", binary.name())), "{said}");
        for word in [setting, &address, "in use"] {
            assert!(why[0].contains(word), "{said}");
        }
        assert!(!said.contains("ERROR"), "{said}");
    }
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let settings = [
        ("CONFIGAPI_STORE", "memory:".to_owned()),
        ("CONFIGAPI_COMMAND_ADDR", "localhost:0".to_owned()),
        ("CONFIGAPI_QUERY_ADDR", "localhost:0".to_owned()),
        ("CONFIGAPI_GATEWAY_ADDR", "localhost:0".to_owned()),
        ("CONFIGAPI_SNAPSHOT_DIR", file.join("below").display().to_string()),
    ];
    let log = folder.path().join("no-directory.log");
    let mut process = Process::start(Binary::ConfigApi, &["serve"], &settings, log);
    assert_eq!(process.wait(WAIT_LIMIT).await, Some(1));
    let said = process.said();
    let errors = said.lines().filter(|line| line.contains("ERROR")).collect::<Vec<_>>();
    assert!(errors.len() == 1 && errors[0].contains("the server cannot start"), "{said}");
}

#[tokio::test]
async fn a_server_that_waits_for_its_store_says_so_on_its_admin_address() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    let settings = [
        ("CONFIGAPI_STORE", store.clone()),
        ("CONFIGAPI_QUERY_ADDR", "127.0.0.1:0".to_owned()),
        ("CONFIGAPI_ADMIN_ADDR", "127.0.0.1:0".to_owned()),
    ];
    let log = folder.path().join("waiting.log");
    let waiting = Process::start(Binary::QueryService, &[], &settings, log);
    let admin = Rest::new(waiting.address_of("admin").await);
    let (status, _) = admin.get("/livez").await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let (status, why) = admin.get("/readyz").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(why, "starting: the store is not open yet\n");
    let (_, page) = admin.get("/metrics").await.unwrap();
    assert!(page.contains("configapi_ready 0\n"), "{page}");
    let query = format!("http://{}", waiting.address_of("starting").await);
    let query = tonic::transport::Endpoint::from_shared(query).unwrap().connect_lazy();
    let refused = QueryServiceClient::new(query).get_status(GetStatusRequest::default()).await;
    assert_eq!(refused.unwrap_err().message(), "starting: the store is not open yet");

    let _writer = AllInOne::start(&store, folder.path()).await;
    eventually("ready", || async {
        admin.get("/readyz").await.filter(|(status, _)| *status == StatusCode::OK)
    })
    .await;
    let (_, page) = admin.get("/metrics").await.unwrap();
    assert!(page.contains("configapi_ready 1\n"), "{page}");
}

/// Opens a pipe for writing, once somebody has it open for reading.
#[cfg(target_os = "linux")]
async fn writer_of(pipe: &Path) -> File {
    const O_NONBLOCK: i32 = 0o4000;
    let mut options = File::options();
    options.write(true).custom_flags(O_NONBLOCK);
    eventually("a reader of the pipe", || async { options.open(pipe).ok() }).await
}

/// The work is to read a pipe, named like a snapshot, into which nobody writes.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn work_that_cannot_be_broken_off_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    drop(AllInOne::start(&store, folder.path()).await);
    let snapshots = folder.path().join("snapshots");
    std::fs::create_dir(&snapshots).unwrap();
    let pipe = snapshots.join("snapshot-1.cfgsnap");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let settings = [
        ("CONFIGAPI_STORE", store),
        ("CONFIGAPI_QUERY_ADDR", "127.0.0.1:0".to_owned()),
        ("CONFIGAPI_SNAPSHOT_DIR", snapshots.display().to_string()),
    ];
    let log = folder.path().join("blocked.log");
    let mut process = Process::start(Binary::QueryService, &[], &settings, log);
    process.address_of("query").await;
    let _silent = writer_of(&pipe).await;
    process.terminate().await;
    assert_eq!(process.wait(END_LIMIT).await, Some(0), "{}", process.said());
}
