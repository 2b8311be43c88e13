//! What is done to the system, as data.

use std::time::Duration;

use super::cluster::Stop;

/// Which servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of the write servers.
    Command,
    /// One of the read servers.
    Query,
    /// The gateway.
    Gateway,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 of a server, which is started again at once.
    Kill(Role),
    /// SIGTERM, and a new start.
    Restart(Role),
    /// SIGSTOP, and SIGCONT after a while.
    Freeze(Role, Duration),
    /// The database is ended and started again.
    Database(Stop),
    /// All sessions of the database are terminated, several times.
    TerminateSessions {
        /// How often.
        times: u32,
        /// With which pause.
        every: Duration,
    },
    /// A connection to the database is cut around a commit.
    CutCommit,
    /// A client's connection to a write server is cut within an answer.
    CutAnswer,
    /// A network between two is bad for a while: every pair in every way, in turn.
    Network(Duration),
    /// A server fails from inside: at every place, in every way, in turn.
    Failpoints,
    /// The database's disk is full for a while.
    FillDisk(Duration),
    /// The database waits so long for every sync, for a while.
    DelaySync {
        /// How long a sync takes.
        by: Duration,
        /// For how long.
        time: Duration,
    },
    /// The disk fails to sync what the database wrote.
    FailSync,
    /// The wall clock of a server is an hour off for a while.
    StepClock(Role, Duration),
    /// The power of the database's machine is cut: what was not synced is gone.
    CutPower,
    /// The same with a database that does not sync. That must be noticed, or nothing would be.
    CutPowerUnsynced,
    /// A write server is offered more than it can take for so long.
    Overload(Duration),
    /// An asynchronous standby that lost the tail takes over.
    PromoteStandby,
}

/// A fault, how often it strikes, and what must go on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What strikes.
    pub fault: Fault,
    /// How often; 0 is not at all.
    pub cycles: u32,
    /// How often in a short run; 0 is not at all.
    pub short_cycles: u32,
}

impl Scenario {
    const fn new(name: &'static str, fault: Fault, cycles: u32, short_cycles: u32) -> Self {
        Self { name, fault, cycles, short_cycles }
    }

    /// Whether acknowledged events may be gone, provided that the log says so.
    pub fn may_lose_tail(&self) -> bool {
        self.fault == Fault::PromoteStandby
    }
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("kill-command", Fault::Kill(Role::Command), 50, 8),
    Scenario::new("kill-query", Fault::Kill(Role::Query), 30, 6),
    Scenario::new("kill-gateway", Fault::Kill(Role::Gateway), 15, 0),
    Scenario::new("kill-database", Fault::Database(Stop::Kill), 20, 0),
    Scenario::new("database-immediate", Fault::Database(Stop::Immediate), 20, 5),
    Scenario::new("database-fast", Fault::Database(Stop::Fast), 5, 0),
    Scenario::new("commit-cut", Fault::CutCommit, 100, 15),
    Scenario::new("answer-cut", Fault::CutAnswer, 60, 0),
    Scenario::new(
        "sessions-terminated",
        Fault::TerminateSessions { times: 6, every: Duration::from_millis(500) },
        5,
        0,
    ),
    Scenario::new("freeze-command", Fault::Freeze(Role::Command, Duration::from_secs(4)), 10, 0),
    Scenario::new("freeze-query", Fault::Freeze(Role::Query, Duration::from_secs(2)), 5, 0),
    Scenario::new("restart-command", Fault::Restart(Role::Command), 10, 0),
    Scenario::new("restart-query", Fault::Restart(Role::Query), 10, 0),
    Scenario::new("network", Fault::Network(Duration::from_millis(1_200)), 42, 0),
    Scenario::new("failpoints", Fault::Failpoints, 28, 0),
    Scenario::new("disk-full", Fault::FillDisk(Duration::from_secs(2)), 6, 2),
    Scenario::new(
        "sync-slow",
        Fault::DelaySync { by: Duration::from_millis(400), time: Duration::from_secs(3) },
        5,
        0,
    ),
    Scenario::new("sync-failed", Fault::FailSync, 10, 2),
    Scenario::new(
        "clock-command",
        Fault::StepClock(Role::Command, Duration::from_millis(1_500)),
        10,
        2,
    ),
    Scenario::new("clock-query", Fault::StepClock(Role::Query, Duration::from_millis(1_500)), 6, 0),
    Scenario::new("overload", Fault::Overload(Duration::from_secs(30)), 2, 0),
    Scenario::new("overload-short", Fault::Overload(Duration::from_secs(5)), 0, 2),
    Scenario::new("power-cut", Fault::CutPower, 10, 0),
    Scenario::new("power-cut-seen", Fault::CutPowerUnsynced, 1, 0),
    Scenario::new("promote-standby", Fault::PromoteStandby, 5, 0),
];
