//! What can keep the tailer from following the log, and what becomes of the readers then.

use std::sync::Arc;

use configapi_domain::Position;
use configapi_event_log::{DecodeError, Epoch, LogError, TailError, Verdict};
use configapi_runtime::failpoints::Injected;

use super::Tailer;
use crate::projection::Unfoldable;
use crate::view::Condition;

/// What is said while the store does not answer.
const UNREADABLE: &str = "the log cannot be read: ";

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The store does not answer, or not usefully. What was read stays true.
    Silent { kind: &'static str, why: String },
    /// The store is in an older epoch than was read already: one answers that was left behind.
    OlderEpoch { found: Epoch, known: Epoch },
    /// The epoch is another one by now.
    EpochChanged,
    /// The log no longer holds what was applied last, or not yet, where one answers that may lag behind
    /// and ends before it.
    AnchorGone { position: Position, epoch: Epoch, may_come_yet: bool },
    /// It is not known which snapshots there are, or what one of them is of, so the log was not compared
    /// with them.
    Unseen(String),
    /// The log is not what a log may be.
    Broken { kind: &'static str, why: String },
}

impl Trouble {
    fn broken(kind: &'static str, error: &dyn std::fmt::Display) -> Self {
        Self::Broken { kind, why: error.to_string() }
    }

    /// Refuses what a store says in an older epoch than is known. What it holds may be lost.
    pub fn unless_older(found: Epoch, known: Epoch) -> Result<(), Self> {
        if found < known { Err(Self::OlderEpoch { found, known }) } else { Ok(()) }
    }

    pub fn of_tail(error: &TailError, epoch: Epoch, may_come_yet: bool) -> Self {
        match error {
            TailError::AnchorGone { position } => {
                Self::AnchorGone { position: *position, epoch, may_come_yet }
            }
            TailError::Gap { .. } => Self::broken("gap", error),
            TailError::Torn { .. } => Self::broken("corrupt", error),
            TailError::TimeRunsBackwards { .. } => Self::broken("time_runs_backwards", error),
            TailError::Chain(_) => Self::broken("broken_chain", error),
        }
    }
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(why) => Self::Silent { kind: "unavailable", why },
            LogError::Unusable(why) => Self::Silent { kind: "unusable", why },
            LogError::Corrupt { .. } => Self::broken("corrupt", &error),
        }
    }
}

impl From<DecodeError> for Trouble {
    fn from(error: DecodeError) -> Self {
        let kind = match error {
            DecodeError::UnknownType { .. } => "unknown_type",
            DecodeError::UnknownVersion { .. } => "unknown_version",
            DecodeError::Malformed { .. } => "malformed",
        };
        Self::broken(kind, &error)
    }
}

impl From<Unfoldable> for Trouble {
    fn from(error: Unfoldable) -> Self {
        Self::broken("unfoldable", &error)
    }
}

impl From<Injected> for Trouble {
    fn from(error: Injected) -> Self {
        Self::Silent { kind: "failpoint", why: error.to_string() }
    }
}

impl Tailer {
    /// Draws the consequences of trouble, and tells of it once.
    pub(super) async fn report(&mut self, trouble: &Trouble) {
        match trouble {
            Trouble::Silent { kind, why } => self.is_silent(kind, why),
            Trouble::OlderEpoch { found, known } => self.is_older(*found, *known),
            Trouble::EpochChanged => {
                tracing::info!("the log is in another epoch; asking whose log it is");
            }
            Trouble::AnchorGone { position, epoch, may_come_yet } => {
                self.lost_anchor(*position, *epoch, *may_come_yet).await;
            }
            Trouble::Unseen(why) => self.is_uncompared(why),
            Trouble::Broken { kind, why } => self.is_broken(kind, why),
        }
    }

    /// One answers that was left behind when the log entered its newest epoch.
    pub(super) fn is_older(&mut self, found: Epoch, known: Epoch) {
        // Whose log it is has to be asked again: it may be another one altogether.
        self.facts = None;
        let why =
            format!("the store is in epoch {found}, and this server has read it in epoch {known}");
        self.is_silent("older_epoch", &why);
    }

    /// What is being served goes on being served; what is not, still is not.
    pub(super) fn is_silent(&mut self, kind: &'static str, why: &str) {
        self.metrics.trouble(kind);
        self.board.heard_nothing();
        if self.is_news(why) {
            tracing::warn!(kind, reason = %why, "the log cannot be read");
        }
        if self.has_no_worse_reason() {
            let why = format!("{UNREADABLE}{why}");
            self.board.set_condition(Condition::NotReady(why.into()));
        }
    }

    /// Whether the silence of the store is all that keeps anything from being served, but for what is still
    /// to be read. Who has never read anything has no other reason at all.
    fn has_no_worse_reason(&self) -> bool {
        let has_read_nothing = self.projector.is_none() && self.generation == 0;
        match &self.board.view().condition {
            Condition::Serving => false,
            Condition::NotReady(why) => {
                has_read_nothing || *why == self.reading || why.starts_with(UNREADABLE)
            }
        }
    }

    /// Something was read, and there is more. What is being served goes on being served.
    pub(super) fn reads_on(&self) {
        if !self.is_serving {
            self.board.set_condition(Condition::NotReady(Arc::clone(&self.reading)));
        }
    }

    /// Nothing is begun, and nothing written, before the log was compared with what is known of it.
    fn is_uncompared(&mut self, why: &str) {
        self.metrics.trouble("snapshots");
        if self.is_news(why) {
            tracing::error!(reason = %why, "the log cannot be compared with the snapshots");
        }
        self.board.set_condition(Condition::NotReady(why.into()));
    }

    /// Nothing is served any more until the log is right again. What was read is kept until then.
    pub(super) fn is_broken(&mut self, kind: &'static str, why: &str) {
        self.metrics.trouble(kind);
        if self.is_news(why) {
            tracing::error!(kind, reason = %why, "the log is broken; nothing is served any more");
        }
        self.is_serving = false;
        self.facts = None;
        self.board.judge(Verdict::Refused(why.into()));
        self.board.set_condition(Condition::NotReady(why.into()));
    }

    fn is_news(&mut self, why: &str) -> bool {
        let is_news = self.trouble.as_deref() != Some(why);
        self.trouble = Some(why.to_owned());
        is_news
    }

    /// After a step that went well.
    pub(super) fn all_is_well(&mut self) {
        self.board.judge(Verdict::Sound);
        if self.trouble.take().is_some() {
            tracing::info!("the log can be followed again");
        }
    }
}
