//! When a server asks for large pages of memory, seen from a process of its own.

use std::process::Command;
use std::sync::{Arc, Mutex};

use configapi_runtime::memory;

use crate::support::{FaultyLog, Op, Server, Writer, eventually, key, memory_log, quick};

/// Says to the process that looks that it is the one.
const LOOKS: &str = "CONFIGAPI_TEST_LOOKS";
/// More than a server takes for few.
const EVENTS: usize = 9_000;
const EVENTS_OF_APPLY: usize = 1_000;

#[tokio::test]
async fn a_server_with_many_events_has_large_pages_once_its_start_is_over() {
    const NAME: &str =
        "large_pages::a_server_with_many_events_has_large_pages_once_its_start_is_over";
    if std::env::var_os(LOOKS).is_some() {
        return start_and_look().await;
    }
    let mut looking = Command::new(std::env::current_exe().unwrap());
    looking.args(["--exact", NAME, "--nocapture"]).env(LOOKS, "yes");
    let looked = looking.output().unwrap();
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
}

async fn start_and_look() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for apply in 0..EVENTS / EVENTS_OF_APPLY {
        let names = (0..EVENTS_OF_APPLY).map(|number| format!("default/n{apply}-{number}"));
        writer.commit(names.map(|name| (key(&name), Op::Set("v".to_owned()))).collect()).await;
    }
    let faulty = FaultyLog::around(log);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    faulty.tamper(move |_| seeing.lock().unwrap().push(may_have_large_pages()));

    memory::stay_small();
    let server = Server::start(faulty.clone(), &quick());
    eventually("large pages are asked for", async || may_have_large_pages()).await;
    server.until_ready().await;

    faulty.mend();
    assert_eq!(seen.lock().unwrap().first(), Some(&false), "while the start read the log");
}

fn may_have_large_pages() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.split_whitespace().eq(["THP_enabled:", "1"]))
}
