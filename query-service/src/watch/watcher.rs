//! One watcher: a state machine that makes the next frame when its client is ready to take it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use configapi_domain::{ConfigKey, Position};
use configapi_event_log::Epoch;
use configapi_proto::v1::{ReadState, WatchResponse};
use configapi_proto::{ApiError, Reason, Token, key};
use configapi_runtime::failpoints::Failpoint;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use super::scan::{Cursor, initial, scan};
use super::seat::Seat;
use crate::core::Core;
use crate::failpoints::{BEFORE_PROGRESS, BEFORE_SEND};
use crate::queries::Selection;
use crate::view::{LogFacts, View};
use crate::wire::{Answer, Encoded, Message, STATE_BYTES, Sink};

/// The frames of one watch.
pub(crate) type FrameStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

type Frame = Encoded<WatchResponse>;

// The kinds of frames, by their field in `WatchResponse`.
const STARTED: u32 = 3;
const INITIAL_CONFIGS: u32 = 4;
const INITIAL_STATE_COMPLETE: u32 = 5;
const EVENTS: u32 = 6;
const PROGRESS: u32 = 7;

/// Where a watch begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// With the configs as they are.
    Initial,
    /// With the events after this.
    After(Cursor),
}

/// One watch. It holds no events and no state, only its place in the log: a client that takes its time
/// keeps nothing in memory that the server has dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    core: Arc<Core>,
    selection: Selection,
    interval: Duration,
    changes: watch::Receiver<()>,
    /// The log that the cursor is a place in.
    log: Arc<LogFacts>,
    generation: u64,
    cursor: Cursor,
    /// The place when the last frame was made. What does not match is gone over without a word.
    told: Cursor,
    stage: Stage,
    timer: Pin<Box<Sleep>>,
    _seat: Seat,
}

#[derive(Debug)]
enum Stage {
    /// Nothing was sent yet.
    Beginning { with: About, with_initial_state: bool },
    /// The initial state is being sent: that of the cursor's place.
    Initial { after: Option<ConfigKey>, sent: u64, is_sent: bool },
    /// Events are being sent.
    Following,
    /// The last word was said.
    Ended,
}

/// How long a stream is silent whose client hears of it in this interval: frames take a while.
fn pause(interval: Duration) -> Duration {
    interval * 9 / 10
}

impl Watcher {
    pub fn new(
        core: Arc<Core>,
        seat: Seat,
        selection: Selection,
        interval: Duration,
        view: &View,
        start: Start,
    ) -> Self {
        let (cursor, with_initial_state) = match start {
            Start::Initial => (Cursor::after(view.position()), true),
            Start::After(cursor) => (cursor, false),
        };
        let changes = core.board.changes();
        // From now on events are waited for.
        core.board.poke();
        Self {
            selection,
            interval,
            changes,
            log: Arc::clone(&view.log),
            generation: view.generation,
            cursor,
            told: cursor,
            stage: Stage::Beginning { with: About::of(view), with_initial_state },
            timer: Box::pin(sleep_until(Instant::now() + pause(interval))),
            core,
            _seat: seat,
        }
    }

    /// The frames, each made when it is asked for.
    pub fn into_stream(self) -> FrameStream {
        Box::pin(stream::unfold(self, async |mut watcher| {
            if matches!(watcher.stage, Stage::Ended) {
                return None;
            }
            let frame = watcher.next().await;
            match &frame {
                Ok(_) => {
                    watcher.told = watcher.cursor;
                    watcher.timer.as_mut().reset(Instant::now() + pause(watcher.interval));
                }
                Err(_) => watcher.stage = Stage::Ended,
            }
            Some((frame.map_err(Status::from), watcher))
        }))
    }

    async fn next(&mut self) -> Result<Frame, ApiError> {
        match &self.stage {
            Stage::Beginning { with, with_initial_state } => {
                let next = if *with_initial_state {
                    Stage::Initial { after: None, sent: 0, is_sent: false }
                } else {
                    Stage::Following
                };
                let started = self.frame(STARTED, with);
                self.stage = next;
                Ok(started)
            }
            Stage::Initial { .. } => self.next_initial().await,
            Stage::Following | Stage::Ended => self.follow().await,
        }
    }

    async fn next_initial(&mut self) -> Result<Frame, ApiError> {
        loop {
            let view = self.check()?;
            let at = self.cursor.seen;
            let Stage::Initial { after, sent, is_sent } = &mut self.stage else {
                return self.follow().await;
            };
            if *is_sent {
                let complete = About { configs: *sent, ..About::up_to(&view, at) };
                self.stage = Stage::Following;
                return Ok(self.frame(INITIAL_STATE_COMPLETE, &complete));
            }
            let limits = &self.core.limits;
            let part = initial(&view.state, at, after.as_ref(), &self.selection, limits);
            *is_sent = part.after.is_none();
            *after = part.after;
            *sent += part.configs.count() as u64;
            if part.configs.count() > 0 {
                return Ok(self.frame(INITIAL_CONFIGS, &part.configs));
            }
            // Nothing but deleted configs; others get their turn before more are looked at.
            tokio::task::yield_now().await;
        }
    }

    async fn follow(&mut self) -> Result<Frame, ApiError> {
        loop {
            self.changes.mark_unchanged();
            let view = self.check()?;
            if view.position() > self.cursor.seen {
                let limits = &self.core.limits;
                let found = scan(&view.state, self.cursor, &self.selection, limits);
                if found.events.count() > 0 {
                    self.pass(BEFORE_SEND).await?;
                }
                self.cursor = found.cursor;
                if found.events.count() > 0 {
                    return Ok(self.frame(EVENTS, &found.events));
                }
                if view.position() > self.cursor.seen && Instant::now() < self.timer.deadline() {
                    // Nothing matched so far; others get their turn before more is looked at.
                    tokio::task::yield_now().await;
                    continue;
                }
            }
            tokio::select! {
                biased;
                () = self.timer.as_mut() => {
                    self.pass(BEFORE_PROGRESS).await?;
                    // Not the view's own place: more of it may be left to look at.
                    let reached = self.cursor.safe.min(view.position());
                    return Ok(self.frame(PROGRESS, &About::up_to(&view, reached)));
                }
                // The board lives as long as the core, so its signs do not end.
                _ = self.changes.changed() => {}
            }
        }
    }

    async fn pass(&self, point: Failpoint) -> Result<(), ApiError> {
        let passed = point.pass().await;
        passed.map_err(|error| self.ended(ApiError::new(Reason::Unavailable, error.to_string())))
    }

    /// The newest view, if the watch can go on in it.
    fn check(&mut self) -> Result<Arc<View>, ApiError> {
        let view = self.core.board.view();
        if view.generation != self.generation || view.log.lineage != self.log.lineage {
            // All that was looked at, for half an Apply that was sent must not be followed by the other
            // half of another one.
            if !self.still_holds(&view, self.cursor.seen) {
                self.go_back(&view)?;
            }
            self.generation = view.generation;
            self.log = Arc::clone(&view.log);
        }
        view.check().map_err(|error| self.ended(error))?;
        if self.core.board.is_ending() {
            let message = "the server is shutting down; go on from the token on another one";
            return Err(self.ended(ApiError::new(Reason::Unavailable, message)));
        }
        Ok(view)
    }

    /// Whether what the cursor went over up to a position is in the log of this view. Where a state was
    /// dropped without a new epoch, nothing tells, so it is not.
    fn still_holds(&self, view: &View, position: Position) -> bool {
        let before = self.log.lineage.current();
        let is_told = view.generation == self.generation || view.log.lineage.current() > before;
        is_told
            && view.log.log_id == self.log.log_id
            && view.log.lineage.still_holds(before, position)
    }

    /// Goes back to where the client was told to be, if that is still there and nothing beyond it was sent:
    /// then what was gone over since, and is lost, is nothing that the client asked for.
    fn go_back(&mut self, view: &View) -> Result<(), ApiError> {
        let is_whole = self.told.seen == self.told.safe;
        if !is_whole || !self.still_holds(view, self.told.safe) {
            return Err(self.lost(view));
        }
        self.cursor = self.told;
        Ok(())
    }

    /// The end of a watch that has told what is gone. If that is a part of an Apply and all before it is still
    /// there, it is no more than a stream that broke: its client forgets the part and goes on.
    fn lost(&self, view: &View) -> ApiError {
        let message = "the log no longer holds what this watch has seen; begin anew";
        let error = ApiError::new(Reason::LogChanged, message);
        let Some(token) = self.token() else { return error };
        let told = Token { position: self.told.safe.0, ..token };
        if !self.still_holds(view, self.told.safe) {
            return error.with_metadata(key::LOST_TOKEN, told);
        }
        let message = "the log lost a change that was told in part; go on from the token";
        ApiError::new(Reason::Unavailable, message).with_metadata(key::TOKEN, told)
    }

    fn ended(&self, mut error: ApiError) -> ApiError {
        error.metadata.remove(key::TOKEN);
        match self.token() {
            Some(token) => error.with_metadata(key::TOKEN, token),
            None => error,
        }
    }

    /// Where the watch can be resumed; none before the initial state is complete.
    fn token(&self) -> Option<Token> {
        let is_initial = matches!(
            self.stage,
            Stage::Initial { .. } | Stage::Beginning { with_initial_state: true, .. }
        );
        let Epoch(epoch) = self.log.lineage.current();
        (!is_initial).then_some(Token { epoch, position: self.cursor.safe.0 })
    }

    fn frame(&self, kind: u32, content: &impl Message) -> Frame {
        let token = self.token();
        Answer::with_capacity(STATE_BYTES)
            .number(1, token.map_or(Position::GENESIS.0, |token| token.position))
            .text(2, &token.map(|token| token.to_string()).unwrap_or_default())
            .message(kind, content)
            .finish()
    }
}

/// What the frames that hold no items say: which state they are about, and how many configs were
/// sent, if any were.
#[derive(Debug)]
struct About {
    state: ReadState,
    configs: u64,
}

impl About {
    fn of(view: &View) -> Self {
        Self::up_to(view, view.position())
    }

    /// About the state at a position that the view holds.
    fn up_to(view: &View, position: Position) -> Self {
        Self { state: view.read_state(position), configs: 0 }
    }
}

impl Message for About {
    fn write(&self, out: &mut Vec<u8>) {
        out.message(1, &self.state);
        out.number(2, self.configs);
    }
}

#[cfg(test)]
mod tests {
    use configapi_proto::v1::{WatchRequest, watch_request};
    use futures_util::StreamExt as _;

    use super::*;
    use crate::limits::Limits;
    use crate::metrics::QueryMetrics;
    use crate::view::Condition;

    #[tokio::test]
    async fn a_client_that_takes_its_time_holds_no_state_that_was_dropped() {
        let core = Arc::new(Core::new(Limits::default(), QueryMetrics::default()));
        core.board.set_condition(Condition::Serving);
        let initial = watch_request::InitialState::default();
        let start = Some(watch_request::Start::InitialState(initial));
        let request = WatchRequest { start, ..WatchRequest::default() };
        let _yet_to_begin = core.watch(request.clone(), None).await.unwrap();
        let mut begun = core.watch(request, None).await.unwrap();
        begun.next().await.unwrap().unwrap();

        // As when the log lost its tail and was read anew.
        let lost = Arc::downgrade(&core.board.view());
        core.board.publish(View {
            condition: Condition::Serving,
            generation: 1,
            ..View::initial()
        });
        assert!(lost.upgrade().is_none(), "all of it is in memory still");
    }
}
