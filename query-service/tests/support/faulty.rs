//! A log that can be broken, replaced and cut off while a server reads from it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use configapi_domain::{Point, Position};
use configapi_event_log::{
    AppendError, Epoch, EventLog, Hash, Head, Identity, LogError, Newest, Page, PageLimit, Reach,
    Requested, Standing, StoredEvent, Turn,
};
use tokio::sync::Semaphore;

type Tamper = Box<dyn Fn(&mut Vec<StoredEvent>) + Send>;

/// A log behind which another one can be put, and whose rows can be tampered with on their way.
pub struct FaultyLog {
    inner: Mutex<Arc<dyn EventLog>>,
    tamper: Mutex<Option<Tamper>>,
    reach: Mutex<Reach>,
    is_cut_off: AtomicBool,
    is_mute: AtomicBool,
    pub is_standby: AtomicBool,
    /// Whether nobody can tell any more whose log it is.
    pub has_no_genesis: AtomicBool,
    /// How often the head was asked for.
    pub heads: AtomicU64,
    /// How often it was asked whose log it is.
    pub identities: AtomicU64,
    /// Questions for the head are answered one for each permit, once this is closed.
    gate: Semaphore,
    is_gated: AtomicBool,
    /// Whether whoever waits for more is told at once that there is, true or not.
    pub is_restless: AtomicBool,
    /// How often somebody waited for more.
    pub waits: AtomicU64,
    /// How often it was read.
    pub reads: AtomicU64,
    /// Who asks for a page of more bytes is not answered.
    most_bytes: AtomicUsize,
    /// How many bytes each page was asked for with.
    asked_bytes: Mutex<Vec<usize>>,
    /// What it has at hand for whoever stands at the first row of it.
    pub at_hand: Mutex<Option<Page>>,
}

impl fmt::Debug for FaultyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyLog").finish_non_exhaustive()
    }
}

impl FaultyLog {
    pub fn around(inner: Arc<dyn EventLog>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(inner),
            tamper: Mutex::new(None),
            reach: Mutex::new(Reach::Asked),
            is_cut_off: AtomicBool::new(false),
            is_mute: AtomicBool::new(false),
            is_standby: AtomicBool::new(false),
            has_no_genesis: AtomicBool::new(false),
            heads: AtomicU64::new(0),
            identities: AtomicU64::new(0),
            gate: Semaphore::new(0),
            is_gated: AtomicBool::new(false),
            is_restless: AtomicBool::new(false),
            waits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            most_bytes: AtomicUsize::new(usize::MAX),
            asked_bytes: Mutex::default(),
            at_hand: Mutex::default(),
        })
    }

    pub fn replace(&self, inner: Arc<dyn EventLog>) {
        *self.inner.lock().unwrap() = inner;
    }

    pub fn tamper(&self, tamper: impl Fn(&mut Vec<StoredEvent>) + Send + 'static) {
        *self.tamper.lock().unwrap() = Some(Box::new(tamper));
    }

    pub fn mend(&self) {
        *self.tamper.lock().unwrap() = None;
    }

    /// What it says from now on of how far it has come.
    pub fn reach(&self, reach: Reach) {
        *self.reach.lock().unwrap() = reach;
    }

    pub fn cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.store(is_cut_off, Ordering::SeqCst);
    }

    /// Reads are not answered any more, or again.
    pub fn mute(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::SeqCst);
    }

    /// Who asks for a page of more bytes than these is not answered from now on.
    pub fn answer_up_to(&self, most_bytes: usize) {
        self.most_bytes.store(most_bytes, Ordering::SeqCst);
    }

    /// How many bytes each page was asked for with; single rows are left out.
    pub fn asked_bytes(&self) -> Vec<usize> {
        let asked = self.asked_bytes.lock().unwrap();
        asked.iter().copied().filter(|bytes| *bytes > 1).collect()
    }

    pub fn close_gate(&self) {
        self.is_gated.store(true, Ordering::SeqCst);
    }

    /// Who asks from now on is answered at once; who waits still has to be let through.
    pub fn open_gate(&self) {
        self.is_gated.store(false, Ordering::SeqCst);
    }

    pub fn let_heads_through(&self, count: usize) {
        self.gate.add_permits(count);
    }

    fn inner(&self) -> Result<Arc<dyn EventLog>, LogError> {
        if self.is_cut_off.load(Ordering::SeqCst) {
            return Err(LogError::Unavailable("cut off".to_owned()));
        }
        Ok(Arc::clone(&self.inner.lock().unwrap()))
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        self.identities.fetch_add(1, Ordering::SeqCst);
        let mut identity = self.inner()?.identity().await?;
        if self.has_no_genesis.load(Ordering::SeqCst) {
            return Err(LogError::Unusable("the log has no genesis".to_owned()));
        }
        identity.is_standby = self.is_standby.load(Ordering::SeqCst);
        Ok(identity)
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.heads.fetch_add(1, Ordering::SeqCst);
        let head = self.inner()?.head().await;
        if self.is_gated.load(Ordering::SeqCst) {
            // The answer is from before the wait, as with a slow network.
            self.gate.acquire().await.unwrap().forget();
        }
        head
    }

    async fn standing(&self) -> Result<Standing, LogError> {
        Ok(Standing {
            head: self.head().await?,
            is_standby: self.is_standby.load(Ordering::SeqCst),
        })
    }

    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        let inner = self.inner().map_err(|error| AppendError::Unavailable(error.to_string()))?;
        inner.append(head, events).await
    }

    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError> {
        self.inner()?.take_turn().await
    }

    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.asked_bytes.lock().unwrap().push(limit.bytes());
        let is_too_much = limit.bytes() > self.most_bytes.load(Ordering::SeqCst);
        if is_too_much || self.is_mute.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        // Before the rows, as a standby does.
        let reach = match *self.reach.lock().unwrap() {
            Reach::Asked if self.is_standby.load(Ordering::SeqCst) => Reach::Unknown,
            reach => reach,
        };
        let mut page = self.inner()?.read(from, limit).await?;
        if let Some(tamper) = &*self.tamper.lock().unwrap() {
            tamper(&mut page.events);
        }
        Ok(Page { reach, ..page })
    }

    fn at_hand(&self, from: Position, hash: Hash, _: PageLimit) -> Option<Page> {
        let page = self.at_hand.lock().unwrap().clone()?;
        page.events
            .first()
            .is_some_and(|row| (row.position, row.hash) == (from, hash))
            .then_some(page)
    }

    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError> {
        self.inner()?.newest(streams, limit_bytes).await
    }

    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError> {
        self.inner()?.streams_at(wanted, limit_bytes).await
    }

    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError> {
        self.inner()?.requests(ids, limit_bytes).await
    }

    async fn grown(&self, beyond: Position, patience: Duration) {
        self.waits.fetch_add(1, Ordering::SeqCst);
        if self.is_restless.load(Ordering::SeqCst) {
            return;
        }
        let inner = Arc::clone(&self.inner.lock().unwrap());
        inner.grown(beyond, patience).await;
    }

    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError> {
        self.inner()?.begin_epoch(head).await
    }
}
