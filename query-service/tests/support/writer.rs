//! Writes to a log by the rules of the aggregate, and remembers what it wrote.

use std::collections::HashMap;
use std::sync::Arc;

use configapi_domain::{
    Action, Actor, Command, ConfigKey, ConfigValue, Content, ContentType, Past, Position,
    Provenance, ReasonText, RequestId, RestoreSource, Timestamp, TraceParent, Value, Version,
    decide, evolve,
};
use configapi_event_log::{
    CommandPart, Draft, EventLog, Head, LogId, MemoryLog, Recorded, StoredEvent, decode, encode,
    seal,
};

/// One wish of a test about one config.
#[derive(Debug, Clone)]
pub enum Op {
    Set(String),
    SetTyped(String, String),
    Delete,
    Restore(Option<u64>),
}

/// A log with nothing in it.
pub fn memory_log(id: u128) -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(LogId(uuid::Uuid::from_u128(id)), Timestamp(1_000_000)))
}

pub fn key(stream: &str) -> ConfigKey {
    ConfigKey::of_stream(stream.into()).unwrap()
}

/// The only writer of a log.
#[derive(Debug)]
pub struct Writer {
    log: Arc<dyn EventLog>,
    pub head: Head,
    configs: HashMap<ConfigKey, ConfigValue>,
    /// Everything that was written, by position.
    pub written: Vec<Recorded>,
    commands: u128,
}

impl Writer {
    pub async fn new(log: Arc<dyn EventLog>) -> Self {
        let head = log.head().await.unwrap();
        Self { log, head, configs: HashMap::new(), written: Vec::new(), commands: 0 }
    }

    /// One command with one event; its token.
    pub async fn set(&mut self, stream: &str, value: &str) -> String {
        self.commit(vec![(key(stream), Op::Set(value.to_owned()))]).await
    }

    pub async fn delete(&mut self, stream: &str) -> String {
        self.commit(vec![(key(stream), Op::Delete)]).await
    }

    /// One command with an event for every op that the rules allow; the token of the last.
    pub async fn commit(&mut self, ops: Vec<(ConfigKey, Op)>) -> String {
        let rows = self.seal(ops);
        if !rows.is_empty() {
            self.log.append(&self.head, &rows).await.unwrap();
            self.wrote(&rows);
        }
        self.token()
    }

    /// The token of the newest event.
    pub fn token(&self) -> String {
        format!("{}-{}", self.head.epoch.0, self.head.position.0)
    }

    fn wrote(&mut self, rows: &[StoredEvent]) {
        for row in rows {
            self.written.push(decode(row).unwrap());
            self.head.position = row.position;
            self.head.hash = row.hash;
            self.head.recorded_at = row.recorded_at;
        }
    }

    /// The rows of one command, ready to be appended.
    pub fn seal(&mut self, ops: Vec<(ConfigKey, Op)>) -> Vec<StoredEvent> {
        self.commands += 1;
        let mut events = Vec::new();
        for (key, op) in ops {
            let config = self.configs.get(&key).cloned().unwrap_or_default();
            let action = self.action(&key, &op);
            let command = Command { key: key.clone(), expected_version: None, action };
            if let Ok(event) = decide(&config, &command) {
                let after = evolve(&config, &event);
                let version = after.version;
                self.configs.insert(key.clone(), after);
                events.push((key, version, event));
            }
        }
        let provenance = self.provenance();
        // Some commands share a time, as they do in a group commit.
        let step = i64::try_from(self.commands % 3).unwrap() * 1_000;
        let recorded_at = Timestamp(self.head.recorded_at.0 + step);
        let size = u32::try_from(events.len()).unwrap();
        let mut rows: Vec<StoredEvent> = Vec::new();
        for (index, (key, version, event)) in events.iter().enumerate() {
            let mut row = encode(&Draft {
                position: Position(self.head.position.0 + 1 + index as u64),
                version: *version,
                recorded_at,
                key,
                event,
                provenance: &provenance,
                request: None,
                part: CommandPart { index: u32::try_from(index).unwrap(), size },
            });
            seal(rows.last().map_or(self.head.hash, |before| before.hash), &mut row);
            rows.push(row);
        }
        rows
    }

    fn action(&self, key: &ConfigKey, op: &Op) -> Action {
        let content = |value: &str, kind: &str| Content {
            value: Value::parse(value).unwrap(),
            content_type: ContentType::parse(kind).unwrap(),
        };
        match op {
            Op::Set(value) => Action::Set(content(value, "")),
            Op::SetTyped(value, kind) => Action::Set(content(value, kind)),
            Op::Delete => Action::Delete,
            Op::Restore(None) => Action::Restore(RestoreSource::LastValue),
            Op::Restore(Some(version)) => {
                let version = Version(*version);
                let past = self.written.iter().find(|it| it.key == *key && it.version == version);
                Action::Restore(match past {
                    Some(past) => RestoreSource::Past(Past {
                        version,
                        content: past.event.content().cloned(),
                    }),
                    None => RestoreSource::Nothing(configapi_domain::Point::Version(version)),
                })
            }
        }
    }

    fn provenance(&self) -> Provenance {
        let id = match self.commands % 3 {
            0 => uuid::Uuid::from_u128(self.commands << 70 | self.commands).to_string(),
            _ => format!("request-{}", self.commands),
        };
        let trace = format!("00-{:032x}-{:016x}-01", self.commands + 1, self.commands + 1);
        Provenance {
            actor: Actor::parse(["alice", "bob", ""][(self.commands % 3) as usize]).unwrap(),
            reason: ReasonText::parse(["", "a change"][(self.commands % 2) as usize]).unwrap(),
            request_id: (!self.commands.is_multiple_of(5)).then(|| RequestId::parse(&id).unwrap()),
            traceparent: TraceParent::parse(&trace).filter(|_| self.commands.is_multiple_of(4)),
        }
    }
}
