//! A whole snapshot: a header that says what it is of, all keys in order, all events by position,
//! and a footer that counts them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use configapi_domain::{ConfigKey, Position, Timestamp};
use configapi_event_log::{Epoch, Hash, LogId};
use uuid::Uuid;

use super::SnapshotError;
use super::blocks::{BlockReader, BlockWriter, Kind};
use super::event::{EventsIn, EventsOut, Unlinked};
use super::texts::{Input, Output};
use crate::projection::{Anchor, Projector, Restoring, State};

/// The version of the form that is written and read here.
pub(super) const FORM: u32 = 1;
/// A block is closed when it has this many bytes.
const BLOCK_BYTES: usize = 1 << 20;
/// How many events are handed from the core that reads to the one that links.
const BATCH_EVENTS: usize = 1_024;
/// How many times that may wait in between.
const ITEMS_AHEAD: usize = 8;
/// How much is read from and written to the file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub log_id: LogId,
    pub epoch: Epoch,
    pub genesis: Anchor,
    pub anchor: Anchor,
    pub keys: u64,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut out = Output::default();
        out.bytes(&FORM.to_be_bytes());
        out.bytes(self.log_id.0.as_bytes());
        out.bytes(&self.epoch.0.to_be_bytes());
        for anchor in [self.genesis, self.anchor] {
            out.bytes(&anchor.position.0.to_be_bytes());
            out.bytes(&anchor.hash.0);
            out.bytes(&anchor.recorded_at.0.to_be_bytes());
        }
        out.bytes(&self.keys.to_be_bytes());
        out.0
    }

    fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut from = Input(bytes);
        let form = u32::from_be_bytes(from.array()?);
        if form != FORM {
            return Err(SnapshotError::OtherForm(form));
        }
        let log_id = LogId(Uuid::from_bytes(from.array()?));
        let epoch = Epoch(u64::from_be_bytes(from.array()?));
        let (genesis, anchor) = (decode_anchor(&mut from)?, decode_anchor(&mut from)?);
        let keys = u64::from_be_bytes(from.array()?);
        Ok(Self { log_id, epoch, genesis, anchor, keys })
    }
}

fn decode_anchor(from: &mut Input<'_>) -> Result<Anchor, SnapshotError> {
    Ok(Anchor {
        position: Position(u64::from_be_bytes(from.array()?)),
        hash: Hash(from.array()?),
        recorded_at: Timestamp(i64::from_be_bytes(from.array()?)),
    })
}

/// Writes a state to a file that was just made. Answers how many bytes.
pub(super) fn write(
    file: &File,
    log_id: LogId,
    epoch: Epoch,
    state: &State,
) -> Result<u64, SnapshotError> {
    let mut blocks = BlockWriter::new(BufWriter::with_capacity(BUFFER_BYTES, file))?;
    let counts = state.counts();
    let keys = counts.live + counts.deleted;
    let (genesis, anchor) = (state.genesis(), state.anchor());
    let header = Header { log_id, epoch, genesis, anchor, keys };
    blocks.write(Kind::Header, &header.encode())?;

    let mut out = Output::default();
    let mut numbers = HashMap::new();
    for (node, number) in state.all().zip(0_u64..) {
        numbers.insert(node.key().clone(), number);
        out.text(node.key().stream());
        close_if_full(&mut blocks, Kind::Keys, &mut out)?;
    }
    close(&mut blocks, Kind::Keys, &mut out)?;

    let mut events = EventsOut::new(genesis.recorded_at);
    for node in state.events_after(Position::GENESIS) {
        let number = numbers.get(node.key());
        let number = number.ok_or(SnapshotError::Damaged("an event has no config"))?;
        events.write(*number, node, &mut out);
        close_if_full(&mut blocks, Kind::Events, &mut out)?;
    }
    close(&mut blocks, Kind::Events, &mut out)?;

    out.bytes(&counts.versions.to_be_bytes());
    close(&mut blocks, Kind::Footer, &mut out)?;
    let (mut buffer, bytes) = blocks.finish();
    buffer.flush()?;
    Ok(bytes)
}

type Blocks<'a> = BlockWriter<BufWriter<&'a File>>;

fn close_if_full(
    blocks: &mut Blocks<'_>,
    kind: Kind,
    out: &mut Output,
) -> Result<(), SnapshotError> {
    if out.0.len() < BLOCK_BYTES { Ok(()) } else { close(blocks, kind, out) }
}

fn close(blocks: &mut Blocks<'_>, kind: Kind, out: &mut Output) -> Result<(), SnapshotError> {
    if !out.0.is_empty() {
        blocks.write(kind, &out.0)?;
        out.0.clear();
    }
    Ok(())
}

/// What a snapshot is of; the rest of it is not looked at.
pub(super) fn read_header(path: &Path) -> Result<Header, SnapshotError> {
    open(path).map(|(header, _)| header)
}

fn open(path: &Path) -> Result<(Header, BlockReader<BufReader<File>>), SnapshotError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => SnapshotError::Io(error),
        _ => SnapshotError::Unopened(error),
    })?;
    let file = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut blocks = BlockReader::new(file)?;
    let header = match blocks.next()? {
        (Kind::Header, payload) => Header::decode(payload)?,
        _ => return Err(SnapshotError::Damaged("it does not begin with a header")),
    };
    Ok((header, blocks))
}

/// Reads a whole snapshot. Whether the log confirms it is for the caller to find out. What it says
/// is read on one core while what was read is linked on another.
pub(crate) fn load(path: &Path) -> Result<Projector, SnapshotError> {
    let (header, blocks) = open(path)?;
    std::thread::scope(|scope| {
        let (sender, items) = sync_channel(ITEMS_AHEAD);
        let reading = scope.spawn(move || read_items(blocks, header.genesis.recorded_at, &sender));
        let linked = link(&header, &items);
        // Whoever stops first makes the other one stop; the reader knows more about the file.
        drop(items);
        reading.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        linked
    })
}

/// What a snapshot consists of, in its order.
enum Item {
    /// All keys.
    Keys(Vec<ConfigKey>),
    /// The next events.
    Events(Vec<Unlinked>),
    /// How many events there are. Nothing follows.
    Count(u64),
}

fn read_items(
    mut blocks: BlockReader<BufReader<File>>,
    began_at: Timestamp,
    to: &SyncSender<Item>,
) -> Result<(), SnapshotError> {
    let mut keys = Some(Vec::new());
    let mut events = EventsIn::new(began_at);
    loop {
        let (kind, payload) = blocks.next()?;
        let mut from = Input(payload);
        match (kind, &mut keys) {
            (Kind::Keys, Some(keys)) => read_keys(&mut from, keys)?,
            (Kind::Events | Kind::Footer, keys @ Some(_)) => {
                let keys = keys.take().unwrap_or_default();
                if to.send(Item::Keys(keys)).is_err() {
                    return Ok(());
                }
            }
            (Kind::Events | Kind::Footer, None) => {}
            (Kind::Header, _) | (Kind::Keys, None) => {
                return Err(SnapshotError::Damaged("its blocks are out of order"));
            }
        }
        if kind == Kind::Footer {
            let count = u64::from_be_bytes(from.array()?);
            blocks.end()?;
            let _ = to.send(Item::Count(count));
            return Ok(());
        }
        while !from.is_empty() {
            let mut batch = Vec::with_capacity(BATCH_EVENTS);
            while !from.is_empty() && batch.len() < BATCH_EVENTS {
                batch.push(events.read(&mut from)?);
            }
            if to.send(Item::Events(batch)).is_err() {
                return Ok(());
            }
        }
    }
}

fn read_keys(from: &mut Input<'_>, keys: &mut Vec<ConfigKey>) -> Result<(), SnapshotError> {
    while !from.is_empty() {
        let key = ConfigKey::of_stream(from.text()?.into())
            .map_err(|_| SnapshotError::Damaged("a key is not one"))?;
        if keys.last().is_some_and(|last| *last >= key) {
            return Err(SnapshotError::Damaged("its keys are out of order"));
        }
        keys.push(key);
    }
    Ok(())
}

fn link(header: &Header, items: &Receiver<Item>) -> Result<Projector, SnapshotError> {
    const INCOMPLETE: SnapshotError = SnapshotError::Damaged("it is not complete");
    const OTHER: SnapshotError = SnapshotError::Damaged("it is not what it says");
    let Ok(Item::Keys(keys)) = items.recv() else { return Err(INCOMPLETE) };
    if header.keys != keys.len() as u64 {
        return Err(OTHER);
    }
    let mut restoring = Restoring::new(header.genesis, keys);
    loop {
        match items.recv() {
            Ok(Item::Events(events)) => {
                restoring.ask_for(events.iter().map(|event| event.key));
                events.into_iter().try_for_each(|event| event.link(&mut restoring))?;
            }
            Ok(Item::Count(count)) => {
                let projector = restoring.finish();
                let projector = projector.ok_or(SnapshotError::Damaged("a config has no event"))?;
                let state = projector.state();
                let is_whole = count == state.counts().versions && header.anchor == state.anchor();
                return if is_whole { Ok(projector) } else { Err(OTHER) };
            }
            Ok(Item::Keys(_)) | Err(_) => return Err(INCOMPLETE),
        }
    }
}
