//! Clients that write: one command at a time, each with a request id and values that nobody else
//! uses, repeated until its outcome is known.

use std::sync::Arc;
use std::time::Duration;

use configapi_proto::key;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::command_client::{Attempt, CommandClient};
use super::recorder::Recorder;
use crate::Random;
use crate::checkers::history::{Action, Command, Line, Refusal, Write, WriteOutcome};

/// How many configs are fought over, and how many are not.
const HOT: u64 = 10;
const COLD: u64 = 1_000;
/// When a client gives up on a command.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);
/// How many of a hundred commands that were refused for now are not sent again.
const LEAVES_PERCENT: u64 = 30;
const PAUSE_MIN_MS: u64 = 2;
const PAUSE_MAX_MS: u64 = 60;
/// How long a client thinks between two commands at most.
const THINK_MS: u64 = 8;

/// A client that writes.
pub struct Writer {
    process: u32,
    random: Random,
    clients: Vec<CommandClient>,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
    count: u64,
}

/// A config to write to or to read.
pub fn some_key(random: &mut Random) -> String {
    if random.percent(60) {
        format!("default/hot/{}", random.below(HOT))
    } else {
        format!("default/cold/{:03}", random.below(COLD))
    }
}

impl Writer {
    /// A client with a number of its own and one or more ways to send commands.
    pub fn new(
        process: u32,
        random: Random,
        clients: Vec<CommandClient>,
        recorder: Arc<Recorder>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { process, random, clients, recorder, stop, count: 0 }
    }

    /// Writes until it is stopped.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            let commands = self.some_commands();
            self.count += 1;
            let request_id = format!("writer-{}-{}", self.process, self.count);
            let outcome = self.write(&request_id, &commands).await;
            // Whoever is not sure asks again, and so does, once in a while, whoever is.
            let is_worth_it = match outcome {
                WriteOutcome::Ok(_) => self.random.percent(4),
                WriteOutcome::Unknown { .. } => true,
                WriteOutcome::Fail(_) => false,
            };
            if is_worth_it {
                self.write(&request_id, &commands).await;
            }
            sleep(Duration::from_millis(self.random.below(THINK_MS))).await;
        }
    }

    /// Sends commands until the outcome is known; tells whether they were acknowledged.
    pub async fn is_acknowledged(&mut self, request_id: &str, commands: &[Command]) -> bool {
        matches!(self.write(request_id, commands).await, WriteOutcome::Ok(_))
    }

    async fn write(&mut self, request_id: &str, commands: &[Command]) -> WriteOutcome {
        let invoked_us = self.recorder.now_us();
        let give_up_at = Instant::now() + GIVE_UP_AFTER;
        let (mut attempts, mut doubt) = (0, None);
        let mut at = self.random.index(self.clients.len());
        let outcome = loop {
            while !self.clients[at].can_send(commands) {
                at = (at + 1) % self.clients.len();
            }
            attempts += 1;
            let attempt = self.clients[at].send(request_id, commands).await;
            if let Attempt::NotNow(reason) | Attempt::Unknown(reason) = &attempt {
                self.recorder.note_failure(reason);
            }
            match attempt {
                Attempt::Ok(receipts) => break WriteOutcome::Ok(receipts),
                Attempt::Refused(refusal, error) => {
                    let actual = error.metadata.get(key::ACTUAL_VERSION);
                    self.learn(commands, &refusal, actual.and_then(|it| it.parse().ok()));
                    // The attempt before may still be on its way.
                    break match doubt {
                        Some(_) => WriteOutcome::Unknown { reason: refusal.reason },
                        None => WriteOutcome::Fail(refusal),
                    };
                }
                Attempt::Unknown(reason) => doubt = Some(reason),
                Attempt::NotNow(reason) if Instant::now() >= give_up_at || self.leaves(&reason) => {
                    break match doubt {
                        Some(reason) => WriteOutcome::Unknown { reason },
                        None => WriteOutcome::Fail(Refusal { reason, command_index: None }),
                    };
                }
                Attempt::NotNow(_) => {}
            }
            if Instant::now() >= give_up_at {
                break WriteOutcome::Unknown { reason: doubt.unwrap_or_default() };
            }
            at = (at + 1) % self.clients.len();
            let pause = PAUSE_MIN_MS + self.random.below(PAUSE_MAX_MS - PAUSE_MIN_MS);
            sleep(Duration::from_millis(pause)).await;
        };
        self.recorder.note(Line::Write(Write {
            process: self.process,
            request_id: request_id.to_owned(),
            commands: commands.to_vec(),
            invoked_us,
            returned_us: self.recorder.now_us(),
            attempts,
            outcome: outcome.clone(),
        }));
        outcome
    }

    /// Whether it takes a server at its word that nothing was written, and never asks again.
    fn leaves(&mut self, reason: &str) -> bool {
        reason == "UNAVAILABLE" && self.random.percent(LEAVES_PERCENT)
    }

    fn some_commands(&mut self) -> Vec<Command> {
        let many = if self.random.percent(15) { 2 + self.random.below(7) } else { 1 };
        let mut commands: Vec<Command> = Vec::new();
        for part in 0..many {
            let command = self.some_command(part, many > 1);
            if !commands.iter().any(|it| it.key == command.key) {
                commands.push(command);
            }
        }
        commands
    }

    fn some_command(&mut self, part: u64, is_in_apply: bool) -> Command {
        let key = some_key(&mut self.random);
        let known = self.recorder.known(&key);
        let set = Action::Set(self.some_value(part));
        let action = match self.random.below(20) {
            3.. if known.version > 0 && !known.is_live => Action::RestoreLast,
            0 | 1 if !is_in_apply => Action::Delete,
            2 => known
                .restorable
                .get(self.random.index(4))
                .map_or(set, |version| Action::RestoreVersion(*version)),
            _ => set,
        };
        let is_off = self.random.percent(15);
        let expected_version = self
            .random
            .percent(if is_in_apply { 10 } else { 30 })
            .then(|| known.version + u64::from(is_off));
        Command { key, expected_version, action }
    }

    /// A value that no other command has; some are large.
    fn some_value(&mut self, part: u64) -> String {
        let value = format!("value {} {} {part}", self.process, self.count);
        let padding = if self.random.percent(5) { self.random.index(4_000) } else { 0 };
        value + &".".repeat(padding)
    }

    /// Believes what a refusal says about a config.
    fn learn(&self, commands: &[Command], refusal: &Refusal, actual: Option<u64>) {
        let index = refusal.command_index.unwrap_or_default();
        let Some(command) = commands.get(index) else { return };
        let is_live = match refusal.reason.as_str() {
            "CONFIG_DELETED" | "CONFIG_ALREADY_DELETED" => Some(false),
            "RESTORE_REFUSED" if command.action == Action::RestoreLast => Some(true),
            _ => None,
        };
        self.recorder.correct(&command.key, actual, is_live);
    }
}
