//! A log in memory, for tests and demonstrations: everything the port promises but durability.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use configapi_domain::{Point, Position, Timestamp, Version};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::{
    AppendError, Beginning, Epoch, EpochStart, EventLog, Head, Identity, Lineage, LogError, LogId,
    Newest, Page, PageBuilder, PageLimit, Requested, StoredEvent, Turn, check_batch, genesis,
};

/// A log that lives and dies with the process.
#[derive(Debug)]
pub struct MemoryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    log_id: LogId,
    /// Held for a moment only, never across a wait: readers do not wait for a writer's turn.
    rows: Mutex<Rows>,
    /// Held by the writer whose turn it is.
    turn: Arc<tokio::sync::Mutex<()>>,
    hint: watch::Sender<Position>,
}

#[derive(Debug)]
struct Rows {
    events: Vec<StoredEvent>,
    by_stream: HashMap<Arc<str>, Vec<usize>>,
    by_request: HashMap<Arc<str>, usize>,
    epochs: Vec<EpochStart>,
}

impl MemoryLog {
    /// An empty log with this id, begun at this time.
    pub fn new(log_id: LogId, now: Timestamp) -> Self {
        Self::begin(&Beginning { log_id, began_at: now, lineage: Lineage::unbroken() })
    }

    /// An empty log that begins like this.
    pub fn begin(beginning: &Beginning) -> Self {
        let Beginning { log_id, began_at, ref lineage } = *beginning;
        let rows = Rows {
            events: vec![genesis(log_id, began_at)],
            by_stream: HashMap::new(),
            by_request: HashMap::new(),
            epochs: lineage.epochs().to_vec(),
        };
        let (hint, _) = watch::channel(Position::GENESIS);
        Self(Arc::new(Shared { log_id, rows: Mutex::new(rows), turn: Arc::default(), hint }))
    }
}

impl Shared {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        // Rows are changed by steps that cannot panic half-way.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For whoever has the turn.
    fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        self.rows().append(head, events)?;
        self.hint.send_replace(events.last().map_or(head.position, |row| row.position));
        Ok(())
    }
}

impl Rows {
    fn epoch(&self) -> Epoch {
        self.epochs.last().map_or(Epoch::FIRST, |start| start.epoch)
    }

    fn head(&self) -> Result<Head, LogError> {
        let newest = self
            .events
            .last()
            .ok_or_else(|| LogError::Unusable("the log has no genesis".to_owned()))?;
        Ok(Head {
            epoch: self.epoch(),
            position: newest.position,
            hash: newest.hash,
            recorded_at: newest.recorded_at,
        })
    }

    fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        let mut page = PageBuilder::new(limit);
        let start = usize::try_from(from.0).unwrap_or(usize::MAX).min(self.events.len());
        for row in &self.events[start..] {
            if !page.push(row.clone()) {
                break;
            }
        }
        page.finish(self.epoch())
    }

    fn append(&mut self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        check_batch(head, events)?;
        let known = usize::try_from(head.position.0).ok().and_then(|at| self.events.get(at));
        if head.epoch != self.epoch() || known.is_none_or(|row| row.hash != head.hash) {
            return Err(AppendError::HeadGone);
        }
        if self.events.len() as u64 != head.position.0 + 1 {
            return Err(AppendError::HeadMoved);
        }
        self.check_keys(events)?;
        for row in events {
            let at = self.events.len();
            self.by_stream.entry(Arc::clone(&row.stream)).or_default().push(at);
            if let Some(id) = &row.request_id {
                self.by_request.insert(Arc::clone(id), at);
            }
            self.events.push(row.clone());
        }
        Ok(())
    }

    /// What unique keys are to a database.
    fn check_keys(&self, events: &[StoredEvent]) -> Result<(), AppendError> {
        let mut fresh_versions: HashMap<&str, u64> = HashMap::new();
        let mut fresh_requests: HashSet<&str> = HashSet::new();
        for row in events {
            if let Some(id) = row.request_id.as_deref()
                && (self.by_request.contains_key(id) || !fresh_requests.insert(id))
            {
                return Err(AppendError::RequestIdTaken);
            }
            let stored = self.by_stream.get(&row.stream).map_or(0, Vec::len) as u64;
            let last = fresh_versions.entry(&row.stream).or_insert(stored);
            *last += 1;
            if row.version != Version(*last) {
                return Err(AppendError::Refused("versions must be dense".to_owned()));
            }
        }
        Ok(())
    }

    fn stream_at(&self, stream: &str, point: Point) -> Option<&StoredEvent> {
        let events = self.by_stream.get(stream)?.iter().map(|at| &self.events[*at]);
        match point {
            Point::Version(version) => events.rev().find(|row| row.version == version),
            Point::Time(time) => events.rev().find(|row| row.recorded_at <= time),
            Point::Position(position) => {
                let end = self.end_of_command_at(position);
                events.rev().find(|row| row.position <= end)
            }
        }
    }

    fn end_of_command_at(&self, position: Position) -> Position {
        let row = usize::try_from(position.0).ok().and_then(|at| self.events.get(at));
        row.map_or(position, |row| {
            Position(position.0 + u64::from(row.part.size - 1 - row.part.index))
        })
    }

    fn command_at(&self, first: usize) -> impl Iterator<Item = &StoredEvent> {
        let size = self.events[first].part.size as usize;
        self.events[first..].iter().take(size)
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        let lineage = Lineage::from_rows(self.0.rows().epochs.clone());
        Ok(Identity {
            log_id: self.0.log_id,
            lineage,
            store_time: None,
            is_standby: false,
            takes_no_appends: None,
        })
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.0.rows().head()
    }

    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        let _turn = self.0.turn.lock().await;
        self.0.append(head, events)
    }

    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        Ok(Box::new(MemoryTurn { log: Arc::clone(&self.0), _turn: turn }))
    }

    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        self.0.rows().read(from, limit)
    }

    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError> {
        let rows = self.0.rows();
        let newest_of = |stream: &&str| rows.by_stream.get(*stream)?.last().copied();
        let mut newest = Newest::within(limit_bytes);
        for at in streams.iter().filter_map(newest_of) {
            if !newest.push(rows.events[at].clone()) {
                break;
            }
        }
        Ok(newest)
    }

    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError> {
        let rows = self.0.rows();
        let (mut found, mut bytes) = (Vec::with_capacity(wanted.len()), 0);
        for (stream, point) in wanted {
            if bytes >= limit_bytes && !found.is_empty() {
                break;
            }
            let row = rows.stream_at(stream, *point).cloned();
            bytes += row.as_ref().map_or(0, StoredEvent::weight_bytes);
            found.push(row);
        }
        Ok(found)
    }

    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError> {
        let rows = self.0.rows();
        let (mut requested, mut seen) = (Requested::within(limit_bytes), HashSet::new());
        let firsts = ids.iter().filter(|id| seen.insert(**id));
        let firsts = firsts.filter_map(|id| rows.by_request.get(*id).copied());
        for row in firsts.flat_map(|first| rows.command_at(first)) {
            if !requested.push(row.clone()) {
                break;
            }
        }
        Ok(requested)
    }

    async fn grown(&self, beyond: Position, patience: Duration) {
        let mut hint = self.0.hint.subscribe();
        // Either way there is nothing more to say: it is a hint.
        let _ = tokio::time::timeout(patience, hint.wait_for(|known| *known > beyond)).await;
    }

    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError> {
        let _turn = self.0.turn.lock().await;
        let mut rows = self.0.rows();
        if rows.head()? != *head {
            return Err(LogError::Unavailable("the log has moved on from that head".to_owned()));
        }
        let epoch = Epoch(head.epoch.0 + 1);
        rows.epochs.push(EpochStart { epoch, first_position: head.position.next() });
        Ok(epoch)
    }
}

#[derive(Debug)]
struct MemoryTurn {
    log: Arc<Shared>,
    _turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl Turn for MemoryTurn {
    async fn read(&mut self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        self.log.rows().read(from, limit)
    }

    async fn append(
        self: Box<Self>,
        head: &Head,
        events: &[StoredEvent],
    ) -> Result<(), AppendError> {
        self.log.append(head, events)
    }
}
