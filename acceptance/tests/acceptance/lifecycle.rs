//! How the programs end and what they refuse to start with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use configapi_acceptance::{AllInOne, Binary, Process, WAIT_LIMIT, eventually};
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
        assert!(said.contains(setting), "{said}");
    }
}
