//! Waking those who wait for the log to grow. Polling is the truth; notifications make it fast and
//! polling rare. Runs only while somebody waits, and never decides anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Hash, Page, PageLimit};
use sqlx::postgres::{PgArguments, PgListener, PgPoolOptions};
use sqlx::{Acquire, Connection, PgPool, Row};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::ahead::Ahead;
use crate::append::CHANNEL;
use crate::dial::Dialer;
use crate::hint::Hints;
use crate::limits::{
    BACKOFF_MIN, CONNECT_BOUND, DEAF_FOR, LINGER, LISTEN_BACKOFF_MAX, LISTEN_CHECK_EVERY,
    PING_BOUND, POLL_BESIDE_NOTIFICATIONS, POLL_MAX, POLL_MIN,
};
use crate::lineage::newest_epoch;
use crate::page::Pages;
use crate::pool::Pool;
use crate::trouble::Trouble;

const HEAD_POSITION: &str = concat!(
    "SELECT position, ",
    newest_epoch!(),
    " FROM configapi.events ORDER BY position DESC LIMIT 1"
);

/// Watches the end of the log for those who wait.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    /// The task that watches, while there is one.
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    hints: Arc<Hints>,
    readers: Pool,
    dialer: Arc<Dialer>,
    pages: Arc<Pages>,
    ahead: Ahead,
    /// Asks for a look at the head now.
    look: Notify,
    /// Whether the log's last growth was heard of before a look found it.
    was_heard: AtomicBool,
    is_running: Mutex<bool>,
}

impl Watch {
    pub(crate) fn new(
        hints: Arc<Hints>,
        readers: Pool,
        dialer: Arc<Dialer>,
        pages: Arc<Pages>,
    ) -> Self {
        let shared = Shared {
            hints,
            readers,
            dialer,
            pages,
            ahead: Ahead::default(),
            look: Notify::new(),
            was_heard: AtomicBool::new(false),
            is_running: Mutex::new(false),
        };
        Self { shared: Arc::new(shared), task: Mutex::new(None) }
    }

    /// Returns when the log may have grown beyond a position, or patience ends.
    pub(crate) async fn grown(&self, beyond: Position, patience: Duration) {
        let is_first = !self.shared.hints.has_waiters();
        self.shared.ahead.stands_at(beyond);
        let mut end = self.shared.hints.subscribe();
        if !end.borrow_and_update().may_be_beyond(beyond) {
            self.run();
            if is_first && !self.shared.was_heard.load(Ordering::Acquire) {
                // Nobody has looked while nobody waited.
                self.shared.look.notify_one();
            }
        }
        let grown = end.wait_for(|end| end.may_be_beyond(beyond));
        let is_woken = timeout(patience, grown).await.is_ok();
        if is_woken {
            self.shared.hints.act_on(beyond);
        }
    }

    /// What was read ahead beyond a row.
    pub(crate) fn at_hand(&self, from: Position, hash: Hash, limit: PageLimit) -> Option<Page> {
        self.shared.ahead.take(from, hash, limit)
    }

    fn run(&self) {
        let mut is_running = lock(&self.shared.is_running);
        if !*is_running {
            *is_running = true;
            let watch = tokio::spawn(watch(Arc::clone(&self.shared)));
            *lock(&self.task) = Some(watch);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener that ends with whoever started it.
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks at the head again and again, until nobody has waited for a while.
async fn watch(shared: Arc<Shared>) {
    let mut listening = None;
    let mut pause = Duration::ZERO;
    let mut last_wait = Instant::now();
    let mut deaf_since: Option<Instant> = None;
    loop {
        let _ = timeout(pause, shared.look.notified()).await;
        if !shared.hints.has_waiters() {
            if last_wait.elapsed() > LINGER && shared.stop() {
                return;
            }
            pause = POLL_MAX;
            continue;
        }
        last_wait = Instant::now();
        if listening.is_none() && !shared.dialer.is_pooled() {
            listening = Some(Listening(tokio::spawn(listen(Arc::clone(&shared)))));
        }
        let has_grown = shared.look_at_head().await;
        if has_grown {
            shared.was_heard.store(false, Ordering::Release);
        }
        let was_heard = shared.was_heard.load(Ordering::Acquire);
        pause = next_pause(pause, has_grown, was_heard);
        deaf_since = match deaf_since {
            _ if was_heard => None,
            None if has_grown => Some(Instant::now()),
            other => other,
        };
        if has_grown && deaf_since.is_some_and(|since| since.elapsed() > DEAF_FOR) {
            // The connection may be dead without a word, or was never one that hears.
            (listening, deaf_since) = (None, None);
        }
    }
}

/// Often while the log grows, rarely when it does not, and hardly ever when it tells by itself.
fn next_pause(pause: Duration, has_grown: bool, was_heard: bool) -> Duration {
    if was_heard {
        POLL_BESIDE_NOTIFICATIONS
    } else if has_grown {
        POLL_MIN
    } else {
        (pause * 3 / 2).clamp(POLL_MIN, POLL_MAX)
    }
}

impl Shared {
    /// Answers whether the log has grown unheard. A store that cannot be asked has told nothing.
    async fn look_at_head(&self) -> bool {
        let looking = self.readers.reading(|lease| {
            Box::pin(async move {
                let rows = lease.fetch(HEAD_POSITION, PgArguments::default()).await?;
                let Some(row) = rows.first() else { return Ok(None) };
                let number = |at| row.try_get_unchecked::<i64, _>(at).map(i64::unsigned_abs);
                let (position, epoch) = (Position(number(0)?), Epoch(number(1)?));
                lease.ensure_current(epoch)?;
                Ok(Some((epoch, position)))
            })
        });
        let end = looking.await.ok().flatten();
        end.is_some_and(|(epoch, position)| self.hints.looked(epoch, position))
    }

    /// Ends the watch, unless somebody has just begun to wait.
    fn stop(&self) -> bool {
        let mut is_running = lock(&self.is_running);
        *is_running = self.hints.has_waiters();
        !*is_running
    }
}

/// Listens for as long as the watch runs, over any number of connections.
async fn listen(shared: Arc<Shared>) {
    let mut pause = BACKOFF_MIN;
    loop {
        let began = Instant::now();
        if let Err(error) = listen_once(&shared).await {
            tracing::debug!(%error, "notifications of appends do not come; the log is polled");
        }
        shared.ahead.forget();
        shared.was_heard.store(false, Ordering::Release);
        shared.look.notify_one();
        if began.elapsed() > LISTEN_BACKOFF_MAX {
            pause = BACKOFF_MIN;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LISTEN_BACKOFF_MAX);
    }
}

/// Listens until the connection ends.
async fn listen_once(shared: &Shared) -> Result<(), Trouble> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_BOUND)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(shared.dialer.session_options());
    let begun = timeout(CONNECT_BOUND, begin_listening(shared, &pool)).await;
    let mut listener = begun.unwrap_or_else(|_| Err(Trouble::timed_out("listening")))?;
    // What was appended before we listened is found by a look.
    shared.look.notify_one();
    let mut check = interval(LISTEN_CHECK_EVERY);
    loop {
        let received = tokio::select! {
            biased;
            // Nothing else is sure to find out: what wakes us by other ways hides that this one is dead.
            _ = check.tick() => {
                let asked = timeout(PING_BOUND, listener.acquire().await?.ping()).await;
                asked.map_err(|_| Trouble::timed_out("listening"))??;
                continue;
            }
            received = listener.try_recv() => received?,
        };
        let Some(notification) = received else { return Ok(()) };
        shared.was_heard.store(true, Ordering::Release);
        if let Ok(position) = notification.payload().parse() {
            let told = Position(position);
            if shared.hints.has_waiters() {
                shared.ahead.read(&mut listener, told, shared.pages.row_bytes()).await?;
            }
            shared.hints.hear(told);
        }
    }
}

async fn begin_listening(shared: &Shared, pool: &PgPool) -> Result<PgListener, Trouble> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    shared.dialer.admit(listener.acquire().await?).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
