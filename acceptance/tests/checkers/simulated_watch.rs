//! A client of the simulated system that watches, and the part of a read server that serves it,
//! rightly or with a planted bug.

use configapi_acceptance::checkers::history::{Delivered, Frame, Place, Selection, WatchFrame};

use crate::bugs::Bug;
use crate::simulator::World;

pub struct Watcher {
    watch: u32,
    selection: Selection,
    /// The stream that is open: which read server, and up to where it has delivered.
    open: Option<(usize, u64)>,
    safe: Option<Place>,
}

impl Watcher {
    pub fn new(watch: u32) -> Self {
        let selection = if watch == 0 {
            Selection::Prefix("default/".to_owned())
        } else {
            Selection::Key(format!("default/k{watch}"))
        };
        Self { watch, selection, open: None, safe: None }
    }

    fn note(&self, world: &mut World, server: usize, frame: Frame) {
        world.history.frames.push(WatchFrame {
            watch: self.watch,
            server: world.replicas[server].name.clone(),
            selection: self.selection.clone(),
            received_us: world.now_us,
            frame,
        });
    }

    pub fn step(&mut self, world: &mut World) {
        match self.open {
            None => self.begin(world),
            Some((server, _)) if self.is_cut_off(world) => {
                self.note(world, server, Frame::Ended { reason: "LOG_CHANGED".to_owned() });
                (self.open, self.safe) = (None, None);
            }
            Some((server, _)) if world.random.percent(10) => {
                self.note(world, server, Frame::Ended { reason: "UNAVAILABLE".to_owned() });
                self.open = None;
            }
            Some((server, cursor)) => self.deliver(world, server, cursor),
        }
    }

    /// Whether what it has seen is gone with a lost tail.
    fn is_cut_off(&self, world: &World) -> bool {
        let newest = world.log.epochs.last().unwrap();
        !world.has(Bug::WatchNotToldOfTheLoss)
            && self.safe.is_some_and(|safe| {
                safe.epoch < newest.epoch && safe.position >= newest.first_position
            })
    }

    fn begin(&mut self, world: &mut World) {
        if self.is_cut_off(world) {
            self.safe = None;
        }
        let server = usize::try_from(world.random.below(2)).unwrap();
        let World { log, replicas, random, .. } = world;
        let applied = replicas[server].applied;
        replicas[server].advance(log, applied, random);
        if let Some(after) = self.safe {
            self.note(world, server, Frame::Resumed { after });
            let late = u64::from(world.has(Bug::WatchResumesOneTooLate));
            let early = u64::from(world.has(Bug::WatchResumesOneTooEarly));
            self.open = Some((server, (after.position + late).saturating_sub(early)));
            return;
        }
        let place = replicas[server].place();
        let answer = replicas[server].answer(&self.selection, place.position, log);
        self.safe = Some(place);
        self.open = Some((server, place.position));
        self.note(world, server, Frame::State(answer));
    }

    fn deliver(&mut self, world: &mut World, server: usize, cursor: u64) {
        let World { log, replicas, random, .. } = world;
        let applied = replicas[server].applied;
        replicas[server].advance(log, applied, random);
        let applied = replicas[server].applied;
        let reach = cursor + random.below(applied.saturating_sub(cursor) + 2);
        let mut to = log.border_at(reach.min(applied)).max(cursor);
        if world.has(Bug::WatchCompleteInMidCommand) && world.random.percent(20) {
            to = reach.min(applied).max(cursor);
        }
        let mut events = self.matching(world, cursor, to);
        let epoch = world.replicas[server].epoch;
        let mut complete = Place { epoch, position: to };
        let is_slow = to - cursor > 3;
        if world.has(Bug::WatchSkipsWhenSlow) && is_slow && world.random.percent(30) {
            events.pop();
        }
        if world.has(Bug::WatchOutOfOrder) && world.random.percent(20) {
            events.reverse();
        }
        if world.has(Bug::ProgressFromAnotherTask) && world.random.percent(20) {
            complete.position = applied.max(cursor);
            events.clear();
        }
        if world.has(Bug::ProgressGoesBack) && events.is_empty() && world.random.percent(20) {
            complete.position = world.log.border_at(complete.position.saturating_sub(1));
        }
        let frame = if events.is_empty() {
            Frame::Progress { complete }
        } else {
            Frame::Events { complete, events }
        };
        self.note(world, server, frame);
        self.safe = Some(complete);
        self.open = Some((server, to));
    }

    fn matching(&self, world: &mut World, after: u64, to: u64) -> Vec<Delivered> {
        let ignores_filter = world.has(Bug::WatchIgnoresItsFilter) && world.random.percent(10);
        let rows = world.log.rows.iter();
        rows.filter(|row| row.position > after && row.position <= to)
            .filter(|row| ignores_filter || self.selection.has(&row.stream))
            .map(|row| Delivered {
                key: row.stream.clone(),
                position: row.position,
                version: row.version,
                hash: row.hash_text(),
            })
            .collect()
    }
}
