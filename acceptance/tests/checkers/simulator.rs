//! A whole system in one thread, with a clock of its own: writers, readers and watchers whose calls
//! overlap, a log, and two read servers. Without a planted bug everything it does is right.

use configapi_acceptance::checkers::Evidence;
use configapi_acceptance::checkers::history::{
    Action, Command, History, Place, Read, Receipt, Selection, Wish, Write, WriteOutcome,
};
use configapi_acceptance::checkers::log::Log;

use crate::bugs::Bug;
use crate::simulated_log::SimulatedLog;
use crate::simulated_replica::Replica;
use crate::simulated_watch::Watcher;
use configapi_acceptance::Random;

const WRITERS: u32 = 5;
const READERS: u32 = 5;
const WATCHERS: u32 = 3;
const STEPS: u32 = 4_000;
const KEYS: u64 = 6;

enum Writer {
    Idle,
    Early(Write),
    Sent(Write),
    Done(Write),
}

enum Reader {
    Idle,
    Sent(Read, usize),
    Done(Read),
}

pub struct World {
    pub random: Random,
    pub bug: Option<Bug>,
    pub now_us: u64,
    pub log: SimulatedLog,
    pub replicas: [Replica; 2],
    pub history: History,
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    seen: Vec<Place>,
    late: Vec<Write>,
    acknowledged: Vec<Receipt>,
    requests: u64,
}

/// Runs the system for a while. Some seeds lose the tail of the log in between.
pub fn simulate(seed: u64, bug: Option<Bug>) -> Evidence {
    let loses_tail = match bug {
        Some(
            Bug::NonInclusiveTailAcrossPromotion
            | Bug::UnannouncedLossOfTheTail
            | Bug::WatchNotToldOfTheLoss,
        ) => true,
        Some(_) => false,
        None => seed.is_multiple_of(3),
    };
    let mut world = World {
        random: Random::new(seed),
        bug,
        now_us: 1_000_000,
        log: SimulatedLog::new(bug),
        replicas: [Replica::new("one", bug), Replica::new("two", bug)],
        history: History::default(),
        writers: (0..WRITERS).map(|_| Writer::Idle).collect(),
        readers: (0..READERS).map(|_| Reader::Idle).collect(),
        seen: vec![Place { epoch: 1, position: 0 }; READERS as usize],
        late: Vec::new(),
        acknowledged: Vec::new(),
        requests: 0,
    };
    let mut watchers: Vec<Watcher> = (0..WATCHERS).map(Watcher::new).collect();
    for step in 0..STEPS {
        world.now_us += 1 + world.random.below(40);
        if loses_tail && step == STEPS / 2 {
            world.log.lose_tail(&mut world.random);
        }
        world.step(&mut watchers);
    }
    world.evidence(loses_tail && bug != Some(Bug::UnannouncedLossOfTheTail))
}

impl World {
    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn step(&mut self, watchers: &mut [Watcher]) {
        let actors = u64::from(WRITERS + READERS + WATCHERS) + 3;
        let actor = usize::try_from(self.random.below(actors)).unwrap();
        let (writers, readers) = (WRITERS as usize, READERS as usize);
        if actor < writers {
            let writer = std::mem::replace(&mut self.writers[actor], Writer::Idle);
            self.writers[actor] = self.write(actor, writer);
        } else if actor < writers + readers {
            let at = actor - writers;
            let reader = std::mem::replace(&mut self.readers[at], Reader::Idle);
            self.readers[at] = self.read(at, reader);
        } else if let Some(watcher) = watchers.get_mut(actor - writers - readers) {
            watcher.step(self);
        } else {
            self.background();
        }
    }

    /// Read servers follow, and sometimes restart; what was sent long ago arrives.
    fn background(&mut self) {
        let at = usize::try_from(self.random.below(2)).unwrap();
        let (head, applied) = (self.log.head(), self.replicas[at].applied);
        let to = applied + self.random.below(head.saturating_sub(applied) + 2);
        let Self { log, replicas, random, .. } = self;
        if random.percent(5) {
            replicas[at].restart(log, random);
        }
        replicas[at].advance(log, to.min(head), random);
        if self.random.percent(30)
            && let Some(write) = self.late.pop()
        {
            let _ = self.execute(&write);
        }
    }

    fn execute(&mut self, write: &Write) -> WriteOutcome {
        let Self { log, replicas, random, now_us, .. } = self;
        let stale = &replicas[0].configs;
        match log.execute(&write.request_id, &write.commands, stale, random, *now_us) {
            Ok(receipts) => {
                self.acknowledged.extend(receipts.last().cloned());
                WriteOutcome::Ok(receipts)
            }
            Err(refusal) => WriteOutcome::Fail(refusal),
        }
    }

    fn write(&mut self, process: usize, writer: Writer) -> Writer {
        match writer {
            Writer::Idle => {
                let mut write = self.new_write(process);
                if self.has(Bug::PositionTakenBeforeCommit) && self.random.percent(5) {
                    write.outcome = self.execute(&write);
                    return Writer::Early(write);
                }
                Writer::Sent(write)
            }
            Writer::Early(mut write) => {
                write.invoked_us = self.now_us;
                Writer::Done(write)
            }
            Writer::Sent(mut write) => {
                let chance = self.random.below(20);
                write.outcome = match chance {
                    0 | 1 => {
                        if chance == 0 {
                            let _ = self.execute(&write);
                        } else {
                            self.late.push(write.clone());
                        }
                        WriteOutcome::Unknown { reason: "OUTCOME_UNKNOWN".to_owned() }
                    }
                    _ => self.execute(&write),
                };
                Writer::Done(write)
            }
            Writer::Done(mut write) => {
                write.returned_us = self.now_us;
                let repeat = Write { invoked_us: self.now_us + 1, ..write.clone() };
                let is_worth_it = !matches!(write.outcome, WriteOutcome::Fail(_));
                self.history.writes.push(write);
                if is_worth_it && self.random.percent(15) {
                    return Writer::Sent(repeat);
                }
                Writer::Idle
            }
        }
    }

    fn new_write(&mut self, process: usize) -> Write {
        self.requests += 1;
        let many = if self.random.percent(20) { 2 + self.random.below(3) } else { 1 };
        let first = self.random.below(KEYS);
        let commands = (0..many).map(|at| self.new_command((first + at) % KEYS)).collect();
        Write {
            process: u32::try_from(process).unwrap(),
            request_id: format!("request-{}", self.requests),
            commands,
            invoked_us: self.now_us,
            returned_us: 0,
            attempts: 1,
            outcome: WriteOutcome::Unknown { reason: String::new() },
        }
    }

    fn new_command(&mut self, key: u64) -> Command {
        let key = format!("default/k{key}");
        let was = self.log.configs.get(&key).map_or(&[][..], Vec::as_slice);
        let is_deleted = was.last().is_some_and(|last| last.value.is_none());
        let version = was.len() as u64;
        let known = self.acknowledged.iter().rev().find(|it| it.key == key);
        let action = match self.random.below(10) {
            4.. if is_deleted => Action::RestoreLast,
            0 => Action::Delete,
            1 => Action::RestoreLast,
            2 => known.map_or(Action::RestoreLast, |it| Action::RestoreVersion(it.version)),
            _ => Action::Set(format!("value-{}-{}", self.requests, self.random.below(1_000_000))),
        };
        let guess = (version + self.random.below(2)).saturating_sub(self.random.below(2));
        let expected_version = self.random.percent(30).then_some(guess);
        Command { key, expected_version, action }
    }

    fn read(&mut self, process: usize, reader: Reader) -> Reader {
        match reader {
            Reader::Idle => {
                let (read, replica) = self.new_read(process);
                Reader::Sent(read, replica)
            }
            Reader::Sent(mut read, replica) => {
                self.answer(&mut read, replica);
                Reader::Done(read)
            }
            Reader::Done(mut read) => {
                read.returned_us = self.now_us;
                let place = read.answer.as_ref().and_then(|answer| answer.place);
                match place {
                    Some(place) if read.in_session => self.seen[process] = place,
                    None => self.seen[process] = self.log.place(0),
                    Some(_) => {}
                }
                self.history.reads.push(read);
                Reader::Idle
            }
        }
    }

    fn new_read(&mut self, process: usize) -> (Read, usize) {
        let replica = usize::try_from(self.random.below(2)).unwrap();
        let key = format!("default/k{}", self.random.below(KEYS));
        let in_session = process == 0;
        let (wish, at) = match self.random.below(4) {
            _ if in_session => (Wish::AtLeast(self.seen[process]), None),
            0 => (Wish::Linearizable, None),
            1 => {
                let applied = self.replicas[replica].applied;
                let position = applied.saturating_sub(self.random.below(8));
                (Wish::Any, Some(self.log.border_at(position)))
            }
            2 => {
                let place = self.acknowledged.last().map(|receipt| receipt.place);
                (place.map_or(Wish::Any, Wish::AtLeast), None)
            }
            _ => (Wish::Any, None),
        };
        let is_all = self.random.percent(20);
        let selection =
            if is_all { Selection::Prefix("default/k".to_owned()) } else { Selection::Key(key) };
        let read = Read {
            process: u32::try_from(process).unwrap(),
            server: self.replicas[replica].name.clone(),
            selection,
            wish,
            at,
            in_session,
            invoked_us: self.now_us,
            returned_us: 0,
            answer: None,
            failure: String::new(),
        };
        (read, replica)
    }

    fn answer(&mut self, read: &mut Read, replica: usize) {
        let head = self.log.head();
        let is_stale = |bug| self.bug == Some(bug);
        let needed = match read.wish {
            Wish::Linearizable if !is_stale(Bug::StaleLinearizableRead) => head,
            Wish::AtLeast(token) => {
                let epoch = self.log.epochs.last().unwrap();
                let is_lost = token.epoch < epoch.epoch && token.position >= epoch.first_position;
                let is_false_alarm = is_stale(Bug::FalseAlarm) && self.random.percent(3);
                if is_lost || is_false_alarm || token.position > head {
                    "LOG_CHANGED".clone_into(&mut read.failure);
                    return;
                }
                let bug = if read.in_session { Bug::SessionForgotten } else { Bug::StaleTokenRead };
                if is_stale(bug) { 0 } else { token.position }
            }
            _ => 0,
        };
        if is_stale(Bug::SessionForgotten) && read.in_session {
            read.wish = Wish::Any;
        }
        let Self { log, replicas, random, .. } = self;
        let replica = &mut replicas[replica];
        // Whatever was planned, a read server first notices that the log has changed.
        let to = needed.max(replica.applied).max(read.at.unwrap_or_default()).min(head);
        replica.advance(log, to, random);
        if read.at.is_some_and(|at| at > replica.applied) {
            "UNAVAILABLE".clone_into(&mut read.failure);
            return;
        }
        let mut position = read.at.unwrap_or(replica.applied);
        let asked = position;
        if is_stale(Bug::PastAnsweredWithThePresent) && replica.name == "one" {
            position = replica.applied;
        }
        let mut answer = replica.answer(&read.selection, position, log);
        answer.place = answer.place.map(|place| Place { position: asked, ..place });
        if is_stale(Bug::ReadOfWhatIsRolledBack) && read.at.is_none() && random.percent(3) {
            answer.place = answer.place.map(|place| Place { position: head + 3, ..place });
        }
        read.answer = Some(answer);
    }

    fn evidence(mut self, tail_may_be_lost: bool) -> Evidence {
        for writer in std::mem::take(&mut self.writers) {
            if let Writer::Early(write) | Writer::Sent(write) | Writer::Done(write) = writer {
                let reason = "the run ended".to_owned();
                let outcome = WriteOutcome::Unknown { reason };
                let returned_us = self.now_us;
                self.history.writes.push(Write { outcome, returned_us, ..write });
            }
        }
        let mut rows = self.log.rows;
        if self.bug == Some(Bug::EditedPast) {
            let at = rows.len() / 2;
            rows[at].metadata = rows[at].metadata.replace('}', r#","actor":"somebody"}"#);
        }
        Evidence {
            history: self.history,
            log: Log::new(rows, self.log.epochs),
            tail_may_be_lost,
            not_recorded: None,
        }
    }
}
