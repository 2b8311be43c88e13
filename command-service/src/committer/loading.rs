//! Getting to know, while a commit is under way, the configs that the next batch names and nobody
//! here knows. What is read counts for the one head that it was read for, and for no other.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use configapi_domain::ConfigValue;
use configapi_event_log::{EventLog, Head, LogError, StoredEvent, decode};
use tokio::task::JoinHandle;

use super::Limits;
use super::aggregates::weight_bytes;
use super::plan::{Knowledge, cannot_read};
use super::worker::Worker;

/// A look-up that is under way. It has a task of its own, so that one that is of no use any more ends
/// in peace: cut off, it would take its connection along.
#[derive(Debug)]
pub(super) struct Loading {
    head: Head,
    found: JoinHandle<Result<Found, LogError>>,
}

/// What is known of some streams.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Which streams were asked for.
    pub streams: Vec<Arc<str>>,
    /// The newest event of each of them that has one.
    pub rows: Vec<StoredEvent>,
}

/// Looks up the first of these streams: as many as one look-up may ask for, and no more than weigh what
/// a commit can hold.
pub(super) async fn look_up_first(
    log: &dyn EventLog,
    limits: &Limits,
    streams: &[Arc<str>],
) -> Result<Found, LogError> {
    let first = &streams[..streams.len().min(limits.load_streams.max(1))];
    let names: Vec<&str> = first.iter().map(|stream| &**stream).collect();
    let newest = log.newest(&names, limits.commit_bytes).await?;
    let answered = newest.answered(&names);
    Ok(Found { streams: first[..answered].to_vec(), rows: newest.rows })
}

impl Loading {
    /// Begins to look up streams, for decisions on this head.
    pub fn begin(
        log: Arc<dyn EventLog>,
        limits: &Limits,
        head: Head,
        streams: Vec<Arc<str>>,
    ) -> Self {
        let limits = *limits;
        let found = tokio::spawn(async move {
            let mut found = Found::default();
            let mut bytes = 0;
            // More than a commit can hold would be of no use.
            while found.streams.len() < streams.len() && bytes <= limits.commit_bytes {
                let rest = &streams[found.streams.len()..];
                let next = look_up_first(&*log, &limits, rest).await?;
                bytes += next.rows.iter().map(StoredEvent::weight_bytes).sum::<usize>();
                found.streams.extend(next.streams);
                found.rows.extend(next.rows);
            }
            Ok(found)
        });
        Self { head, found }
    }

    /// Whether it was begun for decisions on this head.
    pub fn is_for(&self, head: Head) -> bool {
        self.head == head
    }

    /// What was found. If the look-up failed that is nothing: whoever needs to know asks again, and
    /// is told what is wrong.
    pub async fn found(&mut self) -> Found {
        match (&mut self.found).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Found::default(),
        }
    }
}

/// Waits for what a look-up finds, for ever if there is none.
pub(super) async fn found_by(loading: &mut Option<Loading>) -> Found {
    match loading {
        Some(loading) => loading.found().await,
        None => pending().await,
    }
}

impl Worker {
    /// Waits for what is being looked up for decisions on this head, if anything is.
    pub(super) async fn wait_for_loading(&mut self, head: Head, knowledge: &mut Knowledge) {
        if let Some(mut loading) = self.loading.take_if(|loading| loading.is_for(head)) {
            let found = loading.found().await;
            self.learn(&found, knowledge);
        }
    }

    /// Adds what was found of streams that nothing was known of. Answers what their configs weigh.
    pub(super) fn learn(&mut self, found: &Found, knowledge: &mut Knowledge) -> usize {
        let rows: HashMap<&str, &StoredEvent> =
            found.rows.iter().map(|row| (&*row.stream, row)).collect();
        let mut bytes = 0;
        for stream in &found.streams {
            // Decisions may have been made on it since it was asked for.
            if knowledge.configs.contains_key(stream) {
                continue;
            }
            let newest = rows.get(&**stream).map(|row| decode(row)).transpose();
            let config = match newest {
                Ok(Some(newest)) => ConfigValue::after(newest.version, &newest.event),
                Ok(None) => ConfigValue::default(),
                Err(error) => {
                    knowledge.unreadable.insert(Arc::clone(stream), cannot_read(&error));
                    continue;
                }
            };
            bytes += weight_bytes(stream, &config);
            self.aggregates.put(stream, &config);
            knowledge.configs.insert(Arc::clone(stream), config);
        }
        bytes
    }
}
