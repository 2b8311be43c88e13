//! What clients did and what they were told, as they saw it: one JSON line for each finished call
//! and for each frame of a watch. All instants are microseconds of one clock, that of the process
//! which runs all the clients.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

/// All that clients saw, in no particular order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The commands.
    pub writes: Vec<Write>,
    /// The reads.
    pub reads: Vec<Read>,
    /// The frames of watches, each watch's in the order in which they came.
    pub frames: Vec<WatchFrame>,
}

/// One line of a recorded history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Line {
    /// A command.
    Write(Write),
    /// A read.
    Read(Read),
    /// A frame of a watch.
    Watch(WatchFrame),
}

/// A place in the log that keeps its meaning.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Place {
    /// The epoch.
    pub epoch: u64,
    /// The position.
    pub position: u64,
}

/// A command, from its first attempt until its client knew the outcome or gave up. All attempts
/// bear the same request id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Which client.
    pub process: u32,
    /// The request id.
    pub request_id: String,
    /// What was asked for; several are one Apply.
    pub commands: Vec<Command>,
    /// When it was sent first.
    pub invoked_us: u64,
    /// When the outcome was known, or the client gave up.
    pub returned_us: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// What came of it.
    pub outcome: WriteOutcome,
}

/// A change to one config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// `namespace/name`.
    pub key: String,
    /// The version that the config must be at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
    /// What to do.
    pub action: Action,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Gives it a value.
    Set(String),
    /// Deletes it.
    Delete,
    /// Brings it back with its last value.
    RestoreLast,
    /// Gives it the value that it had at a version.
    RestoreVersion(u64),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteOutcome {
    /// Acknowledged, with one receipt for each command.
    Ok(Vec<Receipt>),
    /// Refused, and every attempt was: nothing was written.
    Fail(Refusal),
    /// It may have been written, or may yet be.
    Unknown {
        /// The last thing heard.
        reason: String,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, as the contract names it.
    pub reason: String,
    /// Which command of an Apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_index: Option<usize>,
}

/// What a client was told about a command that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `namespace/name`.
    pub key: String,
    /// The config's new version.
    pub version: u64,
    /// Where its event is.
    #[serde(flatten)]
    pub place: Place,
    /// The event's hash in hexadecimal; empty if the edge does not tell it.
    pub hash: String,
}

/// A read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Which client.
    pub process: u32,
    /// Which server answered.
    pub server: String,
    /// What was read.
    pub selection: Selection,
    /// How fresh it had to be.
    pub wish: Wish,
    /// The position of the past that it is about; none is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Whether it belongs to its client's session, which never goes back.
    pub in_session: bool,
    /// When it was sent.
    pub invoked_us: u64,
    /// When its answer came.
    pub returned_us: u64,
    /// The answer. None if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

/// Which configs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// This one.
    Key(String),
    /// Those whose `namespace/name` begins like this.
    Prefix(String),
}

impl Selection {
    /// Whether a config is among them.
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::Key(one) => one == key,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
        }
    }
}

/// How fresh a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Any state will do.
    Any,
    /// Here or later.
    AtLeast(Place),
    /// After all that was acknowledged before.
    Linearizable,
}

/// What a read was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The place that it is about. None if it did not say, as "not found" need not.
    pub place: Option<Place>,
    /// The configs that exist, ordered by key.
    pub found: Vec<Found>,
}

/// A config as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Found {
    /// `namespace/name`.
    pub key: String,
    /// Its version.
    pub version: u64,
    /// The position of that version's event.
    pub position: u64,
    /// Its value.
    pub value: String,
}

/// A frame of a watch, or its beginning or end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchFrame {
    /// Which watch: a chain of streams, each resumed from where the one before ended.
    pub watch: u32,
    /// Which server.
    pub server: String,
    /// Which configs.
    pub selection: Selection,
    /// When it came.
    pub received_us: u64,
    /// What came.
    pub frame: Frame,
}

/// What happened on a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// The client asked for the events after a place.
    Resumed {
        /// The place.
        after: Place,
    },
    /// The configs as they are, as the beginning of a watch.
    State(Answer),
    /// Events.
    Events {
        /// What has been delivered completely.
        complete: Place,
        /// The events.
        events: Vec<Delivered>,
    },
    /// Nothing new up to a place.
    Progress {
        /// The place.
        complete: Place,
    },
    /// The stream ended.
    Ended {
        /// Why.
        reason: String,
    },
}

/// An event as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// `namespace/name`.
    pub key: String,
    /// Its position.
    pub position: u64,
    /// Its version.
    pub version: u64,
    /// Its hash in hexadecimal.
    pub hash: String,
}

impl History {
    /// Adds what a line says.
    pub fn push(&mut self, line: Line) {
        match line {
            Line::Write(write) => self.writes.push(write),
            Line::Read(read) => self.reads.push(read),
            Line::Watch(frame) => self.frames.push(frame),
        }
    }

    /// Reads a recorded history.
    pub fn read_from(source: impl BufRead) -> std::io::Result<Self> {
        let mut history = Self::default();
        for line in source.lines() {
            history.push(serde_json::from_str(&line?)?);
        }
        Ok(history)
    }

    /// Records the history.
    pub fn write_to(&self, mut target: impl std::io::Write) -> std::io::Result<()> {
        for write in &self.writes {
            write_line(&mut target, &Line::Write(write.clone()))?;
        }
        for read in &self.reads {
            write_line(&mut target, &Line::Read(read.clone()))?;
        }
        for frame in &self.frames {
            write_line(&mut target, &Line::Watch(frame.clone()))?;
        }
        target.flush()
    }
}

fn write_line(target: &mut impl std::io::Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *target, line)?;
    target.write_all(b"\n")
}
