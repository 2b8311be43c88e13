//! What a read may hold, measured in a process of its own.

use std::path::Path;
use std::process::Command;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::{Point, Position, Version};
use configapi_event_log::{EventLog, PageLimit, seal};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

/// Says to the measuring process which file it reads.
const READS: &str = "CONFIGAPI_TEST_READS";
/// A config that is set again and again.
const HOT: &str = "default/hot";
const ROWS: u64 = 64;
const ROW_BYTES: usize = 1_000_000;
/// A page, what is on its way to it, and its copies; far less than the rows there are.
const MAX_KIB: u64 = 30 << 10;

#[tokio::test]
async fn a_page_of_large_rows_after_small_ones_takes_no_more_memory_than_it_holds() {
    const NAME: &str =
        "memory::a_page_of_large_rows_after_small_ones_takes_no_more_memory_than_it_holds";
    if let Some(path) = std::env::var_os(READS) {
        return read_and_measure(Path::new(&path)).await;
    }
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 100 + ROWS)).await.unwrap();
    let mut console = console(&file.path()).await;
    run(&mut console, "DROP TRIGGER events_are_not_updated").await.unwrap();
    let grow = format!(
        "UPDATE events SET payload = replace(hex(zeroblob({ROW_BYTES} / 2)), '00', 'xy') \
         WHERE position > 100"
    );
    run(&mut console, &grow).await.unwrap();
    measure(NAME, &file);
}

/// Runs a test anew, in a process of its own.
fn measure(name: &str, file: &InFile) {
    let mut measuring = Command::new(std::env::current_exe().unwrap());
    measuring.args(["--exact", name, "--nocapture"]).env(READS, file.path());
    let measured = measuring.output().unwrap();
    assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
}

async fn read_and_measure(path: &Path) {
    let log = SqliteLog::open_for_reading(path).await.unwrap();
    let small = log.read(Position::GENESIS, PageLimit::new(1, 1)).await.unwrap();
    assert_eq!(small.events.len(), 2);
    let before = peak_kib();
    let page = log.read(Position(100), PageLimit::new(1_000, 4 * ROW_BYTES)).await.unwrap();
    assert_eq!(page.events.len(), 5);
    let taken = peak_kib() - before;
    assert!(taken < MAX_KIB, "{taken} KiB");
}

#[tokio::test]
async fn looking_for_events_of_one_config_takes_no_memory_for_all_that_it_has() {
    const NAME: &str =
        "memory::looking_for_events_of_one_config_takes_no_memory_for_all_that_it_has";
    if let Some(path) = std::env::var_os(READS) {
        return find_and_measure(Path::new(&path)).await;
    }
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    for _ in 0..20 {
        let head = log.head().await.unwrap();
        let mut rows = events(&head, 1_000);
        let mut before = head.hash;
        for row in &mut rows {
            row.stream = HOT.into();
            row.version = Version(row.position.0);
            seal(before, row);
            before = row.hash;
        }
        log.append(&head, &rows).await.unwrap();
    }
    measure(NAME, &file);
}

async fn find_and_measure(path: &Path) {
    let log = SqliteLog::open_for_reading(path).await.unwrap();
    let found = log.streams_at(&[(HOT, Point::Version(Version(1)))], usize::MAX).await.unwrap();
    assert_eq!(found.len(), 1);
    let before = peak_kib();
    let points = (1..=256).map(|number| (HOT, Point::Position(Position(70 * number))));
    let found = log.streams_at(&points.collect::<Vec<_>>(), usize::MAX).await.unwrap();
    let versions = found.iter().flatten().map(|row| row.version.0);
    assert!(versions.eq((1..=256).map(|number| 70 * number)));
    let taken = peak_kib() - before;
    assert!(taken < MAX_KIB, "{taken} KiB");
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
