//! Snapshots: as good as a replay when they are whole and the log confirms them, else not used.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use configapi_domain::Position;
use configapi_event_log::{EventLog, MemoryLog};
use configapi_query_service::{QuerySettings, snapshot};
use tempfile::TempDir;

use crate::support::{FaultyLog, Op, Server, Writer, eventually, key, memory_log, quick};

pub fn settings(dir: &TempDir) -> QuerySettings {
    QuerySettings {
        snapshot_dir: Some(dir.path().to_owned()),
        snapshot_events: 1,
        snapshot_interval: Duration::from_millis(20),
        ..quick()
    }
}

/// No snapshot is written.
pub fn seldom(dir: &TempDir) -> QuerySettings {
    QuerySettings {
        snapshot_events: u64::MAX,
        snapshot_interval: Duration::from_hours(1),
        ..settings(dir)
    }
}

pub fn files(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "cfgsnap"))
        .collect();
    files.sort();
    files
}

async fn fill(writer: &mut Writer, count: u64) {
    for number in 0..count {
        let stream = format!("ns-{}/item/{}", number % 3, number % 17);
        let op = match number % 7 {
            5 => Op::Delete,
            6 => Op::Restore(None),
            3 => Op::SetTyped(format!("{{\"n\":{number}}}"), "application/json".to_owned()),
            2 => Op::Restore(Some(1)),
            _ => Op::Set(format!("value {number}")),
        };
        let other = format!("ns-{}/item/{}", (number + 1) % 3, number % 5);
        // Of a value that comes again, what kind it is may be new.
        let kind = if number.is_multiple_of(2) { "text/plain" } else { "text/html" };
        let second = Op::SetTyped("constant".to_owned(), kind.to_owned());
        writer.commit(vec![(key(&stream), op), (key(&other), second)]).await;
    }
}

/// A log, and a directory with a snapshot of all of it.
pub async fn with_snapshot(count: u64) -> (Arc<MemoryLog>, Writer, TempDir, String) {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    fill(&mut writer, count).await;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(log.clone(), &settings(&dir));
    server.until_ready().await;
    eventually("a snapshot of everything is written", async || {
        files(&dir)
            .iter()
            .any(|path| snapshot::inspect(path).is_ok_and(|it| it.position == writer.head.position))
    })
    .await;
    let state_hash = server.state_hash(&writer.token()).await;
    (log, writer, dir, state_hash)
}

/// The bytes of a snapshot.
pub async fn whole_snapshot(count: u64) -> Vec<u8> {
    let (_, _, dir, _) = with_snapshot(count).await;
    fs::read(files(&dir).pop().unwrap()).unwrap()
}

/// A log that tells from where it was read.
fn counted(log: Arc<dyn EventLog>) -> (Arc<FaultyLog>, Arc<AtomicU64>) {
    let faulty = FaultyLog::around(log);
    let lowest = Arc::new(AtomicU64::new(u64::MAX));
    let seen = Arc::clone(&lowest);
    faulty.tamper(move |rows| {
        if let Some(row) = rows.get(1) {
            seen.fetch_min(row.position.0, Ordering::SeqCst);
        }
    });
    (faulty, lowest)
}

#[tokio::test]
async fn a_snapshot_and_the_tail_give_the_same_state_as_a_replay() {
    let (log, mut writer, dir, _) = with_snapshot(200).await;
    let at_snapshot = writer.head.position.0;
    fill(&mut writer, 50).await;

    let (faulty, lowest) = counted(log.clone());
    let restored = Server::start(faulty, &settings(&dir));
    restored.until_ready().await;
    let replayed = Server::ready(log).await;
    let token = writer.token();
    assert_eq!(restored.state_hash(&token).await, replayed.state_hash(&token).await);
    assert_eq!(lowest.load(Ordering::SeqCst), at_snapshot + 1, "the log was read from elsewhere");

    // And what is written later lands on both alike.
    fill(&mut writer, 10).await;
    let token = writer.token();
    assert_eq!(restored.state_hash(&token).await, replayed.state_hash(&token).await);
}

/// However few they are.
#[tokio::test]
async fn events_are_in_a_snapshot_once_the_interval_is_over() {
    let (log, dir) = (memory_log(1), tempfile::tempdir().unwrap());
    Writer::new(log.clone()).await.set("default/a", "1").await;
    let seldom = QuerySettings { snapshot_events: u64::MAX, ..settings(&dir) };
    let _server = Server::start(log, &seldom);
    eventually("a snapshot is written", async || !files(&dir).is_empty()).await;
}

#[tokio::test]
async fn a_server_tells_of_the_snapshot_that_it_began_with() {
    let (log, mut writer, dir, _) = with_snapshot(20).await;
    let info = snapshot::inspect(&files(&dir).pop().unwrap()).unwrap();
    writer.set("default/a", "later").await;
    let server = Server::start(log, &seldom(&dir));
    server.until_ready().await;
    let page = server.metrics.render().unwrap();
    let told = |metric: &str, value| page.contains(&format!("{metric} {value}\n"));
    assert!(told("configapi_query_snapshot_position", info.position.0), "{page}");
    assert!(told("configapi_query_snapshot_bytes", info.bytes), "{page}");
}

#[tokio::test]
async fn a_snapshot_says_what_it_is_of() {
    let (_, writer, dir, _) = with_snapshot(30).await;
    let path = files(&dir).pop().unwrap();
    let info = snapshot::inspect(&path).unwrap();
    assert_eq!(info.log_id.0, uuid::Uuid::from_u128(1));
    assert_eq!((info.position, info.hash), (writer.head.position, writer.head.hash));
    assert_eq!(info.events, writer.written.len() as u64);
    assert_eq!(info.bytes, fs::metadata(&path).unwrap().len());
}

#[tokio::test]
async fn two_snapshots_are_kept_and_only_their_owner_reads_them() {
    use std::os::unix::fs::PermissionsExt as _;

    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(log, &settings(&dir));
    server.until_ready().await;
    for _ in 0..5 {
        fill(&mut writer, 1).await;
        server.state_hash(&writer.token()).await;
        let position = writer.head.position;
        eventually("a snapshot is written", async || {
            files(&dir)
                .last()
                .and_then(|path| snapshot::inspect(path).ok())
                .is_some_and(|it| it.position == position)
        })
        .await;
    }
    eventually("old ones are let go", async || files(&dir).len() == 2).await;
    for path in files(&dir) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

pub fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn is_refused(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    snapshot::inspect(path).is_err()
}

#[tokio::test]
async fn no_flipped_bit_and_no_missing_byte_goes_unnoticed() {
    let whole = whole_snapshot(40).await;
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("damaged");
    assert!(!is_refused(&path, &whole), "the snapshot is good as it is");

    // A fixed sequence, so that a failure can be seen again.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = |below: usize| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    for _ in 0..1_000 {
        let bit = draw(whole.len() * 8);
        assert!(is_refused(&path, &flipped(&whole, bit)), "bit {bit}");
    }
    for _ in 0..200 {
        let length = draw(whole.len());
        assert!(is_refused(&path, &whole[..length]), "cut to {length} bytes");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(is_refused(&path, &longer), "a byte too many");
}

#[tokio::test]
async fn a_damaged_snapshot_costs_a_replay_and_nothing_else() {
    let (log, writer, dir, state_hash) = with_snapshot(50).await;
    for path in files(&dir) {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, flipped(&bytes, bytes.len() * 5)).unwrap();
    }
    let (faulty, lowest) = counted(log);
    let server =
        Server::start(faulty, &QuerySettings { snapshot_events: u64::MAX, ..settings(&dir) });
    server.until_ready().await;
    assert_eq!(server.state_hash(&writer.token()).await, state_hash);
    assert_eq!(lowest.load(Ordering::SeqCst), 1);
}

/// A log with the id of the one that there are snapshots of, and another history.
pub async fn other_history(count: u64) -> (Arc<MemoryLog>, Writer) {
    let other = memory_log(1);
    let mut writer = Writer::new(other.clone()).await;
    for number in 0..count {
        writer.set("default/a", &number.to_string()).await;
    }
    (other, writer)
}

/// The server does not serve, because a snapshot proves that the log lost something.
async fn is_refused_start(server: &Server, position: Position) {
    let why = "the loss is told";
    eventually(why, async || {
        server.service.readiness()().is_err_and(|why| why.contains("no new epoch says so"))
    })
    .await;
    let told = server.service.readiness()().unwrap_err();
    assert!(told.contains(&format!("the event at position {position}")), "{told}");
    assert!(told.contains("begin a new epoch") && told.contains("delete the snapshots"), "{told}");
}

#[tokio::test]
async fn a_log_that_lost_what_a_snapshot_holds_is_refused_until_a_new_epoch_says_so() {
    let (_, writer, dir, _) = with_snapshot(20).await;
    let (other, survivor) = other_history(0).await;
    let server = Server::start(other.clone(), &settings(&dir));
    is_refused_start(&server, writer.head.position).await;
    other.begin_epoch(&survivor.head).await.unwrap();
    server.until_ready().await;
    assert_eq!(server.status().await.state.unwrap().token, "2-0");
}

#[tokio::test]
async fn a_log_that_went_another_way_than_a_snapshot_is_refused_until_that_is_gone() {
    let (_, writer, dir, _) = with_snapshot(20).await;
    let (other, survivor) = other_history(100).await;
    let server = Server::start(other.clone(), &settings(&dir));
    is_refused_start(&server, writer.head.position).await;
    // What was written over the lost events has no epoch of its own any more.
    other.begin_epoch(&survivor.head).await.unwrap();
    eventually("told why that does not help", async || {
        let late = "epoch 2, which began at 101, is too late to say so";
        server.service.readiness()().is_err_and(|why| why.contains(late))
    })
    .await;
    let told = server.service.readiness()().unwrap_err();
    assert!(!told.contains("begin a new epoch") && told.contains("delete the snapshots"), "{told}");
    let survivor = Writer::new(other.clone()).await;
    for path in files(&dir) {
        fs::remove_file(path).unwrap();
    }
    server.until_ready().await;
    let (token, replayed) = (survivor.token(), Server::ready(other).await);
    assert_eq!(server.state_hash(&token).await, replayed.state_hash(&token).await);
}

#[tokio::test]
async fn what_a_snapshot_proves_it_proves_whole_and_of_this_log_alone() {
    let (_, _, dir, _) = with_snapshot(20).await;
    let (other, _) = other_history(1).await;
    // A standby may not have read this far yet.
    let standby = FaultyLog::around(other.clone());
    standby.is_standby.store(true, Ordering::SeqCst);
    let seldom = seldom(&dir);
    Server::start(standby, &seldom).until_ready().await;
    Server::start(memory_log(2), &seldom).until_ready().await;
    for path in files(&dir) {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, flipped(&bytes, bytes.len() * 5)).unwrap();
    }
    Server::start(other, &seldom).until_ready().await;
}

#[tokio::test]
async fn a_start_that_cannot_tell_which_snapshots_there_are_is_not_made_without_them() {
    let (_, writer, dir, _) = with_snapshot(20).await;
    let (other, _) = other_history(1).await;
    let faulty = FaultyLog::around(other);
    faulty.cut_off(true);
    let server = Server::start(faulty.clone(), &settings(&dir));
    let aside = dir.path().with_extension("aside");
    fs::rename(dir.path(), &aside).unwrap();
    faulty.cut_off(false);
    eventually("told what is in the way", async || {
        let told = server.service.readiness()();
        told.is_err_and(|why| {
            why.contains("cannot be listed") && why.contains("CONFIGAPI_SNAPSHOT_DIR")
        })
    })
    .await;
    fs::rename(&aside, dir.path()).unwrap();
    is_refused_start(&server, writer.head.position).await;
}

#[tokio::test]
async fn a_start_that_cannot_open_a_snapshot_is_not_made_without_it() {
    let (_, writer, dir, _) = with_snapshot(20).await;
    let (other, _) = other_history(1).await;
    let kept = files(&dir);
    for path in &kept {
        fs::rename(path, path.with_extension("aside")).unwrap();
        // Not even one who may open everything opens a link to itself.
        std::os::unix::fs::symlink(path, path).unwrap();
    }
    let server = Server::start(other, &seldom(&dir));
    eventually("told what is in the way", async || {
        let told = server.service.readiness()();
        told.is_err_and(|why| {
            kept.iter().any(|path| why.contains(&*path.to_string_lossy()))
                && why.contains("cannot be opened")
        })
    })
    .await;
    for path in &kept {
        fs::remove_file(path).unwrap();
        fs::rename(path.with_extension("aside"), path).unwrap();
    }
    is_refused_start(&server, writer.head.position).await;
}

#[tokio::test]
async fn a_snapshot_of_an_epoch_that_ended_before_it_is_not_used() {
    let (_, _, dir, _) = with_snapshot(20).await;
    let (other, mut survivor) = other_history(0).await;
    survivor.head.epoch = other.begin_epoch(&survivor.head).await.unwrap();
    for number in 0..100 {
        survivor.set("default/a", &number.to_string()).await;
    }
    let restored = Server::start(other.clone(), &settings(&dir));
    restored.until_ready().await;
    let (token, replayed) = (survivor.token(), Server::ready(other).await);
    assert_eq!(restored.state_hash(&token).await, replayed.state_hash(&token).await);
}

#[tokio::test]
async fn of_two_servers_on_one_directory_one_writes_until_it_ends() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let is_covered = async |position: Position| {
        let holds =
            |path: &PathBuf| snapshot::inspect(path).is_ok_and(|it| it.position == position);
        files(&dir).iter().any(holds)
    };
    let first = Server::start(log.clone(), &settings(&dir));
    writer.set("default/a", "1").await;
    eventually("the first one writes", async || is_covered(writer.head.position).await).await;

    // Snapshots are there to be read by anybody, so the second one serves all the same.
    let second = Server::start(log.clone(), &settings(&dir));
    second.until_ready().await;
    let has_none = |server: &Server| {
        let page = server.metrics.render().unwrap();
        page.contains("configapi_query_snapshot_failures_total 0")
    };
    writer.set("default/a", "2").await;
    eventually("the second one is refused", async || !has_none(&second)).await;
    eventually("the first one writes", async || is_covered(writer.head.position).await).await;
    assert!(has_none(&first), "the first one is disturbed");

    drop(first);
    let token = writer.set("default/a", "3").await;
    assert_eq!(second.value("default/a", &token).await, "3");
    eventually("the second one takes over", async || is_covered(writer.head.position).await).await;
}
