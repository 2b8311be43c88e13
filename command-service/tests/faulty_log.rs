//! A log that fails as a database on the other side of a network can.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use configapi_domain::{Point, Position, Timestamp};
use configapi_event_log::{
    AppendError, Epoch, EventLog, Head, Identity, LogError, Newest, Page, PageLimit, Requested,
    Standing, StoredEvent, Turn,
};
use tokio::sync::Semaphore;

use crate::faulty_look_ups::LookUps;
use crate::faulty_turn::{FragileTurn, Turns};

/// What goes wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store cannot be reached.
    Unavailable,
    /// The connection is lost before the commit.
    LostBefore,
    /// The connection is lost after the commit.
    LostAfter,
}

/// A log with faults.
#[derive(Debug)]
pub struct FaultyLog {
    inner: Mutex<Arc<dyn EventLog>>,
    standby: Mutex<Option<Arc<dyn EventLog>>>,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Faults {
    next: Mutex<VecDeque<Fault>>,
    poison: Mutex<Option<String>>,
    is_down: Mutex<bool>,
    falls_silent: Mutex<bool>,
    store_time: Mutex<Option<Timestamp>>,
    begins_epoch: AtomicBool,
    takes_no_appends: Mutex<Option<String>>,
    turns: Turns,
    appended: Mutex<Vec<usize>>,
    gate: Semaphore,
    passes_singly: Mutex<bool>,
    waiting: Semaphore,
    look_ups: LookUps,
    looks: AtomicUsize,
    most_bytes: AtomicUsize,
    /// What was handed out of the pasts of configs.
    past_bytes: AtomicUsize,
    past_questions: AtomicUsize,
    /// The most that was handed out of repeated requests at once.
    most_recalled_bytes: AtomicUsize,
}

impl FaultyLog {
    pub fn new(inner: Arc<dyn EventLog>) -> Arc<Self> {
        let faults = Faults {
            next: Mutex::default(),
            poison: Mutex::default(),
            is_down: Mutex::default(),
            falls_silent: Mutex::default(),
            store_time: Mutex::default(),
            begins_epoch: AtomicBool::new(false),
            takes_no_appends: Mutex::default(),
            turns: Turns::default(),
            appended: Mutex::default(),
            gate: Semaphore::new(1_000),
            passes_singly: Mutex::default(),
            waiting: Semaphore::new(0),
            look_ups: LookUps::new(),
            looks: AtomicUsize::new(0),
            most_bytes: AtomicUsize::new(usize::MAX),
            past_bytes: AtomicUsize::new(0),
            past_questions: AtomicUsize::new(0),
            most_recalled_bytes: AtomicUsize::new(0),
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            standby: Mutex::default(),
            faults: Arc::new(faults),
        })
    }

    /// The clock of the store stands still at this time.
    pub fn tell_time(&self, store_time: Timestamp) {
        *self.faults.store_time.lock().unwrap() = Some(store_time);
    }

    /// An epoch begins right after the next question for the log's identity.
    pub fn begin_epoch_after_identity(&self) {
        self.faults.begins_epoch.store(true, Ordering::Release);
    }

    pub fn say_that_it_takes_no_appends(&self, why: Option<&str>) {
        *self.faults.takes_no_appends.lock().unwrap() = why.map(str::to_owned);
    }

    /// Who asks for a page of more bytes than these is not answered from now on.
    pub fn answer_up_to(&self, most_bytes: usize) {
        self.faults.most_bytes.store(most_bytes, Ordering::Relaxed);
    }

    /// What becomes of its turns.
    pub fn turns(&self) -> &Turns {
        &self.faults.turns
    }

    /// Appends a row after the head as soon as a turn has ended like that.
    pub fn let_pass(&self, head: Head, row: StoredEvent) {
        self.faults.turns.let_pass(self.inner(), head, row);
    }

    /// The next appends go wrong like this.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.next.lock().unwrap().extend(faults);
    }

    /// Appends with this text in them are refused.
    pub fn refuse(&self, text: &str) {
        *self.faults.poison.lock().unwrap() = Some(text.to_owned());
    }

    /// Puts another log in the place of this one.
    pub fn replace_by(&self, log: Arc<dyn EventLog>) {
        *self.inner.lock().unwrap() = log;
    }

    /// The log itself.
    pub fn inner(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.inner.lock().unwrap())
    }

    /// From now on this standby answers those who only read, or nobody does.
    pub fn read_from(&self, standby: Option<Arc<dyn EventLog>>) {
        *self.standby.lock().unwrap() = standby;
    }

    fn standby(&self) -> Option<Arc<dyn EventLog>> {
        self.standby.lock().unwrap().clone()
    }

    fn reader(&self) -> Arc<dyn EventLog> {
        self.standby().unwrap_or_else(|| self.inner())
    }

    /// Nothing can be read or taken in turns any more, or all can again.
    pub fn set_down(&self, is_down: bool) {
        *self.faults.is_down.lock().unwrap() = is_down;
    }

    /// Nothing can be reached any more once the next append that loses its answer is over.
    pub fn fall_silent_after_append(&self) {
        *self.faults.falls_silent.lock().unwrap() = true;
    }

    /// Appends wait from now on, until the gate is opened.
    pub async fn close_gate(&self) {
        self.faults.waiting.forget_permits(usize::MAX);
        self.faults.gate.acquire_many(1_000).await.unwrap().forget();
    }

    /// Returns when an append has come to the gate since the last time.
    pub async fn append_waits(&self) {
        self.faults.waiting.acquire().await.unwrap().forget();
    }

    /// Lets one append through the closed gate.
    pub fn let_one_through(&self) {
        *self.faults.passes_singly.lock().unwrap() = true;
        self.faults.gate.add_permits(1);
    }

    pub fn open_gate(&self) {
        *self.faults.passes_singly.lock().unwrap() = false;
        self.faults.gate.add_permits(1_000);
    }

    /// Look-ups have read what they were asked for from now on, and wait before they tell it.
    pub async fn hold_look_ups(&self) {
        self.faults.look_ups.gate.acquire_many(1_000).await.unwrap().forget();
    }

    /// Returns when a look-up has read something since the last time.
    pub async fn looked_up(&self) {
        self.faults.look_ups.waiting.acquire().await.unwrap().forget();
    }

    pub fn let_look_ups_go(&self) {
        self.faults.look_ups.gate.add_permits(1_000);
    }

    /// Look-ups fail from now on, or work again.
    pub fn fail_look_ups(&self, fail: bool) {
        *self.faults.look_ups.fail.lock().unwrap() = fail;
    }

    /// The streams of each look-up, in order.
    pub fn look_ups(&self) -> Vec<Vec<String>> {
        self.faults.look_ups.asked.lock().unwrap().clone()
    }

    /// How often it was asked where the log ends.
    pub fn looks(&self) -> usize {
        self.faults.looks.load(Ordering::Relaxed)
    }

    /// How many bytes of the pasts of configs were asked for.
    pub fn past_bytes(&self) -> usize {
        self.faults.past_bytes.load(Ordering::Relaxed)
    }

    /// How often the pasts of configs were asked for.
    pub fn past_questions(&self) -> usize {
        self.faults.past_questions.load(Ordering::Relaxed)
    }

    /// How many bytes of repeated requests were asked for at once, at most.
    pub fn most_recalled_bytes(&self) -> usize {
        self.faults.most_recalled_bytes.load(Ordering::Relaxed)
    }

    /// How many rows each successful append had.
    pub fn appended(&self) -> Vec<usize> {
        self.faults.appended.lock().unwrap().clone()
    }
}

impl Faults {
    async fn answer(&self, limit: PageLimit) {
        if limit.bytes() > self.most_bytes.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    fn check_up(&self) -> Result<(), LogError> {
        if *self.is_down.lock().unwrap() {
            return Err(LogError::Unavailable("the store is down".to_owned()));
        }
        Ok(())
    }

    async fn append(
        &self,
        events: &[StoredEvent],
        append: impl Future<Output = Result<(), AppendError>>,
    ) -> Result<(), AppendError> {
        self.waiting.add_permits(1);
        let passed = self.gate.acquire().await.unwrap();
        if *self.passes_singly.lock().unwrap() {
            passed.forget();
        }
        if *self.is_down.lock().unwrap() {
            return Err(AppendError::Unavailable("the store is down".to_owned()));
        }
        if let Some(poison) = &*self.poison.lock().unwrap()
            && events.iter().any(|row| row.payload.contains(poison))
        {
            return Err(AppendError::Refused("poison".to_owned()));
        }
        let lost = || AppendError::Unknown("the connection was lost".to_owned());
        let fault = self.next.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Unavailable) => Err(AppendError::Unavailable("unreachable".to_owned())),
            Some(Fault::LostBefore) => Err(lost()),
            Some(Fault::LostAfter) => {
                append.await?;
                *self.is_down.lock().unwrap() |= *self.falls_silent.lock().unwrap();
                Err(lost())
            }
            None => {
                append.await?;
                self.appended.lock().unwrap().push(events.len());
                Ok(())
            }
        }
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        self.faults.check_up()?;
        let store_time = *self.faults.store_time.lock().unwrap();
        let is_standby = self.standby().is_some();
        let takes_no_appends = self.faults.takes_no_appends.lock().unwrap().clone();
        let inner = self.reader().identity().await?;
        let identity = Identity { store_time, is_standby, takes_no_appends, ..inner };
        if self.faults.begins_epoch.swap(false, Ordering::AcqRel) {
            self.begin_epoch(&self.inner().head().await?).await?;
        }
        Ok(identity)
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.faults.looks.fetch_add(1, Ordering::Relaxed);
        self.faults.check_up()?;
        self.reader().head().await
    }

    async fn standing(&self) -> Result<Standing, LogError> {
        Ok(Standing { head: self.head().await?, is_standby: self.standby().is_some() })
    }

    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        let inner = self.inner();
        self.faults.append(events, inner.append(head, events)).await
    }

    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError> {
        self.faults.check_up()?;
        let inner = self.faults.turns.keep(self.inner().take_turn().await?)?;
        Ok(Box::new(FaultyTurn { inner, faults: Arc::clone(&self.faults) }))
    }

    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        self.faults.check_up()?;
        self.faults.answer(limit).await;
        self.reader().read(from, limit).await
    }

    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError> {
        self.faults.check_up()?;
        self.faults.turns.look_up().await;
        let look_ups = &self.faults.look_ups;
        let found = self.inner().newest(streams, limit_bytes).await;
        let answered = found.as_ref().map_or(0, |newest| newest.answered(streams));
        let mut asked: Vec<String> = streams[..answered].iter().map(ToString::to_string).collect();
        asked.sort();
        look_ups.asked.lock().unwrap().push(asked);
        look_ups.wait_to_tell().await;
        if *look_ups.fail.lock().unwrap() {
            return Err(LogError::Unavailable("the look-up was cut off".to_owned()));
        }
        found
    }

    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError> {
        self.faults.turns.look_up().await;
        let rows = self.inner().streams_at(wanted, limit_bytes).await?;
        let bytes = rows.iter().flatten().map(StoredEvent::weight_bytes).sum();
        self.faults.past_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.faults.past_questions.fetch_add(1, Ordering::Relaxed);
        self.faults.look_ups.wait_to_tell().await;
        Ok(rows)
    }

    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError> {
        let requested = self.inner().requests(ids, limit_bytes).await?;
        let bytes = requested.rows.iter().map(StoredEvent::weight_bytes).sum();
        self.faults.most_recalled_bytes.fetch_max(bytes, Ordering::Relaxed);
        self.faults.look_ups.wait_to_tell().await;
        Ok(requested)
    }

    async fn grown(&self, beyond: Position, patience: Duration) {
        self.inner().grown(beyond, patience).await;
    }

    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError> {
        self.inner().begin_epoch(head).await
    }
}

#[derive(Debug)]
struct FaultyTurn {
    inner: FragileTurn,
    faults: Arc<Faults>,
}

#[async_trait]
impl Turn for FaultyTurn {
    async fn read(&mut self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        self.faults.answer(limit).await;
        let mut inner = self.inner.take().await?;
        let page = inner.read(from, limit).await;
        self.inner.give_back(inner).await;
        page
    }

    async fn append(
        self: Box<Self>,
        head: &Head,
        events: &[StoredEvent],
    ) -> Result<(), AppendError> {
        let inner = self.inner.take().await;
        let inner = inner.map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.faults.append(events, inner.append(head, events)).await
    }
}
