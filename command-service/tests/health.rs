//! What a committer says of its store: that it can be read does not mean that it can be written.

use std::sync::Arc;
use std::time::Duration;

use configapi_command_service::committer::{
    CommitQueue, Committer, CommitterMetrics, Limits, Refusal, StoreHealth, Submission, Wish,
    WishedAction,
};
use configapi_domain::{ConfigKey, Content, Position, Provenance, Value};
use configapi_event_log::{EventLog as _, Verdict};
use futures_util::future::join;
use tokio::sync::watch;
use tokio::task::yield_now;

use crate::faulty_log::{Fault, FaultyLog};
use crate::support::{TestClock, memory_log};

struct Stage {
    log: Arc<FaultyLog>,
    queue: CommitQueue,
    health: watch::Receiver<StoreHealth>,
}

impl Stage {
    /// A committer that looks around as often as it can, on a log that was written once and then
    /// refused an append.
    async fn refused(limits: Limits) -> Self {
        let log = FaultyLog::new(memory_log());
        let limits = Limits { probe_every: Duration::from_millis(1), ..limits };
        let clock = Arc::<TestClock>::default();
        let committer =
            Committer::new(log.clone(), clock, limits, CommitterMetrics::unregistered());
        tokio::spawn(committer.worker.run());
        let mut stage = Self { log, queue: committer.queue, health: committer.health };
        stage.set().await.unwrap();
        stage.until(|health| *health == StoreHealth::Up).await;
        stage.log.fail_next([Fault::Unavailable]);
        stage.set().await.unwrap_err();
        stage
    }

    async fn set(&self) -> Result<(), Refusal> {
        self.submit(false).await
    }

    async fn submit(&self, validate_only: bool) -> Result<(), Refusal> {
        let wish = Wish {
            key: ConfigKey::parse("", "a").unwrap(),
            expected_version: None,
            action: WishedAction::Set(Content::untyped(Value::parse("1").unwrap())),
        };
        let submission = Submission {
            wishes: vec![wish],
            provenance: Provenance::default(),
            request: None,
            validate_only,
            deadline: None,
        };
        self.queue.submit(submission).await.map(|_| ())
    }

    async fn until(&mut self, is_it: impl FnMut(&StoreHealth) -> bool) {
        let said = self.health.wait_for(is_it);
        drop(tokio::time::timeout(Duration::from_secs(10), said).await.unwrap().unwrap());
    }

    /// Returns when the store was looked at a few times more.
    async fn looked_at(&self) {
        let seen = self.log.looks();
        let looked_at = async {
            while self.log.looks() < seen + 10 {
                yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looked_at).await.unwrap();
    }

    async fn stays_so_when_looked_at(&mut self) {
        self.health.mark_unchanged();
        self.looked_at().await;
        assert!(!self.health.has_changed().unwrap(), "{:?}", self.health.borrow());
    }
}

#[tokio::test]
async fn what_a_reader_in_the_process_refuses_is_not_written() {
    let log = FaultyLog::new(memory_log());
    let limits = Limits { probe_every: Duration::from_millis(1), ..Limits::default() };
    let clock = Arc::<TestClock>::default();
    let (sender, verdict) = watch::channel(Verdict::Open);
    let committer = Committer::new(log.clone(), clock, limits, CommitterMetrics::unregistered());
    let committer = committer.heeding(verdict);
    tokio::spawn(committer.worker.run());
    let mut stage = Stage { log: log.clone(), queue: committer.queue, health: committer.health };
    assert_eq!(stage.set().await, Err(Refusal::NotCompared));
    sender.send_replace(Verdict::Sound);
    stage.set().await.unwrap();
    stage.until(|health| *health == StoreHealth::Up).await;

    sender.send_replace(Verdict::Refused("the log lost its tail".into()));
    assert_eq!(stage.set().await, Err(Refusal::LogRefused("the log lost its tail".into())));
    stage.until(|health| *health == StoreHealth::Down("the log lost its tail".to_owned())).await;
    assert_eq!(log.head().await.unwrap().position, Position(1));
    sender.send_replace(Verdict::Sound);
    stage.set().await.unwrap();
    assert_eq!(log.head().await.unwrap().position, Position(2));
}

fn is_down(health: &StoreHealth) -> bool {
    matches!(health, StoreHealth::Down(why) if why.contains("unreachable"))
}

#[tokio::test]
async fn a_store_that_reads_and_refused_an_append_is_down_until_it_takes_one() {
    let mut stage = Stage::refused(Limits::default()).await;
    stage.until(is_down).await;
    stage.stays_so_when_looked_at().await;
    stage.set().await.unwrap();
    stage.until(|health| *health == StoreHealth::Up).await;
}

/// As one whose commits wait for a standby that is away.
#[tokio::test]
async fn a_store_that_reads_and_never_said_what_became_of_an_append_is_down_until_it_takes_one() {
    let limits = Limits { resolve_for: Duration::ZERO, ..Limits::default() };
    let mut stage = Stage::refused(limits).await;
    stage.set().await.unwrap();
    stage.until(|health| *health == StoreHealth::Up).await;
    stage.log.fail_next([Fault::LostBefore]);
    assert_eq!(stage.set().await, Err(Refusal::OutcomeUnknown));
    stage.until(|health| matches!(health, StoreHealth::Down(_))).await;
    stage.stays_so_when_looked_at().await;
    stage.set().await.unwrap();
    stage.until(|health| *health == StoreHealth::Up).await;
}

/// One that lost a race lately appends in turns only.
#[tokio::test]
async fn a_store_that_reads_and_gives_no_turn_is_down_until_it_takes_an_append() {
    let mut stage = Stage::refused(Limits::default()).await;
    let other = Committer::new(
        stage.log.inner(),
        Arc::<TestClock>::default(),
        Limits::default(),
        CommitterMetrics::unregistered(),
    );
    tokio::spawn(other.worker.run());
    let other = Stage { log: stage.log.clone(), queue: other.queue, health: other.health };
    stage.log.close_gate().await;
    let is_faster = async {
        stage.log.append_waits().await;
        other.set().await.unwrap();
        stage.log.open_gate();
    };
    join(stage.set(), is_faster).await.0.unwrap();
    stage.until(|health| *health == StoreHealth::Up).await;
    stage.log.turns().refuse(true);
    assert!(matches!(stage.set().await, Err(Refusal::Unavailable(_))));
    stage.until(is_down).await;
    stage.stays_so_when_looked_at().await;
    stage.log.turns().refuse(false);
    stage.set().await.unwrap();
    stage.until(|health| *health == StoreHealth::Up).await;
}

#[tokio::test]
async fn a_store_that_refused_an_append_is_not_up_for_a_command_that_needs_none() {
    let mut stage = Stage::refused(Limits::default()).await;
    stage.until(is_down).await;
    stage.health.mark_unchanged();
    stage.submit(true).await.unwrap();
    stage.looked_at().await;
    assert!(!stage.health.has_changed().unwrap(), "{:?}", stage.health.borrow());
}

#[tokio::test]
async fn a_store_that_was_away_is_up_once_it_is_seen_again() {
    let mut stage = Stage::refused(Limits::default()).await;
    stage.log.set_down(true);
    stage.until(|health| matches!(health, StoreHealth::Down(why) if why.contains("is down"))).await;
    stage.log.set_down(false);
    stage.until(|health| *health == StoreHealth::Up).await;
}

#[tokio::test]
async fn what_a_store_refused_long_ago_is_forgotten() {
    let limits = Limits { refused_for: Duration::ZERO, ..Limits::default() };
    let mut stage = Stage::refused(limits).await;
    stage.looked_at().await;
    stage.until(|health| *health == StoreHealth::Up).await;
}

#[tokio::test]
async fn a_store_that_says_that_it_takes_no_appends_is_down_until_it_does_not_say_so() {
    let log = FaultyLog::new(memory_log());
    log.say_that_it_takes_no_appends(Some("no right to insert"));
    let down = || StoreHealth::Down("the log cannot be written: no right to insert".to_owned());
    let committer = Committer::new(
        log.clone(),
        Arc::<TestClock>::default(),
        Limits::default(),
        CommitterMetrics::unregistered(),
    );
    let mut health = committer.health.clone();
    tokio::spawn(committer.worker.run());
    let mut stage = Stage { log: log.clone(), queue: committer.queue, health: health.clone() };
    let first = health.wait_for(|health| *health != StoreHealth::Starting).await.unwrap().clone();
    assert_eq!(first, down());
    // It is believed more than a command that needs no append.
    stage.submit(true).await.unwrap();
    assert_eq!(*stage.health.borrow(), down());
    log.fail_next([Fault::Unavailable]);
    stage.set().await.unwrap_err();
    log.say_that_it_takes_no_appends(None);
    stage.until(|health| *health == StoreHealth::Up).await;

    // It is believed less than an append that it took.
    log.say_that_it_takes_no_appends(Some("no right to insert"));
    log.fail_next([Fault::Unavailable]);
    stage.set().await.unwrap_err();
    stage.until(|health| *health == down()).await;
    stage.set().await.unwrap();
    assert_eq!(*stage.health.borrow(), StoreHealth::Up);
}
