//! The log of the simulated system: decides commands and appends their events, rightly or with a
//! planted bug.

use std::collections::HashMap;

use configapi_acceptance::checkers::history::{Action, Command, Place, Receipt, Refusal};
use configapi_acceptance::checkers::log::{EpochStart, Row};
use serde_json::json;

use crate::bugs::Bug;
use configapi_acceptance::Random;

/// What one command did to one config.
#[derive(Debug, Clone)]
pub struct Moment {
    pub position: u64,
    pub value: Option<String>,
}

/// Configs by key, each with all that it ever was.
pub type Configs = HashMap<String, Vec<Moment>>;

pub struct SimulatedLog {
    pub rows: Vec<Row>,
    pub epochs: Vec<EpochStart>,
    pub configs: Configs,
    receipts: HashMap<String, Vec<Receipt>>,
    bug: Option<Bug>,
}

type Outcome = Result<Vec<Receipt>, Refusal>;

fn refusal(reason: &str, index: usize) -> Refusal {
    Refusal { reason: reason.to_owned(), command_index: Some(index) }
}

impl SimulatedLog {
    pub fn new(bug: Option<Bug>) -> Self {
        let mut genesis = Row {
            position: 0,
            version: 1,
            recorded_at_us: 0,
            part_index: 0,
            part_size: 1,
            schema_version: 1,
            stream: "$genesis".to_owned(),
            event_type: "LogStarted".to_owned(),
            request_id: None,
            payload: "{}".to_owned(),
            metadata: "{}".to_owned(),
            hash: [0; 32],
        };
        genesis.hash = genesis.hash_after([0; 32]);
        Self {
            rows: vec![genesis],
            epochs: vec![EpochStart { epoch: 1, first_position: 1 }],
            configs: Configs::new(),
            receipts: HashMap::new(),
            bug,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn head(&self) -> u64 {
        self.rows.last().unwrap().position
    }

    pub fn place(&self, position: u64) -> Place {
        Place { epoch: self.epochs.last().unwrap().epoch, position }
    }

    /// The last position at or before another where a command ends.
    pub fn border_at(&self, position: u64) -> u64 {
        let before = self.rows.iter().filter(|row| row.position <= position);
        before.rev().find(|row| row.ends_command()).unwrap().position
    }

    /// Executes a request.
    pub fn execute(
        &mut self,
        request_id: &str,
        commands: &[Command],
        stale: &Configs,
        random: &mut Random,
        now_us: u64,
    ) -> Outcome {
        if let Some(receipts) = self.receipts.get(request_id) {
            let is_forgotten = self.has(Bug::IdempotencyByTimeWindow) && random.percent(30)
                || self.has(Bug::RepeatDecidedAnew);
            if !is_forgotten {
                return Ok(receipts.clone());
            }
            if self.has(Bug::RepeatDecidedAnew) {
                self.decide(commands, None)?;
                return Ok(receipts.clone());
            }
        }
        if self.has(Bug::RefusedWithoutReason) && random.percent(5) {
            return Err(refusal("VERSION_CONFLICT", 0));
        }
        self.decide(commands, self.has(Bug::RefusedOnStaleState).then_some(stale))?;
        if self.has(Bug::HoleAfterRollback) && random.percent(2) {
            self.append_row(0, 1, "nobody", &commands[0], now_us, 1);
        }
        if self.has(Bug::GhostEvent) && random.percent(2) {
            self.append_row(0, 1, "nobody", &commands[0], now_us, 0);
        }
        let is_lost = self.has(Bug::AckBeforeCommit) && random.percent(3);
        let before = (self.rows.len(), self.configs.clone());
        let receipts = self.append(request_id, commands, random, now_us);
        if is_lost {
            self.rows.truncate(before.0);
            self.configs = before.1;
            return Ok(receipts);
        }
        self.receipts.insert(request_id.to_owned(), receipts.clone());
        if self.has(Bug::FailedButWritten) && random.percent(3) {
            return Err(Refusal { reason: "UNAVAILABLE".to_owned(), command_index: None });
        }
        if self.has(Bug::ReceiptOfANeighbour) && random.percent(3) {
            let mut wrong = receipts;
            wrong[0].place.position -= 1;
            return Ok(wrong);
        }
        Ok(receipts)
    }

    fn decide(&self, commands: &[Command], stale: Option<&Configs>) -> Result<(), Refusal> {
        for (index, command) in commands.iter().enumerate() {
            let moments =
                |configs: &Configs| configs.get(&command.key).cloned().unwrap_or_default();
            if let Some(stale) = stale {
                self.decide_one(index, command, &moments(stale))?;
            }
            self.decide_one(index, command, &moments(&self.configs))?;
        }
        Ok(())
    }

    fn decide_one(&self, index: usize, asked: &Command, was: &[Moment]) -> Result<(), Refusal> {
        let is_live = was.last().is_some_and(|last| last.value.is_some());
        let is_ignored = self.has(Bug::ExpectedVersionNotCompared);
        if !is_ignored && asked.expected_version.is_some_and(|it| it != was.len() as u64) {
            return Err(refusal("VERSION_CONFLICT", index));
        }
        let broken = match &asked.action {
            Action::Set(_) if !was.is_empty() && !is_live => "CONFIG_DELETED",
            Action::Delete | Action::RestoreLast | Action::RestoreVersion(_) if was.is_empty() => {
                "CONFIG_NOT_FOUND"
            }
            Action::Delete if !is_live => "CONFIG_ALREADY_DELETED",
            Action::RestoreLast if is_live => "RESTORE_REFUSED",
            Action::RestoreVersion(version) => {
                let past = usize::try_from(*version).unwrap().checked_sub(1);
                let past = past.and_then(|at| was.get(at)).and_then(|it| it.value.as_ref());
                if past.is_some() { "" } else { "RESTORE_REFUSED" }
            }
            _ => "",
        };
        let is_let_pass = broken == "CONFIG_DELETED" && self.has(Bug::SetBringsBackDeleted);
        if broken.is_empty() || is_let_pass { Ok(()) } else { Err(refusal(broken, index)) }
    }

    fn append(
        &mut self,
        request_id: &str,
        commands: &[Command],
        random: &mut Random,
        now_us: u64,
    ) -> Vec<Receipt> {
        let size = commands.len();
        let is_halved = size > 1 && self.has(Bug::HalfAnApply) && random.percent(10);
        let written = if is_halved { size / 2 } else { size };
        let mut receipts = Vec::new();
        for (index, command) in commands[..written].iter().enumerate() {
            receipts.push(self.append_row(index, size, request_id, command, now_us, 0));
        }
        receipts
    }

    fn append_row(
        &mut self,
        index: usize,
        size: usize,
        request_id: &str,
        command: &Command,
        now_us: u64,
        hole: u64,
    ) -> Receipt {
        let was = self.configs.entry(command.key.clone()).or_default();
        let old_value = was.last().and_then(|last| last.value.clone());
        let restored = |version: usize| {
            let value = was.get(version.wrapping_sub(1)).and_then(|it| it.value.clone());
            let payload = json!({
                "value": value, "old_value": old_value, "restored_version": version
            });
            (value, "ConfigValueRestored", payload)
        };
        let (value, event_type, payload) = match &command.action {
            Action::Set(value) => {
                let payload = json!({ "value": value, "old_value": old_value });
                (Some(value.clone()), "ConfigValueSet", payload)
            }
            Action::Delete => (None, "ConfigValueDeleted", json!({ "deleted_value": old_value })),
            Action::RestoreLast => restored(was.len().saturating_sub(1)),
            Action::RestoreVersion(version) => restored(usize::try_from(*version).unwrap()),
        };
        let last = self.rows.last().unwrap();
        let is_early = self.bug == Some(Bug::ClockStepsBack) && now_us.is_multiple_of(29);
        let now_us = i64::try_from(now_us).unwrap();
        let mut row = Row {
            position: last.position + 1 + hole,
            version: was.len() as u64 + 1,
            recorded_at_us: if is_early { now_us - 5_000 } else { now_us },
            part_index: u32::try_from(index).unwrap(),
            part_size: u32::try_from(size).unwrap(),
            schema_version: 1,
            stream: command.key.clone(),
            event_type: event_type.to_owned(),
            request_id: (index == 0).then(|| request_id.to_owned()),
            payload: payload.to_string(),
            metadata: json!({ "request_id": request_id }).to_string(),
            hash: [0; 32],
        };
        row.hash = row.hash_after(last.hash);
        was.push(Moment { position: row.position, value });
        let receipt = Receipt {
            key: row.stream.clone(),
            version: row.version,
            place: self.place(row.position),
            hash: row.hash_text(),
        };
        self.rows.push(row);
        receipt
    }

    /// A standby takes over that has not seen the last commands. Tells whether any were lost.
    pub fn lose_tail(&mut self, random: &mut Random) -> bool {
        let head = self.border_at(self.head().saturating_sub(1 + random.below(12)));
        if head == 0 || head == self.head() {
            return false;
        }
        self.rows.retain(|row| row.position <= head);
        truncate(&mut self.configs, head);
        self.receipts.retain(|_, it| it.iter().all(|receipt| receipt.place.position <= head));
        if self.bug != Some(Bug::UnannouncedLossOfTheTail) {
            let epoch = self.epochs.last().unwrap().epoch + 1;
            self.epochs.push(EpochStart { epoch, first_position: head + 1 });
        }
        true
    }
}

/// Forgets what happened after a position.
pub fn truncate(configs: &mut Configs, head: u64) {
    for moments in configs.values_mut() {
        moments.retain(|moment| moment.position <= head);
    }
    configs.retain(|_, moments| !moments.is_empty());
}
