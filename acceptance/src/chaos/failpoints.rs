//! Servers that fail from inside, at the places where it could hurt most: each place in each way.
//! The programs are built for it, and told in a variable when to do what.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::deck::Deck;
use super::fleet::{Fleet, Server};
use super::nemesis::{Blow, one_of};
use super::scenario::Role;
use crate::{Binary, Random, path_of};

/// What servers with failpoints listen to, and what they say when one strikes.
const VARIABLE: &str = "CONFIGAPI_FAILPOINTS";
const TOLD: &str = "a failpoint strikes";
/// How long a fault waits for its moment, and a server for its own end.
const MOMENT_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How a process ends that aborts.
const ABORTED: i32 = 6;
const PAUSE: Duration = Duration::from_millis(1_500);

/// A place, whose servers pass it, and among how many passes the one is drawn that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    name: &'static str,
    role: Role,
    passes: u64,
    /// Whether the server ends if there is a panic.
    is_vital: bool,
}

impl Point {
    const fn new(name: &'static str, role: Role, passes: u64, is_vital: bool) -> Self {
        Self { name, role, passes, is_vital }
    }
}

const POINTS: [Point; 7] = [
    Point::new("commit.before-begin", Role::Command, 60, true),
    Point::new("commit.before-answer", Role::Command, 60, true),
    Point::new("tail.after-fetch", Role::Query, 60, true),
    Point::new("tail.mid-page", Role::Query, 60, true),
    Point::new("snapshot.before-rename", Role::Query, 2, false),
    Point::new("watch.before-send", Role::Query, 60, false),
    Point::new("watch.before-progress", Role::Query, 10, false),
];

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The process is gone.
    Exit,
    /// The task panics.
    Panic,
    /// What is done there fails, three times in a row.
    Error,
    /// Nothing happens for a while.
    Pause,
}

const ACTIONS: [Action; 4] = [Action::Exit, Action::Panic, Action::Error, Action::Pause];

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exit => "exit",
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Pause => "pause",
        })
    }
}

impl Action {
    /// The order to do it at a pass of a point.
    fn order(self, point: Point, pass: u64) -> String {
        let name = point.name;
        match self {
            Self::Exit | Self::Panic => format!("{name}={self}@{pass}"),
            Self::Error => format!("{name}={self}@{pass}x3"),
            Self::Pause => format!("{name}={self}({}ms)@{pass}", PAUSE.as_millis()),
        }
    }
}

/// Whether the programs with failpoints are there.
pub fn are_built() -> bool {
    let programs = [Binary::FailingCommandService, Binary::FailingQueryService];
    programs.into_iter().all(|program| path_of(program).exists())
}

/// Every action at every place.
#[derive(Debug)]
pub struct Failpoints(Deck<(Point, Action)>);

impl Failpoints {
    /// None has struck yet.
    pub fn all(random: &mut Random) -> Self {
        let all = POINTS.into_iter().flat_map(|point| ACTIONS.map(|action| (point, action)));
        Self(Deck::of(all.collect(), random))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// Which have never struck.
    pub fn missing(&self) -> Vec<String> {
        self.0.missing().iter().map(|(point, action)| format!("{} {action}", point.name)).collect()
    }

    /// Lets the next one strike.
    pub async fn strike(&mut self, fleet: &mut Fleet, random: &mut Random) -> Blow {
        let Some((point, action)) = self.0.draw(random) else { return false.into() };
        let server = one_of(fleet, point.role, random);
        let order = action.order(point, 1 + random.below(point.passes));
        let blow = strike(server, point, action, order).await;
        if !blow.took_effect {
            self.0.put_back((point, action));
        }
        Blow { kind: Some(format!("{} {action}", point.name)), ..blow }
    }
}

async fn strike(server: &mut Server, point: Point, action: Action, order: String) -> Blow {
    server.set(VARIABLE, Some(order));
    let ended_well = server.restart().await;
    server.set(VARIABLE, None);
    let mut wrong = Vec::new();
    if !ended_well {
        wrong.push(format!("{} did not end well when it was asked to", server.name));
    }
    let give_up_at = Instant::now() + MOMENT_LIMIT;
    while !server.said().contains(TOLD) && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    let mut took_effect = server.said().contains(TOLD);
    let ends = action == Action::Exit || (action == Action::Panic && point.is_vital);
    if took_effect && ends {
        let status = server.end(END_LIMIT).await;
        took_effect = status.is_some_and(|status| is_end_by(action, status));
        if !took_effect {
            wrong.push(format!("{} of {} led to {status:?}", point.name, server.name));
        }
        server.kill_and_start().await;
    } else if action == Action::Pause {
        sleep(PAUSE).await;
    }
    Blow { took_effect, wrong, ..Blow::default() }
}

/// Whether a process ended as it has to.
fn is_end_by(action: Action, status: ExitStatus) -> bool {
    match action {
        Action::Exit => status.signal() == Some(ABORTED),
        Action::Panic => status.code().is_some_and(|code| code != 0),
        Action::Error | Action::Pause => false,
    }
}
