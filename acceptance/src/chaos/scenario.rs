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

/// Which way between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From clients to a server.
    Edge(Role),
    /// From a server to the database.
    Database(Role),
}

/// What a network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Everything takes longer.
    Delay,
    /// Little goes through.
    Throttle,
    /// Nothing arrives at the server.
    SwallowRequests,
    /// Nothing comes back.
    SwallowAnswers,
    /// Nothing arrives at either end.
    SwallowBoth,
    /// All connections are reset, and new ones refused.
    Refuse,
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
    /// A network between two is bad for a while. Which, and how, is drawn by lot.
    Network(Duration),
    /// The power of the database's machine is cut: what was not synced is gone.
    CutPower,
    /// The same with a database that does not sync. That must be noticed, or nothing would be.
    CutPowerUnsynced,
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
    /// How often.
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
    Scenario::new("network", Fault::Network(Duration::from_millis(1_500)), 30, 0),
    Scenario::new("power-cut", Fault::CutPower, 10, 0),
    Scenario::new("power-cut-seen", Fault::CutPowerUnsynced, 1, 0),
    Scenario::new("promote-standby", Fault::PromoteStandby, 5, 0),
];
