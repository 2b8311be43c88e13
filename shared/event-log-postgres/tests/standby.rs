//! What a standby knows of what it has not seen: nothing, and it says so. Slow: `make chaos` runs it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Epoch, EventLog, Head, Page, PageLimit, Reach, Standing};
use configapi_event_log_postgres::{Access, PostgresLog};
use sqlx::{ConnectOptions, Row, raw_sql};

use crate::cluster::{Cluster, until_at};
use crate::harness::is_slow_wanted;
use crate::writing::{append, open};

/// Longer than a standby of a primary at rest may take to learn that all is quiet.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// What the process that replays waits for. PostgreSQL 13 has no other word of whether it has paused.
const REPLAY_WAITS_FOR: &str =
    "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'";

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(since.as_micros().try_into().expect("a time"))
}

async fn read(log: &dyn EventLog) -> Page {
    log.read(Position::GENESIS, PageLimit::TAIL).await.expect("a page")
}

/// Whether a standby has come to this time, by its own word. One that has replayed nothing yet does
/// not know.
async fn has_come_to(log: &dyn EventLog, time: Timestamp) -> bool {
    match read(log).await.reach {
        Reach::Replayed(until) => until >= time,
        Reach::Unknown => false,
        Reach::Asked => panic!("a standby took itself for one that takes the writes"),
    }
}

async fn until_come_to(log: &dyn EventLog, time: Timestamp) {
    let begun = Instant::now();
    while !has_come_to(log, time).await {
        assert!(begun.elapsed() < LIMIT, "the standby never learned that all was quiet");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_says_how_far_it_has_come() {
    if !is_slow_wanted("a standby that says how far it has come") {
        return;
    }
    let primary = Cluster::create();
    let writer = open(&primary.url()).await;
    let old = append(&*writer, 5).await;
    let standby = Cluster::standby_of(&primary);
    standby.start();
    let reader = PostgresLog::open(&standby.url(), Access::ReadOnly).await.expect("opened");
    until_at(&reader, old.position).await;
    let bulk = reader.read(Position::GENESIS, PageLimit::REPLAY).await.expect("a page");
    assert_eq!(bulk.reach, Reach::Unknown, "nobody asked");

    // Nothing is written, and yet it comes to know that.
    until_come_to(&reader, now()).await;
    assert_eq!(read(&reader).await.events.len(), 1 + 5);

    let mut console = standby.url().parse::<sqlx::postgres::PgConnectOptions>().expect("a URL");
    console = console.disable_statement_logging();
    let mut console = console.connect().await.expect("a connection");
    raw_sql("SELECT pg_wal_replay_pause()").execute(&mut console).await.expect("asked to pause");
    let begun = Instant::now();
    loop {
        let row = raw_sql(REPLAY_WAITS_FOR).fetch_one(&mut console).await;
        if row.expect("a state").get_unchecked::<Option<&str>, _>(0) == Some("RecoveryPause") {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "the standby never paused");
        tokio::time::sleep(PAUSE).await;
    }
    let paused_at = now();
    let new = append(&*writer, 1).await;
    assert_eq!(read(&*writer).await.reach, Reach::Asked, "it takes the writes");
    for _ in 0..5 {
        let page = read(&reader).await;
        assert_eq!(page.events.len(), 1 + 5);
        assert!(matches!(page.reach, Reach::Replayed(until) if until <= paused_at), "{page:?}");
    }
    raw_sql("SELECT pg_wal_replay_resume()").execute(&mut console).await.expect("resumed");
    until_come_to(&reader, paused_at).await;
    until_at(&reader, new.position).await;

    primary.stop("fast");
    standby.control("promote", &[]);
    let page = read(&reader).await;
    assert_eq!((page.events.len(), page.reach), (1 + 6, Reach::Unknown), "no epoch says so");
    let writer = open(&standby.url()).await;
    let page = read(&reader).await;
    assert_eq!((page.epoch, page.reach), (Epoch(2), Reach::Asked), "it takes the writes now");
    assert_eq!(read(&*writer).await, page);
}

/// Others were told of what it lacks, in the epoch that it is in as long as nobody begins another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_knows_nothing_of_the_end_until_an_epoch_begins() {
    if !is_slow_wanted("a promoted standby before an epoch") {
        return;
    }
    let primary = Cluster::create();
    let kept = append(&*open(&primary.url()).await, 5).await;
    let standby = Cluster::standby_of(&primary);
    append(&*open(&primary.url()).await, 5).await;
    primary.stop("immediate");
    standby.start();
    let earlier = PostgresLog::open(&standby.url(), Access::ReadOnly).await.expect("opened");
    assert_eq!(earlier.head().await, Ok(kept), "the tail is lost");
    standby.control("promote", &[]);

    let later = PostgresLog::open(&standby.url(), Access::ReadOnly).await.expect("opened");
    for reader in [&earlier, &later] {
        assert_eq!(reader.standing().await, Ok(Standing { head: kept, is_standby: true }));
        assert!(reader.identity().await.expect("an identity").is_standby);
        assert_eq!(read(reader).await.reach, Reach::Unknown);
    }
    let writer = open(&standby.url()).await;
    let head = Head { epoch: Epoch(2), ..kept };
    for reader in [&earlier, &later, &*writer] {
        assert_eq!(reader.standing().await, Ok(Standing { head, is_standby: false }));
        assert!(!reader.identity().await.expect("an identity").is_standby);
        assert_eq!(read(reader).await.reach, Reach::Asked);
    }
}
