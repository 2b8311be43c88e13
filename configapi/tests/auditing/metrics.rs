//! What a worker tells those who watch over it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Worker;
use super::endpoint::{endpoint, listen};
use super::losses::too_late;
use crate::support::stored::{rows, written};
use crate::support::{Running, Serving, database};

pub const ADMIN: [&str; 2] = ["--admin-addr", "127.0.0.1:0"];

/// Where the worker tells its metrics, once it says so.
pub fn admin_of(running: &Running) -> String {
    let line = running.says("\"server\":\"admin\"");
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    said["address"].as_str().unwrap().to_owned()
}

/// The status and the body of an answer.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The value of a series without labels.
fn metric(address: &str, name: &str) -> String {
    let (status, page) = get(address, "/metrics");
    assert_eq!(status, 200);
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
}

/// How long to wait before asking again. The worker that is asked shall get to something else.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until the value of a series is as it shall be.
fn until(address: &str, name: &str, is_so: impl Fn(f64) -> bool) {
    while !is_so(metric(address, name).parse().unwrap()) {
        std::thread::sleep(PAUSE);
    }
}

/// Waits until a probe says this; answers its status.
pub fn ready(address: &str, part: &str) -> u16 {
    loop {
        let (status, body) = get(address, "/readyz");
        if body.contains(part) {
            return status;
        }
        std::thread::sleep(PAUSE);
    }
}

pub fn stop(running: Running) {
    running.signal("TERM");
    running.ends().succeeded();
}

#[test]
fn a_worker_tells_how_far_it_is_and_that_nobody_takes_its_records() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let (listener, address) = listen();
    drop(listener);
    let url = format!("http://{address}/");
    let worker = Worker::new(&store, directory.path());
    let running = worker.configapi(&["--post", &url, ADMIN[0], ADMIN[1]]).starts();
    let admin = admin_of(&running);
    until(&admin, "configapi_audit_delivery_failures_total", |it| it >= 2.0);
    assert_eq!(ready(&admin, "records are not taken: "), 503);
    assert_eq!(metric(&admin, "configapi_audit_position"), "0");
    assert_eq!(metric(&admin, "configapi_audit_records_total"), "0");
    let lag: f64 = metric(&admin, "configapi_audit_lag_seconds").parse().unwrap();
    until(&admin, "configapi_audit_lag_seconds", |it| it > lag);
    let got = endpoint(TcpListener::bind(address).unwrap(), Vec::new());
    assert_eq!(ready(&admin, "ready"), 200);
    until(&admin, "configapi_audit_position", |it| it >= 7.0);
    assert_eq!(metric(&admin, "configapi_audit_records_total"), "7");
    let serving = Serving::start(&store);
    serving.configapi(["set", "late", "1"]).ends().succeeded();
    until(&admin, "configapi_audit_position", |it| it >= 8.0);
    drop(got);
    stop(running);
}

#[test]
fn a_worker_that_wrote_everything_is_not_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    worker.to_file(&["--once"]).ends().succeeded();
    let running = worker.to_file(&ADMIN).starts();
    let admin = admin_of(&running);
    // It has written nothing since its start, and still knows where it stands.
    until(&admin, "configapi_audit_position", |it| it >= 7.0);
    assert_eq!(ready(&admin, "ready"), 200);
    assert_eq!(metric(&admin, "configapi_audit_records_total"), "0");
    assert_eq!(metric(&admin, "configapi_audit_delivery_failures_total"), "0");
    // The log is asked twice a second.
    until(&admin, "configapi_audit_lag_seconds", |it| it < 0.4);
    stop(running);
}

#[test]
fn a_worker_does_not_take_what_a_standby_has_for_all_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let database = database::create();
    database.plays_roles();
    let serving = Serving::start(&database.url);
    serving.configapi(["set", "first", "1"]).ends().succeeded();
    drop(serving);
    database.stands_by(true);
    let running = Worker::new(&database.url, directory.path()).to_file(&ADMIN).starts();
    let admin = admin_of(&running);
    until(&admin, "configapi_audit_position", |it| it >= 1.0);
    // It looks twice a second. All it knows is when the last event that it got was recorded.
    let mut lag = 0.0;
    while lag < 1.5 {
        let next: f64 = metric(&admin, "configapi_audit_lag_seconds").parse().unwrap();
        assert!(next >= lag, "the lag went from {lag} to {next}, and nothing more is known");
        lag = next;
        std::thread::sleep(PAUSE);
    }
    assert_eq!(ready(&admin, "ready"), 200);
    // It had all that was written by now, and no more is known since.
    database.has_replayed_all();
    until(&admin, "configapi_audit_lag_seconds", |it| it < 1.0);
    until(&admin, "configapi_audit_lag_seconds", |it| it > 1.5);
    // Who takes the writes knows that there are no more.
    database.stands_by(false);
    until(&admin, "configapi_audit_lag_seconds", |it| it < 0.4);
    stop(running);
}

#[test]
fn a_worker_that_waits_for_its_store_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", directory.path().join("log.db").display());
    let worker = Worker::new(&store, directory.path());
    let running = worker.to_file(&ADMIN).starts();
    let admin = admin_of(&running);
    assert_eq!(ready(&admin, "the store is not there yet"), 503);
    assert_eq!(get(&admin, "/livez"), (200, "ok\n".to_owned()));
    let serving = Serving::start(&store);
    serving.configapi(["set", "first", "1"]).ends().succeeded();
    until(&admin, "configapi_audit_position", |it| it >= 1.0);
    assert_eq!(ready(&admin, "ready"), 200);
    stop(running);
}

#[test]
fn a_worker_that_went_back_is_as_far_behind_as_what_it_went_back_to() {
    let directory = tempfile::tempdir().unwrap();
    let worker = too_late(directory.path(), 3, 1);
    let rows = rows(&worker.store);
    let kept = Duration::from_micros(rows[6]["recorded_at"].as_u64().unwrap());
    let (listener, address) = listen();
    drop(listener);
    let url = format!("http://{address}/");
    let running = worker.configapi(&["--post", &url, ADMIN[0], ADMIN[1]]).starts();
    let admin = admin_of(&running);
    until(&admin, "configapi_audit_delivery_failures_total", |it| it >= 1.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let lag: f64 = metric(&admin, "configapi_audit_lag_seconds").parse().unwrap();
    let since = now - kept.as_secs_f64();
    assert!(lag >= since, "{lag} s behind, and nothing is told of the last {since} s");
    running.signal("TERM");
    running.signal("TERM");
    running.ends();
}
