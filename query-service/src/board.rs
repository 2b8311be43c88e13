//! Where the tailer puts the newest view and everybody else takes it from. Taking never waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use configapi_domain::{Position, Timestamp};
use configapi_event_log::{Epoch, Head, Standing, Verdict};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::metrics::QueryMetrics;
use crate::projection::{Anchor, Counts};
use crate::view::{Condition, View};

/// The newest view, and signs that pass between those who read and the one who follows the log.
#[derive(Debug)]
pub(crate) struct Board {
    view: ArcSwap<View>,
    /// Its receivers are those who wait for what is new.
    changed: watch::Sender<()>,
    /// The log was read to its end. For those who wait for no more than that.
    looked: watch::Sender<()>,
    /// For those who only mind whether the view may be served.
    turned: watch::Sender<()>,
    milestone: AtomicU64,
    passed_milestone: Notify,
    /// Somebody waits for what the log may hold already.
    poke: Notify,
    /// Somebody heard something else of the store than the tailer.
    doubted: AtomicBool,
    ending: AtomicBool,
    /// What is found of the log itself, for those who write it.
    verdict: watch::Sender<Verdict>,
    progress: Arc<Mutex<Progress>>,
    metrics: QueryMetrics,
}

/// How far the log has been read, also while nothing of it may be served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub applied: Anchor,
    pub counts: Counts,
    /// The newest position that the store told of, after the epoch that it is of: in a new epoch the
    /// log may be shorter.
    told: (Epoch, Position),
    /// Since when there is something that is not applied.
    behind_since: Option<Instant>,
    /// When the question was asked that the store has not answered, and no other since.
    unanswered_since: Option<Instant>,
    /// Whether it is known that the answer will not come.
    is_silent: bool,
}

/// A store that takes this long for an answer may never give it.
const ANSWER_MAX: Duration = Duration::from_secs(1);

impl Progress {
    /// The newest position that is known of.
    pub fn head(&self) -> Position {
        self.told.1
    }

    /// How many events are known to be missing.
    pub fn lag_events(&self) -> u64 {
        self.head().0.saturating_sub(self.applied.position.0)
    }

    /// For how long events may have been missing: since one was known of, or since the store was
    /// asked for them and gave no answer that is of use.
    pub fn lag(&self) -> Duration {
        let is_silence = |since: &Instant| self.is_silent || since.elapsed() >= ANSWER_MAX;
        let silent_since = self.unanswered_since.filter(is_silence);
        let since = [self.behind_since, silent_since].into_iter().flatten().min();
        since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

impl Board {
    pub fn new(metrics: QueryMetrics) -> Self {
        let view = View::initial();
        let progress = Progress {
            applied: view.state.anchor(),
            counts: Counts::default(),
            told: (Epoch::FIRST, Position::GENESIS),
            behind_since: None,
            unanswered_since: None,
            is_silent: false,
        };
        Self {
            view: ArcSwap::from_pointee(view),
            changed: watch::Sender::new(()),
            looked: watch::Sender::new(()),
            turned: watch::Sender::new(()),
            milestone: AtomicU64::new(u64::MAX),
            passed_milestone: Notify::new(),
            poke: Notify::new(),
            doubted: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            verdict: watch::Sender::new(Verdict::Open),
            progress: Arc::new(Mutex::new(progress)),
            metrics,
        }
    }

    /// The newest view.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Puts up a newer view and wakes all who wait for one.
    pub fn publish(&self, view: View) {
        self.metrics.published(&view);
        let position = view.position().0;
        let before = self.view.swap(Arc::new(view));
        self.changed.send_replace(());
        if before.condition != self.view.load().condition {
            self.turned.send_replace(());
        }
        if position >= self.milestone.load(Ordering::SeqCst) {
            self.passed_milestone.notify_one();
        }
    }

    /// Says what is found of the log.
    pub fn judge(&self, verdict: Verdict) {
        self.verdict.send_if_modified(|known| {
            let is_new = *known != verdict;
            *known = verdict;
            is_new
        });
    }

    /// What is found of the log, from now on.
    pub fn verdict(&self) -> watch::Receiver<Verdict> {
        self.verdict.subscribe()
    }

    /// The same state under another condition.
    pub fn set_condition(&self, condition: Condition) {
        let view = self.view();
        if view.condition != condition {
            self.publish(View { condition, ..(*view).clone() });
        }
    }

    /// Signs of newer views, and of the end. To be taken before the view that is compared with.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether anybody waits for what is new.
    pub fn is_awaited(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    /// Signs that the log was read to its end. To be taken before the view that is compared with.
    pub fn looks(&self) -> watch::Receiver<()> {
        self.looked.subscribe()
    }

    /// The log was asked, and the newest view is all that was recorded by this time.
    pub fn saw_end(&self, view: &View, whole_until: Timestamp) {
        view.whole_until.note(whole_until);
        self.looked.send_replace(());
    }

    /// Signs that a view may be served, or no longer.
    pub fn turns(&self) -> watch::Receiver<()> {
        self.turned.subscribe()
    }

    /// Waits until a view is put up that holds this position. For one who waits.
    pub async fn reaches(&self, position: Position) {
        self.milestone.store(position.0, Ordering::SeqCst);
        if self.view().position() < position {
            self.passed_milestone.notified().await;
        }
    }

    /// Asks the tailer to look at once.
    pub fn poke(&self) {
        self.poke.notify_one();
    }

    /// Waits until somebody pokes.
    pub async fn poked(&self) {
        self.poke.notified().await;
    }

    /// From now on nothing new is waited for.
    pub fn begin_end(&self) {
        self.ending.store(true, Ordering::Release);
        self.changed.send_replace(());
    }

    /// Whether the server is about to end.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// How far the log has been read.
    pub fn progress(&self) -> Progress {
        *lock(&self.progress)
    }

    /// The lag, for whoever scrapes metrics.
    pub fn lag(&self) -> Lag {
        Lag(Arc::clone(&self.progress))
    }

    /// So much has been applied.
    pub fn applied(&self, applied: Anchor, counts: Counts) {
        self.note(|progress| {
            progress.applied = applied;
            progress.counts = counts;
        });
    }

    /// All that was applied is worth nothing any more, and neither is what was known of the head.
    pub fn forgot_all(&self, nothing: Anchor) {
        self.note(|progress| {
            progress.applied = nothing;
            progress.counts = Counts::default();
            progress.told = (Epoch::FIRST, Position::GENESIS);
        });
    }

    /// The tailer is about to ask the store something.
    pub fn asks(&self) {
        lock(&self.progress).unanswered_since.get_or_insert_with(Instant::now);
    }

    /// The tailer has no question that is not answered.
    pub fn is_answered(&self) {
        let mut progress = lock(&self.progress);
        progress.unanswered_since = None;
        progress.is_silent = false;
    }

    /// The tailer heard from the store, which told of this position.
    pub fn heard_of(&self, epoch: Epoch, head: Position) {
        self.note(|progress| {
            progress.told = progress.told.max((epoch, head));
            progress.unanswered_since = None;
            progress.is_silent = false;
        });
    }

    /// A reader asked the store, which told of this.
    pub fn asked_for_head(&self, told: &Standing) {
        self.metrics.head_questions.inc();
        let Head { epoch, position, .. } = told.head;
        self.note(|progress| progress.told = progress.told.max((epoch, position)));
        if told.is_standby != self.view().log.is_standby {
            self.doubted.store(true, Ordering::Release);
            self.poke();
        }
    }

    /// Whether what is known of the store may not be true any more. Asked once, it is forgotten.
    pub fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::AcqRel)
    }

    /// The store did not answer.
    pub fn heard_nothing(&self) {
        self.note(|progress| {
            progress.unanswered_since.get_or_insert_with(Instant::now);
            progress.is_silent = true;
        });
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = lock(&self.progress);
        change(&mut progress);
        progress.behind_since = match (progress.lag_events(), progress.behind_since) {
            (0, _) => None,
            (_, Some(since)) => Some(since),
            (_, None) => Some(Instant::now()),
        };
        self.metrics.progress(&progress);
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lag as a metric. It is found when somebody asks, so that it grows while nothing happens.
#[derive(Debug)]
pub(crate) struct Lag(Arc<Mutex<Progress>>);

impl Lag {
    /// For how long events may have been missing.
    pub fn now(&self) -> Duration {
        lock(&self.0).lag()
    }
}
