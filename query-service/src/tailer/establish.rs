//! Whose log it is, where to go on reading it, and what to do when it is no longer what it was.

use std::path::Path;
use std::sync::Arc;

use configapi_domain::Position;
use configapi_event_log::{
    Epoch, GENESIS_STREAM, Hash, LogError, PageLimit, Reach, StoredEvent, Verdict, in_time,
    verify_link,
};

use super::Tailer;
use super::trouble::Trouble;
use crate::projection::{Anchor, Projector, State};
use crate::snapshot::{self, Candidate, Listing, SnapshotDir, SnapshotError, Unseen};
use crate::view::{Condition, LogFacts, View, WholeUntil};

impl Tailer {
    /// Makes sure that it is known whose log it is, and that there is a place to go on from.
    pub(super) async fn establish(&mut self) -> Result<(Arc<LogFacts>, Anchor), Trouble> {
        if self.board.take_doubt() {
            self.facts = None;
        }
        if let (Some(facts), Some(anchor)) = (&self.facts, self.anchor()) {
            return Ok((Arc::clone(facts), anchor));
        }
        let patience = self.limits.question_max;
        let identity = in_time(patience, self.log.identity()).await?;
        let head = in_time(patience, self.log.head()).await?;
        let facts = Arc::new(LogFacts::from(identity));
        if let Some(trouble) = self.another_log(&facts) {
            return Err(trouble);
        }
        Trouble::unless_older(facts.lineage.current().min(head.epoch), self.newest_epoch)?;
        if head.epoch != facts.lineage.current() {
            return Err(Trouble::EpochChanged);
        }
        self.newest_epoch = head.epoch;
        if let Some(position) = facts.lineage.lost_by(head.position) {
            let why = format!("{}; {WAYS_OUT}", lost(position));
            return Err(Trouble::Broken { kind: "anchor_gone", why });
        }
        if !self.is_serving {
            self.target = head.position;
        }
        let anchor = match self.anchor() {
            Some(anchor) => anchor,
            None => self.begin(&facts).await?,
        };
        self.board.heard_of(head.epoch, head.position);
        self.facts = Some(Arc::clone(&facts));
        Ok((facts, anchor))
    }

    /// That this is not the log that was read before. Its positions and tokens would mean something else
    /// to whoever has some of the first one.
    fn another_log(&self, facts: &LogFacts) -> Option<Trouble> {
        let (known, found) = (self.board.view().log.log_id?, facts.log_id?);
        let why = format!(
            "the store holds log {found}, and this server has read log {known}; an operator has to \
             bring that one back or, if this one is right, start the server anew"
        );
        (known != found).then_some(Trouble::Broken { kind: "another_log", why })
    }

    /// Begins with a snapshot that the log confirms, or with nothing.
    async fn begin(&mut self, facts: &Arc<LogFacts>) -> Result<Anchor, Trouble> {
        let projector = match self.restore(facts).await? {
            Some(projector) => projector,
            None => Projector::new(self.genesis().await?),
        };
        self.board.judge(Verdict::Sound);
        let state = projector.state();
        let anchor = state.anchor();
        self.board.publish(View {
            state: State::empty(state.genesis()),
            log: Arc::clone(facts),
            condition: Condition::NotReady(Arc::clone(&self.reading)),
            whole_until: WholeUntil::at(None),
            generation: self.generation,
        });
        self.board.applied(anchor, state.counts());
        self.projector = Some(projector);
        Ok(anchor)
    }

    async fn genesis(&self) -> Result<Anchor, Trouble> {
        let (row, _) = self.row(Position::GENESIS).await?;
        let row = row.filter(|row| &*row.stream == GENESIS_STREAM).ok_or_else(|| {
            LogError::Unusable("the log does not begin with a genesis row".to_owned())
        })?;
        verify_link(Hash::ZERO, &row)
            .map_err(|error| Trouble::Broken { kind: "broken_chain", why: error.to_string() })?;
        let StoredEvent { position, hash, recorded_at, .. } = row;
        Ok(Anchor { position, hash, recorded_at })
    }

    /// The row at a position, and how much it says that there is none.
    pub(super) async fn row(
        &self,
        position: Position,
    ) -> Result<(Option<StoredEvent>, Reach), Trouble> {
        let read = self.log.read(position, PageLimit::new(1, 1));
        let page = in_time(self.limits.question_max, read).await?;
        let row = page.events.into_iter().next().filter(|row| row.position == position);
        Ok((row, page.reach))
    }

    async fn restore(&mut self, facts: &LogFacts) -> Result<Option<Projector>, Trouble> {
        let Some(dir) = self.snapshots.clone() else { return Ok(None) };
        let Listing { candidates, damaged } = list(&dir).await?;
        let there = candidates.iter().map(|it| &it.path).chain(damaged.iter().map(|it| &it.0));
        self.useless.keep_only(there);
        for (path, error) in damaged {
            if self.useless.is_news(&path, &error) {
                tracing::warn!(path = %path.display(), %error, "a snapshot is not valid");
            }
        }
        self.refuse_left_behind(&candidates, facts).await?;
        self.awaited.clear();
        for candidate in candidates {
            let position = candidate.anchor.position;
            let (row, reach) = self.row(position).await?;
            // A standby may not have got there yet; another row than this one it cannot have.
            let may_come_yet = row.is_none() && reach.may_lag();
            let is_there = row.is_some_and(|row| row.hash == candidate.anchor.hash);
            if !is_there || facts.log_id != Some(candidate.log_id) {
                if !may_come_yet && self.is_proof_of_loss(&candidate, facts).await? {
                    let position = candidate.anchor.position;
                    return Err(lost_before_the_start(&candidate, position, facts));
                }
                self.is_snapshot_told_in_time(&candidate, facts).await?;
                if self.useless.is_news(&candidate.path, &"not confirmed") {
                    let (path, position) = (candidate.path.display(), position.0);
                    tracing::warn!(%path, position, "the log does not confirm a snapshot; discarded");
                }
                if may_come_yet {
                    self.awaited.push(candidate);
                }
                continue;
            }
            // To load it may take long, and those who write need not wait for that.
            self.board.judge(Verdict::Sound);
            if let Some(projector) = self.load(&candidate).await? {
                self.cover(&dir, position);
                self.metrics.snapshot_found(candidate.bytes);
                tracing::info!(position = position.0, "going on from a snapshot");
                return Ok(Some(projector));
            }
        }
        Ok(None)
    }

    /// Remembers how much of what is being read lies in a snapshot.
    fn cover(&self, dir: &SnapshotDir, position: Position) {
        dir.cover(self.generation, position);
        self.metrics.covered(position);
    }

    /// Whether a snapshot that the log does not confirm proves that the log lost what it held: it is
    /// whole and of this log, and no epoch that began since then has ended what it holds.
    pub(super) async fn is_proof_of_loss(
        &mut self,
        candidate: &Candidate,
        facts: &LogFacts,
    ) -> Result<bool, Trouble> {
        let still_holds = facts.lineage.still_holds(candidate.epoch, candidate.anchor.position);
        if facts.log_id != Some(candidate.log_id) || !still_holds {
            return Ok(false);
        }
        self.is_whole(candidate).await
    }

    /// Refuses a store in an older epoch than a whole snapshot of its log is of: it was left behind, and may
    /// hold what was lost, even just what an older snapshot holds.
    async fn refuse_left_behind(
        &mut self,
        candidates: &[Candidate],
        facts: &LogFacts,
    ) -> Result<(), Trouble> {
        let found = facts.lineage.current();
        for candidate in candidates {
            let is_later = facts.log_id == Some(candidate.log_id) && candidate.epoch > found;
            if is_later && self.is_whole(candidate).await? {
                return Err(left_behind(candidate, found));
            }
        }
        Ok(())
    }

    /// Whether a snapshot proves something: all of it is as it was written.
    async fn is_whole(&mut self, candidate: &Candidate) -> Result<bool, Trouble> {
        // All of it is read once only, however often the log is looked at again.
        if self.proof.as_ref() != Some(candidate) {
            let Some(projector) = self.load(candidate).await? else { return Ok(false) };
            drop_aside(projector);
            self.proof = Some(candidate.clone());
        }
        Ok(true)
    }

    /// All that a snapshot holds; none if it is not as it was written.
    pub(super) async fn load(
        &mut self,
        candidate: &Candidate,
    ) -> Result<Option<Projector>, Trouble> {
        let path = candidate.path.clone();
        let shown = candidate.path.display();
        match tokio::task::spawn_blocking(move || snapshot::load(&path)).await {
            Ok(Ok(projector)) if projector.state().anchor() == candidate.anchor => {
                return Ok(Some(projector));
            }
            Ok(Ok(_)) | Err(_) => {
                if self.useless.is_news(&candidate.path, &"not usable") {
                    tracing::warn!(path = %shown, "a snapshot is not usable");
                }
            }
            Ok(Err(SnapshotError::Unopened(error))) => {
                return Err(unopened(&candidate.path, &error));
            }
            Ok(Err(error)) => {
                if self.useless.is_news(&candidate.path, &error) {
                    tracing::warn!(path = %shown, %error, "a snapshot is not valid; discarded");
                }
            }
        }
        Ok(None)
    }

    /// The log no longer holds what was applied last.
    pub(super) async fn lost_anchor(
        &mut self,
        position: Position,
        epoch: Epoch,
        may_come_yet: bool,
    ) {
        let known = self.board.view();
        if may_come_yet && epoch == known.log.lineage.current() {
            if self.facts.as_ref().is_some_and(|facts| !facts.is_standby) {
                // Then it was another one that said whose log it is.
                self.facts = None;
            }
            return self.is_silent("standby_behind", BEHIND);
        }
        // Whatever the reason is, nothing of this may be served until it is known.
        let unknown = "the log does not hold what was read from it, and it is not known yet why";
        self.is_serving = false;
        self.board.set_condition(Condition::NotReady(unknown.into()));
        let facts = match in_time(self.limits.question_max, self.log.identity())
            .await
            .map_err(Trouble::from)
        {
            Ok(identity) => LogFacts::from(identity),
            // That the anchor is gone is found out again by the next step.
            Err(Trouble::Silent { kind, why }) => {
                let told = format!("{unknown}: {why}");
                self.board.set_condition(Condition::NotReady(told.into()));
                return self.is_silent(kind, &why);
            }
            Err(_) => return,
        };
        if let Some(Trouble::Broken { kind, why }) = self.another_log(&facts) {
            return self.is_broken(kind, &why);
        }
        if facts.lineage.current() < self.newest_epoch {
            return self.is_older(facts.lineage.current(), self.newest_epoch);
        }
        let seen_in = known.log.lineage.current();
        if facts.lineage.current() > seen_in {
            match self.is_told_in_time(&facts, seen_in).await {
                Ok(()) => {}
                Err(Trouble::Broken { kind, why }) => return self.is_broken(kind, &why),
                Err(Trouble::Silent { kind, why }) => return self.is_silent(kind, &why),
                Err(_) => return,
            }
            self.newest_epoch = facts.lineage.current();
            self.metrics.trouble("anchor_gone");
            tracing::error!(position = position.0, "the log lost its tail; reading it anew");
            let why = "the log lost events that were read from it, and is being read anew";
            return self.forget(&Arc::new(facts), why);
        }
        // What was lost without a new epoch would give tokens a second meaning.
        let why = format!("{}; {WAYS_OUT}", lost(position));
        self.is_broken("anchor_gone", &why);
    }

    /// Drops all that was read, for good.
    pub(super) fn forget(&mut self, facts: &Arc<LogFacts>, why: &str) {
        self.generation += 1;
        self.is_serving = false;
        self.facts = None;
        if let Some(dir) = &self.snapshots {
            self.cover(dir, Position::GENESIS);
        }
        self.reading = why.into();
        self.began = Some(tokio::time::Instant::now());
        let nothing = View::initial().state;
        self.board.forgot_all(nothing.anchor());
        self.board.publish(View {
            state: nothing,
            log: Arc::clone(facts),
            condition: Condition::NotReady(Arc::clone(&self.reading)),
            whole_until: WholeUntil::at(None),
            generation: self.generation,
        });
        if let Some(projector) = self.projector.take() {
            drop_aside(projector);
        }
    }
}

/// What is said of a standby that will come to what was read.
pub(super) const BEHIND: &str = "the standby has not read this far yet";

/// What can be done about a log that lost something without a new epoch.
const WAYS_OUT: &str = "an operator has to bring it back or begin a new epoch";

fn lost(position: Position) -> String {
    format!("the log no longer holds the event at position {position}, and no new epoch says so")
}

/// As for a server that has read further than the log goes; this one did in an earlier life.
pub(super) fn lost_before_the_start(
    candidate: &Candidate,
    position: Position,
    facts: &LogFacts,
) -> Trouble {
    let late = facts.lineage.end_of(candidate.epoch);
    let what = match late {
        // What was appended after the loss was read by nobody who holds the snapshot.
        Some(start) => format!(
            "the log no longer holds the event at position {position} that a snapshot holds, and \
             epoch {}, which began at {}, is too late to say so: what lies before it has had two \
             meanings; an operator has to bring the lost events back",
            start.epoch, start.first_position,
        ),
        None => format!("{}; a snapshot holds it: {WAYS_OUT}", lost(position)),
    };
    let why = format!(
        "{what}, or, if the log is right as it is, delete the snapshots (CONFIGAPI_SNAPSHOT_DIR)"
    );
    Trouble::Broken { kind: "anchor_gone", why }
}

/// As for a server that has read the log in a later epoch; this one did in an earlier life.
fn left_behind(candidate: &Candidate, found: Epoch) -> Trouble {
    let why = format!(
        "the store is in epoch {found}, and the snapshot {} is of this log in epoch {}: the store was left \
         behind; lead this server to the one that took over or, if the log is right as it is, delete the \
         snapshots (CONFIGAPI_SNAPSHOT_DIR)",
        candidate.path.display(),
        candidate.epoch,
    );
    Trouble::Silent { kind: "older_epoch", why }
}

/// Dropping millions of events takes a while.
pub(super) fn drop_aside(projector: Projector) {
    tokio::task::spawn_blocking(move || drop(projector));
}

/// What may be gone on from. Not to know of a snapshot is not to have none: it may hold what the log
/// has lost.
async fn list(dir: &SnapshotDir) -> Result<Listing, Trouble> {
    let dir = dir.clone();
    let listed = tokio::task::spawn_blocking(move || dir.list()).await;
    let listed = listed.unwrap_or_else(|ended| Err(Unseen::All(std::io::Error::other(ended))));
    listed.map_err(|unseen| match unseen {
        Unseen::All(error) => Trouble::Unseen(format!(
            "the snapshots cannot be listed, and the log has to be compared with them: {error}; see \
             to their directory (CONFIGAPI_SNAPSHOT_DIR)"
        )),
        Unseen::One(path, error) => unopened(&path, &error),
    })
}

fn unopened(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::Unseen(format!(
        "the snapshot {} cannot be opened, and the log has to be compared with it: {error}; let this \
         server read it or, if the log is right as it is, delete it",
        path.display()
    ))
}
