//! A log on a slow store is asked for less, and in the end for what comes in time.

use std::future::{pending, ready};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use configapi_event_log::domain::{Point, Position};
use configapi_event_log::{
    AppendError, Asking, Epoch, EventLog, Head, Identity, LogError, MemoryLog, Newest, Page,
    PageLimit, Reach, Requested, StoredEvent, Turn,
};

use crate::rows::{START, log_id};

/// A log in memory that does not answer for more than so many bytes.
#[derive(Debug)]
struct SlowLog {
    inner: MemoryLog,
    most_bytes: usize,
    asked_bytes: Mutex<Vec<usize>>,
}

impl SlowLog {
    fn new(most_bytes: usize) -> Self {
        Self { inner: MemoryLog::new(log_id(), START), most_bytes, asked_bytes: Mutex::default() }
    }
}

#[async_trait]
impl EventLog for SlowLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        self.inner.identity().await
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
        self.asked_bytes.lock().unwrap().push(limit.bytes());
        if limit.bytes() > self.most_bytes {
            return std::future::pending().await;
        }
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

async fn asked(log: &SlowLog) -> (Result<Page, LogError>, Vec<usize>) {
    let asking = Asking::new(Duration::from_millis(20));
    let page = asking.page_or_less(log, Position::GENESIS, PageLimit::REPLAY).await;
    (page, log.asked_bytes.lock().unwrap().clone())
}

#[tokio::test]
async fn who_ends_with_the_first_error_is_asked_for_less_before() {
    let (page, asked_bytes) = asked(&SlowLog::new(1 << 20)).await;
    assert_eq!(page.unwrap().events.len(), 1);
    assert_eq!(asked_bytes, [8 << 20, 4 << 20, 2 << 20, 1 << 20]);
}

#[tokio::test]
async fn a_store_that_never_answers_is_given_up() {
    let (page, asked_bytes) = asked(&SlowLog::new(0)).await;
    assert!(matches!(page, Err(LogError::Unavailable(_))), "{page:?}");
    assert_eq!((asked_bytes.len(), asked_bytes.last()), (8, Some(&(64 << 10))));
}

/// What a store answers that has nothing to do with how large a page may be.
fn page(is_cut: bool) -> Page {
    Page { events: Vec::new(), epoch: Epoch::FIRST, is_cut, reach: Reach::Asked }
}

#[tokio::test]
async fn an_error_that_comes_at_once_is_no_reason_to_ask_for_less() {
    let asking = Asking::new(Asking::PATIENCE);
    let error = || LogError::Unavailable("it is being started".to_owned());
    asking.ask(PageLimit::REPLAY, |_| ready(Err(error()))).await.unwrap_err();
    assert_eq!(asking.halvings(), 0);
}

#[tokio::test]
async fn more_is_asked_for_again_once_pages_come_soon_that_do_not_end_with_the_log() {
    let asking = Asking::new(Duration::from_millis(20));
    asking.ask(PageLimit::REPLAY, |_| pending()).await.unwrap_err();
    assert_eq!(asking.halvings(), 1);
    let _ = asking.ask(PageLimit::REPLAY, |_| ready(Ok(page(false)))).await;
    assert_ne!(asking.halvings(), 0, "the end of the log says nothing of larger pages");
    // On a machine that has much to do, one may not come soon.
    for _ in 0..1_000 {
        if asking.halvings() == 0 {
            return;
        }
        let _ = asking.ask(PageLimit::REPLAY, |_| ready(Ok(page(true)))).await;
    }
    panic!("no larger pages are asked for any more");
}
