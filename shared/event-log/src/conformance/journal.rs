//! What the suite writes and reads with: a reader that holds all it has read to the rules of
//! [`Tail`], and a batch that is made on what the reader knows.

use std::collections::HashMap;
use std::sync::Arc;

use configapi_domain::{
    Actor, ConfigEvent, ConfigKey, Content, Position, Provenance, RequestId, Timestamp, Value,
    Version,
};

use crate::{
    AppendError, CommandPart, Draft, EventLog, Fingerprint, Hash, Head, Page, PageLimit,
    RequestKey, StoredEvent, Tail, Turn, encode, hash_of, seal,
};

/// All that one reader has read of a log so far, genesis first.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    pub(super) rows: Vec<StoredEvent>,
    tail: Tail,
    head: Head,
    versions: HashMap<Arc<str>, u64>,
}

impl Journal {
    /// Reads the log from its beginning.
    pub(super) async fn of(log: &dyn EventLog) -> Self {
        let head = log.head().await.expect("the head");
        let page = log.read(Position::GENESIS, PageLimit::TAIL).await.expect("the first page");
        let genesis = page.events.first().expect("the genesis row").clone();
        assert_eq!(genesis.position, Position::GENESIS);
        assert_eq!(genesis.hash, hash_of(Hash::ZERO, &genesis), "the genesis row starts the chain");
        let mut journal = Self {
            tail: Tail::after(Position::GENESIS, genesis.hash),
            head: Head {
                epoch: head.epoch,
                position: Position::GENESIS,
                hash: genesis.hash,
                recorded_at: genesis.recorded_at,
            },
            rows: vec![genesis],
            versions: HashMap::new(),
        };
        if journal.take(page) {
            journal.read_on(log).await;
        }
        journal
    }

    /// Where the known log ends.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn position(&self) -> Position {
        self.head.position
    }

    /// Steps over a page; answers whether there is more to read.
    pub(super) fn take(&mut self, page: Page) -> bool {
        let (epoch, is_cut) = (page.epoch, page.is_cut);
        let fresh = self.tail.advance(page).expect("the rules of tailing hold");
        for row in fresh {
            let version = self.versions.entry(Arc::clone(&row.stream)).or_insert(0);
            *version += 1;
            assert_eq!(row.version, Version(*version), "versions are dense in {}", row.stream);
            self.head.position = row.position;
            self.head.hash = row.hash;
            self.head.recorded_at = row.recorded_at;
            self.rows.push(row);
        }
        self.head.epoch = epoch;
        is_cut
    }

    /// Reads what is new.
    pub(super) async fn read_on(&mut self, log: &dyn EventLog) {
        while self.take(log.read(self.position(), PageLimit::TAIL).await.expect("a page")) {}
    }

    /// Reads what is new, within a turn.
    pub(super) async fn read_on_in(&mut self, turn: &mut dyn Turn) {
        while self.take(turn.read(self.position(), PageLimit::TAIL).await.expect("a page")) {}
    }

    /// An empty batch on the head known.
    pub(super) fn batch(&self) -> Batch {
        Batch { head: self.head, end: self.head, versions: self.versions.clone(), rows: Vec::new() }
    }
}

/// Events that are about to be appended.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// What they are decided on.
    pub(super) head: Head,
    /// Where the log will end if they are appended.
    pub(super) end: Head,
    pub(super) rows: Vec<StoredEvent>,
    versions: HashMap<Arc<str>, u64>,
}

impl Batch {
    /// Adds a Set of one config.
    pub(super) fn set(self, name: &str, value: &str) -> Self {
        self.command(None, &[(name, value)])
    }

    /// Adds a keyed command.
    pub(super) fn keyed(self, request_id: &str, sets: &[(&str, &str)]) -> Self {
        self.command(Some(request_id), sets)
    }

    /// Adds a command of `size` events, on as many configs, that begin with `name`.
    pub(super) fn large(self, name: &str, size: usize) -> Self {
        let names: Vec<String> = (0..size).map(|i| format!("{name}/{i}")).collect();
        let sets: Vec<_> = names.iter().map(|name| (name.as_str(), "one of many")).collect();
        self.command(None, &sets)
    }

    /// Adds a command: all its events are recorded a microsecond after the last.
    pub(super) fn command(mut self, request_id: Option<&str>, sets: &[(&str, &str)]) -> Self {
        let request = request_id.map(|id| RequestKey {
            id: RequestId::parse(id).expect("a request id"),
            fingerprint: Fingerprint([7; 16]),
        });
        let provenance = Provenance {
            actor: Actor::parse("conformance").expect("an actor"),
            request_id: request.as_ref().map(|request| request.id.clone()),
            ..Provenance::default()
        };
        let recorded_at = Timestamp(self.end.recorded_at.0 + 1);
        let size = u32::try_from(sets.len()).expect("a small command");
        for (index, (name, value)) in (0..).zip(sets) {
            let key = ConfigKey::parse("", name).expect("a name");
            let version = self.versions.entry(key.shared_stream()).or_insert(0);
            *version += 1;
            let value = Value::parse(*value).expect("a value");
            let mut row = encode(&Draft {
                position: self.end.position.next(),
                version: Version(*version),
                recorded_at,
                key: &key,
                event: &ConfigEvent::Set { content: Content::untyped(value), old_value: None },
                provenance: &provenance,
                request: request.as_ref(),
                part: CommandPart { index, size },
            });
            seal(self.end.hash, &mut row);
            self.end = Head { position: row.position, hash: row.hash, recorded_at, ..self.end };
            self.rows.push(row);
        }
        self
    }

    pub(super) async fn append(&self, log: &dyn EventLog) -> Result<(), AppendError> {
        log.append(&self.head, &self.rows).await
    }
}

/// Appends one batch as the only writer, and answers the journal with it.
pub(super) async fn written(log: &dyn EventLog, make: impl FnOnce(Batch) -> Batch) -> Journal {
    let mut journal = Journal::of(log).await;
    make(journal.batch()).append(log).await.expect("the only writer is not refused");
    journal.read_on(log).await;
    journal
}

/// A small repeatable stream of numbers, to vary what concurrent tasks do.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
