//! How fresh a read must be, and the wait for it: bounded by the caller's deadline, answered with
//! how far the server is when time runs out. It never answers older than was asked.

mod heads;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::{Epoch, EventLog, Head};
use configapi_proto::{ApiError, Token, timestamp_from_micros};
use tokio::time::{Instant, timeout_at};

use self::heads::{HeadRounds, Untold};
use self::wish::log_changed;
pub(crate) use self::wish::{Wish, parse_token};
use crate::board::Board;
use crate::clock;
use crate::limits::Limits;
use crate::view::View;

/// The most that is kept back from a deadline for the way of the answer to the caller.
const ANSWER_MARGIN_MAX: Duration = Duration::from_millis(200);
/// What those are told who wait when the end begins.
const SHUTTING_DOWN: &str = "the server is shutting down";

/// Gives readers a view that is as fresh as they wish.
#[derive(Debug)]
pub(crate) struct Freshness {
    board: Arc<Board>,
    heads: HeadRounds,
    wait_max: Duration,
}

impl Freshness {
    pub fn new(board: Arc<Board>, limits: &Limits) -> Self {
        Self { board, heads: HeadRounds::new(limits.question_max), wait_max: limits.wait_max }
    }

    /// Asks the store for its head whenever a reader wants to know. Runs for ever.
    pub async fn ask_for_heads(&self, log: &dyn EventLog) {
        self.heads.serve(log, &self.board).await;
    }

    /// A view that fulfils all wishes.
    pub async fn view(
        &self,
        wishes: &[Wish],
        deadline: Option<Instant>,
    ) -> Result<Arc<View>, ApiError> {
        let view = self.board.view();
        if is_fulfilled(&view, wishes)? {
            return Ok(view);
        }
        self.wait(wishes, deadline).await
    }

    async fn wait(
        &self,
        wishes: &[Wish],
        deadline: Option<Instant>,
    ) -> Result<Arc<View>, ApiError> {
        let now = Instant::now();
        let deadline = deadline.unwrap_or(now + self.wait_max);
        let margin = (deadline.saturating_duration_since(now) / 10).min(ANSWER_MARGIN_MAX);
        let last_moment = deadline.checked_sub(margin).unwrap_or(deadline);
        match timeout_at(last_moment, self.fulfil(wishes)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(not_in_time(&self.board.view(), wishes)),
        }
    }

    async fn fulfil(&self, wishes: &[Wish]) -> Result<Arc<View>, ApiError> {
        let mut changes = self.board.changes();
        let mut looks = self.board.looks();
        let mut wishes = wishes.to_vec();
        for wish in &mut wishes {
            match *wish {
                Wish::Linearizable => *wish = Wish::Head(self.head().await?),
                Wish::Token(token) => self.refuse_unknown_epoch(token).await?,
                Wish::Time(time) => *wish = Wish::TimeAsked { time, asked_at: clock::now() },
                Wish::Any | Wish::TimeAsked { .. } | Wish::Position(_) | Wish::Head(_) => {}
            }
        }
        let mut is_look_wanted = true;
        loop {
            let view = self.board.view();
            if is_fulfilled(&view, &wishes)? {
                return Ok(view);
            }
            if self.board.is_ending() {
                return Err(view.unavailable(SHUTTING_DOWN));
            }
            if is_look_wanted {
                self.board.poke();
            }
            // The board lives as long as this, so its signs do not end. After a look that told of too
            // little, as one at a standby may, the next one comes without asking.
            is_look_wanted = tokio::select! {
                _ = changes.changed() => true,
                // Who waits for nothing else must not make the tailer look without a pause.
                _ = looks.changed(), if is_time_awaited(&view, &wishes) => false,
            };
        }
    }

    /// The head of the log, told by the one who takes the writes. What is known of the store from
    /// before does not count: it may have become a standby since, or be one no longer.
    async fn head(&self) -> Result<Head, ApiError> {
        let known = self.servable_epoch()?;
        let standing = self.heads.ask().await.map_err(|untold| match untold {
            Untold::ByStore(why) => {
                tracing::debug!(reason = %why, "a linearizable read was refused");
                self.board.view().unavailable("the store did not tell its head")
            }
            Untold::Ended => self.board.view().unavailable(SHUTTING_DOWN),
        })?;
        if standing.is_standby {
            return Err(self.board.view().unavailable(
                "this server reads from a standby, or from one that was promoted and where no command \
                 server has begun an epoch yet; it cannot know what was acknowledged last; ask for a \
                 token instead of a linearizable read",
            ));
        }
        // One that was left behind when that epoch began ends where nobody writes any more.
        if standing.head.epoch < known {
            return Err(self.board.view().unavailable("the store told its head in an older epoch"));
        }
        Ok(standing.head)
    }

    /// The epoch of the log that is being served.
    fn servable_epoch(&self) -> Result<Epoch, ApiError> {
        let view = self.board.view();
        view.check()?;
        Ok(view.log.lineage.current())
    }

    /// A token of a later epoch than the store has is from another log.
    async fn refuse_unknown_epoch(&self, token: Token) -> Result<(), ApiError> {
        if token.epoch <= self.board.view().log.lineage.current().0 {
            return Ok(());
        }
        match self.head().await {
            Ok(head) if head.epoch.0 < token.epoch => Err(log_changed(token)),
            // A standby, or a store that cannot be asked, may get there yet.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Whether it matters that the log is read once more, even if it holds no more.
fn is_time_awaited(view: &View, wishes: &[Wish]) -> bool {
    wishes.iter().any(|wish| match wish {
        Wish::Time(time) => !view.is_whole_at(*time),
        Wish::TimeAsked { time, asked_at } => !view.is_whole_for(*time, *asked_at),
        _ => false,
    })
}

fn not_in_time(view: &View, wishes: &[Wish]) -> ApiError {
    if !is_time_awaited(view, wishes) {
        return view
            .unavailable("the server did not become as fresh as wished before the deadline");
    }
    let until = timestamp_from_micros(view.known_until().0);
    view.unavailable(format!(
        "the log has been read up to {until}, and may hold more that was recorded by the time asked \
         for; the server did not get to know before the deadline"
    ))
}

fn is_fulfilled(view: &View, wishes: &[Wish]) -> Result<bool, ApiError> {
    view.check()?;
    for wish in wishes {
        if !wish.is_fulfilled(view)? {
            return Ok(false);
        }
    }
    Ok(true)
}
