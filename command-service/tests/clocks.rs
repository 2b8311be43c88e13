//! Clocks that are set while a server runs, and stores that take their time to tell theirs.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use configapi_command_service::clock::Clock as _;
use configapi_command_service::committer::{Committer, CommitterMetrics, Limits, Refusal};
use configapi_domain::{Point, Position, Timestamp};
use configapi_event_log::{
    AppendError, Epoch, EventLog, Head, Identity, LogError, MemoryLog, Newest, Page, PageLimit,
    Requested, StoredEvent, Turn,
};
use configapi_proto::Reason;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{RestoreRequest, RestoreTarget};
use futures_util::future::FutureExt as _;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::ahead::set;
use crate::faulty_log::FaultyLog;
use crate::support::{BEGINNING, TestClock, memory_log, refusal, set_request, start_on};

#[tokio::test]
async fn a_clock_that_is_set_wrong_while_the_server_runs_is_refused_until_it_is_right_again() {
    const HOUR_US: i64 = 3_600_000_000;
    let log = FaultyLog::new(memory_log());
    log.tell_time(Timestamp(BEGINNING));
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    for step in [-HOUR_US, HOUR_US] {
        server.clock.turn_back(step);
        let refused = server.set("a", "wrong").await.unwrap_err();
        assert_eq!(refused.reason, Reason::Unavailable, "{refused:?}");
        server.clock.turn_back(-step);
        // It is back once it has looked again.
        let until_it_takes = async { while server.set("a", "right").await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(20), until_it_takes).await.unwrap();
    }
    let events = server.events().await;
    assert_eq!(events.len(), 3);
    for event in events {
        assert!((BEGINNING..BEGINNING + 1_000_000).contains(&event.recorded_at.0), "{event:?}");
    }
}

/// What was looked up for it is not remembered: it would be looked up again and again.
#[tokio::test]
async fn a_restore_is_not_decided_anew_because_its_look_up_took_long() {
    const SLOW_US: i64 = 400_000;
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    while log.looked_up().now_or_never().is_some() {}
    log.hold_look_ups().await;
    let target = Some(RestoreTarget { moment: Some(Moment::Version(1)) });
    let restore = RestoreRequest { name: "a".to_owned(), target, ..RestoreRequest::default() };
    let mut client = server.client.clone();
    let restored = tokio::spawn(async move { client.restore(restore).await });
    log.looked_up().await;
    server.clock.advance(SLOW_US);
    log.let_look_ups_go();
    restored.await.unwrap().unwrap();
    assert_eq!(log.past_questions(), 1);
}

/// It is looked at again after all that may take long.
#[tokio::test]
async fn a_clock_that_is_set_wrong_during_a_look_up_gives_no_event_its_time() {
    const HOUR_US: i64 = 3_600_000_000;
    let log = FaultyLog::new(memory_log());
    log.tell_time(Timestamp(BEGINNING));
    let server = start_on(log.clone(), Limits::default()).await;
    log.hold_look_ups().await;
    let mut client = server.client.clone();
    let set = tokio::spawn(async move { client.set(set_request("a", "1")).await });
    log.looked_up().await;
    server.clock.advance(HOUR_US);
    log.let_look_ups_go();
    let refused = refusal(set.await.unwrap());
    assert_eq!(refused.reason, Reason::Unavailable, "{refused:?}");
    assert_eq!(server.events().await.len(), 0);
}

/// Who asks what was true at a time is answered from what is in the log soon after it.
#[tokio::test]
async fn events_bear_the_time_of_the_decision_however_long_the_look_ups_before_it_took() {
    const SLOW_US: i64 = 400_000;
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    log.hold_look_ups().await;
    let set = |name: &'static str| {
        let mut client = server.client.clone();
        tokio::spawn(async move { client.set(set_request(name, "1")).await.unwrap() })
    };
    let slow = set("a");
    log.looked_up().await;
    server.clock.advance(SLOW_US);
    log.let_look_ups_go();
    slow.await.unwrap();
    let events = server.events().await;
    assert!(events[0].recorded_at.0 >= BEGINNING + SLOW_US, "{events:?}");

    // One is decided ahead, and goes with one that nobody knows yet.
    log.close_gate().await;
    let before = set("a");
    log.append_waits().await;
    log.hold_look_ups().await;
    let ahead = set("a");
    let unknown = set("b");
    log.looked_up().await;
    log.open_gate();
    before.await.unwrap();
    server.clock.advance(SLOW_US);
    log.let_look_ups_go();
    ahead.await.unwrap();
    unknown.await.unwrap();
    let events = server.events().await;
    assert!(events[2..].iter().all(|event| event.recorded_at.0 >= BEGINNING + 2 * SLOW_US));
}

/// A log whose store has the time of our clock, and tells it late for so many questions.
#[derive(Debug)]
struct LateLog {
    inner: Arc<MemoryLog>,
    clock: Arc<TestClock>,
    late: AtomicUsize,
}

#[async_trait]
impl EventLog for LateLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        const LATE_US: i64 = 1_500_000;
        let store_time = Some(self.clock.now());
        let late =
            self.late.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if late.is_ok() {
            self.clock.advance(LATE_US);
        }
        Ok(Identity { store_time, ..self.inner.identity().await? })
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.inner.head().await
    }

    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        self.inner.append(head, events).await
    }

    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError> {
        self.inner.take_turn().await
    }

    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        self.inner.read(from, limit).await
    }

    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError> {
        self.inner.newest(streams, limit_bytes).await
    }

    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError> {
        self.inner.streams_at(wanted, limit_bytes).await
    }

    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError> {
        self.inner.requests(ids, limit_bytes).await
    }

    async fn grown(&self, beyond: Position, patience: Duration) {
        self.inner.grown(beyond, patience).await;
    }

    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError> {
        self.inner.begin_epoch(head).await
    }
}

#[tokio::test]
async fn a_store_that_tells_its_time_late_does_not_make_our_clock_a_wrong_one() {
    let outcome_after = async |late: usize| {
        let clock = Arc::<TestClock>::default();
        let (inner, late) = (memory_log(), AtomicUsize::new(late));
        let log = Arc::new(LateLog { inner, clock: clock.clone(), late });
        let metrics = CommitterMetrics::unregistered();
        let committer = Committer::new(log, clock, Limits::default(), metrics);
        tokio::spawn(committer.worker.run());
        committer.queue.submit(set("a", None)).await
    };
    let outcome = outcome_after(1).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    let Err(Refusal::Unavailable(why)) = outcome_after(100).await else { panic!("compared") };
    assert!(why.contains("too slowly to compare"), "{why}");
}

/// What was warned of in this thread.
#[derive(Debug, Default, Clone)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            write!(text, "{field}={value:?} ").unwrap();
        });
        self.0.lock().unwrap().push(text);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// One that was far ahead once leaves a time in the log that no later event can be before.
#[tokio::test]
async fn a_log_whose_times_are_ahead_of_the_clock_is_written_and_told_of_once() {
    const YEAR_US: i64 = 365 * 24 * 3_600_000_000;
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (clock, log) = (Arc::<TestClock>::default(), memory_log());
    clock.advance(YEAR_US);
    let start = || {
        let metrics = CommitterMetrics::unregistered();
        let limits = Limits { probe_every: Duration::from_millis(1), ..Limits::default() };
        let committer = Committer::new(log.clone(), clock.clone(), limits, metrics);
        tokio::spawn(committer.worker.run());
        committer.queue
    };
    start().submit(set("a", None)).await.unwrap();
    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
    clock.turn_back(YEAR_US);
    let queue = start();
    for _ in 0..3 {
        queue.submit(set("a", None)).await.unwrap();
        // It has to look at its clock again.
        clock.advance(5_000_000);
    }
    let told = warnings.0.lock().unwrap().join("\n");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("ahead of this server's clock"), "{told}");
    assert!(told.contains("ahead_seconds=31535999"), "{told}");
}
