//! Records to an HTTP endpoint that is not always well.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::losses::begin_epoch;
use super::{Worker, assert_whole, parsed};
use crate::support::stored::{tamper, written};
use crate::support::{Running, Serving};

/// What an endpoint does with one request.
#[derive(Clone, Copy)]
pub enum Does {
    Answers(&'static str),
    ClosesTheConnection,
    NeverAnswers,
}

/// What came in: the head, the records, and whether they were taken.
pub struct Got {
    head: String,
    records: Vec<Value>,
    is_taken: bool,
}

/// An endpoint that does one thing after the other, and then takes everything.
pub fn endpoint(listener: TcpListener, script: Vec<Does>) -> Receiver<Got> {
    let (sender, got) = mpsc::channel();
    thread::spawn(move || {
        let mut script = script.into_iter();
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some((head, body)) = request(&mut stream) {
                let does = script.next().unwrap_or(Does::Answers("204 No Content"));
                if !answer(&mut stream, does, head, &body, &sender) {
                    break;
                }
            }
            held.push(stream);
        }
    });
    got
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((lower, String::from_utf8(body).unwrap()))
}

/// Answers; tells whether the connection goes on.
fn answer(
    stream: &mut BufReader<TcpStream>,
    does: Does,
    head: String,
    body: &str,
    got: &Sender<Got>,
) -> bool {
    let is_taken = matches!(does, Does::Answers(status) if status.starts_with('2'));
    let _ = got.send(Got { head, records: parsed(body), is_taken });
    match does {
        Does::Answers(status) => {
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.get_mut().write_all(text.as_bytes()).is_ok()
        }
        Does::ClosesTheConnection => {
            let _ = stream.get_mut().shutdown(std::net::Shutdown::Both);
            false
        }
        Does::NeverAnswers => false,
    }
}

pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The records that were taken, up to the one at this position. What was not taken must come again,
/// as it was, before anything else does.
fn taken(got: &Receiver<Got>, last: u64) -> Vec<Value> {
    let mut taken: Vec<Value> = Vec::new();
    let mut refused: Option<Vec<Value>> = None;
    while taken.last().is_none_or(|record| record["position"] != last) {
        let Got { head, records, is_taken } = got.recv().unwrap();
        assert!(head.contains("content-type: application/x-ndjson"), "{head}");
        if let Some(refused) = refused.take() {
            assert_eq!(refused, records);
        }
        if is_taken {
            taken.extend(records);
        } else {
            refused = Some(records);
        }
    }
    taken
}

fn stop(running: Running) {
    running.signal("TERM");
    running.ends().succeeded();
}

#[test]
fn an_endpoint_that_fails_for_a_while_gets_every_event_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let (listener, address) = listen();
    let script = vec![
        Does::Answers("500 Internal Server Error"),
        Does::Answers("503 Service Unavailable"),
        Does::ClosesTheConnection,
        Does::NeverAnswers,
        Does::Answers("302 Found"),
        Does::Answers("400 Bad Request"),
    ];
    let failures = script.len();
    let got = endpoint(listener, script);
    let worker = Worker::new(&store, directory.path());
    let url = format!("http://{address}/audit?key=hidden");
    let running = worker.configapi(&["--post", &url, "--post-timeout", "200ms"]).starts();
    for _ in 0..failures {
        let line = running.says("records not taken");
        assert!(!line.contains("hidden"), "{line}");
    }
    let mut all = taken(&got, 7);
    let serving = Serving::start(&store);
    serving.configapi(["set", "late", "1"]).ends().succeeded();
    all.extend(taken(&got, 8));
    assert_eq!(assert_whole(&all, &store), 0);
    stop(running);
    assert_eq!(worker.checkpoint()["position"], 8);
}

#[test]
fn an_endpoint_that_is_not_there_yet_gets_every_event_once_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let (listener, address) = listen();
    drop(listener);
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "Bearer s3cret\n").unwrap();
    let worker = Worker::new(&store, directory.path());
    let url = format!("http://{address}/");
    let authorization = ["--post-authorization-file", secret.to_str().unwrap()];
    let arguments = ["--post", &url, authorization[0], authorization[1]];
    let running = worker.configapi(&arguments).starts();
    running.says("records not taken");
    let got = endpoint(TcpListener::bind(address).unwrap(), Vec::new());
    let first = got.recv().unwrap();
    assert!(first.head.contains("authorization: bearer s3cret"), "{}", first.head);
    assert_whole(&first.records, &store);
    running.signal("TERM");
    let ended = running.ends().succeeded();
    assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
}

#[test]
fn a_worker_that_waits_for_its_endpoint_can_be_stopped_and_skips_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let (listener, address) = listen();
    drop(listener);
    let worker = Worker::new(&store, directory.path());
    let url = format!("http://{address}/");
    let running = worker.configapi(&["--post", &url]).starts();
    running.says("records not taken");
    stop(running);
    assert!(!directory.path().join("checkpoint").exists());
    let got = endpoint(TcpListener::bind(address).unwrap(), Vec::new());
    worker.configapi(&["--post", &url, "--once"]).ends().succeeded();
    assert_whole(&taken(&got, 7), &store);
}

#[test]
fn a_silent_endpoint_does_not_keep_a_worker_from_stopping() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let (listener, address) = listen();
    let got = endpoint(listener, vec![Does::NeverAnswers; 2]);
    let worker = Worker::new(&store, directory.path());
    let url = format!("http://{address}/");
    for (more, code) in [(&[][..], 0), (&["--once"], 3)] {
        let arguments: Vec<_> = ["--post", &url].iter().chain(more).copied().collect();
        let running = worker.configapi(&arguments).starts();
        got.recv().unwrap();
        let asked = Instant::now();
        running.signal("TERM");
        let ended = running.ends().failed_with(code);
        assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
        assert!(ended.stderr.contains("there is no checkpoint yet"), "{ended:#?}");
        assert!(!ended.stderr.contains("the checkpoint is written"), "{ended:#?}");
    }
    worker.configapi(&["--post", &url, "--once"]).ends().succeeded();
    assert_whole(&taken(&got, 7), &store);
}

#[test]
fn a_url_with_a_password_is_refused_without_repeating_it() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new("sqlite:log.db", directory.path());
    for url in ["https://user:s3cret@host/", "ftp://host/s3cret", "s3cret"] {
        let ended = worker.configapi(&["--post", url]).ends().failed_with(2);
        assert!(ended.stderr.contains("--post"), "{ended:#?}");
        assert!(ended.stderr.contains("http or https URL without a user"), "{ended:#?}");
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
    }
}

#[test]
fn a_destination_that_was_typed_wins_over_one_of_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let (listener, address) = listen();
    let got = endpoint(listener, Vec::new());
    let (url, elsewhere) = (format!("http://{address}/"), worker.path("elsewhere.jsonl"));
    let posting = worker.configapi(&["--once", "--post", &url]);
    posting.env("CONFIGAPI_AUDIT_FILE", &elsewhere).ends().succeeded();
    assert_whole(&taken(&got, 7), &store);
    assert!(!std::fs::exists(&elsewhere).unwrap());

    std::fs::remove_file(worker.path("checkpoint")).unwrap();
    worker.to_file(&["--once"]).env("CONFIGAPI_AUDIT_POST", &url).ends().succeeded();
    assert_whole(&worker.records(), &store);
    assert!(got.try_recv().is_err());

    // One that is wrong does no harm either, unless it counts.
    std::fs::remove_file(worker.path("checkpoint")).unwrap();
    std::fs::remove_file(worker.path("audit.jsonl")).unwrap();
    let wrong = "ftp://s3cret";
    worker.to_file(&["--once"]).env("CONFIGAPI_AUDIT_POST", wrong).ends().succeeded();
    assert_whole(&worker.records(), &store);
    let alone = worker.configapi(&["--once"]).env("CONFIGAPI_AUDIT_POST", wrong);
    let refused = alone.ends().failed_with(2).stderr;
    assert!(refused.contains("--post (CONFIGAPI_AUDIT_POST): is wrong"), "{refused}");
    assert!(!refused.contains("s3cret"), "{refused}");

    let both_typed = worker.to_file(&["--post", &url]);
    let neither = worker.configapi(&[]).env("CONFIGAPI_AUDIT_FILE", &elsewhere);
    for both in [both_typed, neither.env("CONFIGAPI_AUDIT_POST", &url)] {
        let refused = both.ends().failed_with(2);
        assert!(
            refused.stderr.contains("does not go with --post (CONFIGAPI_AUDIT_POST)"),
            "{refused:#?}"
        );
    }
}

/// What is lost while it is at work does not come any more.
#[test]
fn a_worker_that_runs_once_ends_where_a_log_ends_that_was_cut_meanwhile() {
    // More than is read at once, so that the log is asked again.
    const EVENTS: u64 = 12;
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let serving = Serving::start(&store);
    let value = "x".repeat(900_000);
    for _ in 0..EVENTS {
        serving.configapi(["set", "large", "-"]).stdin(&*value).ends().succeeded();
    }
    drop(serving);
    let worker = Worker::new(&store, directory.path());
    let (listener, address) = listen();
    let url = format!("http://{address}/");
    let running = worker.configapi(&["--post", &url, "--once"]).starts();
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let (_, body) = request(&mut stream).unwrap();
    let told = parsed(&body).len() as u64;
    assert!((8..7 + EVENTS).contains(&told), "{told}");
    for position in (8..=7 + EVENTS).rev() {
        tamper(&store, format!("DELETE FROM events WHERE position = {position}"));
    }
    begin_epoch(&store);
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
    let (_, body) = request(&mut stream).unwrap();
    assert_eq!(parsed(&body)[0]["kind"], "LogEpochBegan");
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
    running.ends().succeeded();
    let checkpoint = worker.checkpoint();
    assert_eq!((&checkpoint["epoch"], &checkpoint["position"]), (&2.into(), &7.into()));
}
