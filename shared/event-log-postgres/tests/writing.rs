//! A small writer and a strict reader for these tests, by the port's own rules.

use std::sync::Arc;

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, RequestId, Timestamp, Value, Version,
};
use configapi_event_log::{
    AppendError, CommandPart, Draft, EventLog, Fingerprint, Hash, Head, PageLimit, RequestKey,
    StoredEvent, Tail, encode, hash_of, seal,
};
use configapi_event_log_postgres::{Access, PostgresLog};

/// Opens a log for writing.
pub(crate) async fn open(url: &str) -> Arc<PostgresLog> {
    Arc::new(PostgresLog::open(url, Access::ReadWrite).await.expect("the log opens"))
}

/// A batch of single-event commands after `head`, each on a stream of its own, the first one keyed
/// if an id is given; and where the log ends with it.
pub(crate) fn batch(
    head: &Head,
    size: usize,
    request_id: Option<&str>,
) -> (Vec<StoredEvent>, Head) {
    let mut end = *head;
    let rows =
        (0..size).map(|index| next(&mut end, request_id.filter(|_| index == 0), "")).collect();
    (rows, end)
}

fn next(end: &mut Head, request_id: Option<&str>, more: &str) -> StoredEvent {
    let position = end.position.next();
    let name = request_id.map_or(format!("event/{position}"), |id| format!("request/{id}"));
    let key = ConfigKey::parse("", &name).expect("a name");
    let value = Value::parse(format!("value of {name}{more}")).expect("a value");
    let request = request_id.map(|id| RequestKey {
        id: RequestId::parse(id).expect("a request id"),
        fingerprint: Fingerprint([7; 16]),
    });
    let mut row = encode(&Draft {
        position,
        version: Version(1),
        recorded_at: Timestamp(end.recorded_at.0 + 1),
        key: &key,
        event: &ConfigEvent::Set { content: Content::untyped(value), old_value: None },
        provenance: &Provenance::default(),
        request: request.as_ref(),
        part: CommandPart::WHOLE,
    });
    seal(end.hash, &mut row);
    *end = Head { position, hash: row.hash, recorded_at: row.recorded_at, ..*end };
    row
}

/// Appends so many events as the only writer.
pub(crate) async fn append(log: &dyn EventLog, size: usize) -> Head {
    let head = log.head().await.expect("the head");
    let (rows, end) = batch(&head, size, None);
    log.append(&head, &rows).await.expect("the only writer is not refused");
    end
}

/// As [`append`], with values of so many bytes and a few more.
pub(crate) async fn append_large(log: &dyn EventLog, size: usize, bytes: usize) -> Head {
    let head = log.head().await.expect("the head");
    let (rows, end) = large_batch(&head, size, bytes);
    log.append(&head, &rows).await.expect("the only writer is not refused");
    end
}

/// As [`batch`], with values of so many bytes and a few more.
pub(crate) fn large_batch(head: &Head, size: usize, bytes: usize) -> (Vec<StoredEvent>, Head) {
    let (mut end, more) = (*head, "x".repeat(bytes));
    let rows = (0..size).map(|_| next(&mut end, None, &more)).collect();
    (rows, end)
}

/// Reads the whole log by the rules of tailing; answers all rows, or what is wrong.
pub(crate) async fn verify(log: &dyn EventLog) -> Result<Vec<StoredEvent>, String> {
    let first = log.read(Position::GENESIS, PageLimit::TAIL).await.map_err(|e| e.to_string())?;
    let genesis = first.events.first().cloned().ok_or("an empty page")?;
    if genesis.hash != hash_of(Hash::ZERO, &genesis) || genesis.position != Position::GENESIS {
        return Err("the genesis row is not what it says".to_owned());
    }
    let mut tail = Tail::after(genesis.position, genesis.hash);
    let mut rows = vec![genesis];
    loop {
        let page = log.read(tail.position(), PageLimit::TAIL).await.map_err(|e| e.to_string())?;
        let is_cut = page.is_cut;
        rows.extend(tail.advance(page).map_err(|e| e.to_string())?);
        if !is_cut {
            return Ok(rows);
        }
    }
}

/// Writes one keyed event and repeats itself, whatever happens, until it is there: once.
pub(crate) async fn write_keyed(log: &dyn EventLog, id: &str) -> StoredEvent {
    const MAX_ROUNDS: usize = 2_000;
    for round in 0..MAX_ROUNDS {
        if round > 0 {
            match log.requests(&[id], usize::MAX).await {
                Ok(mut found) => {
                    if let Some(row) = found.rows.pop() {
                        return row;
                    }
                }
                Err(_) => continue,
            }
        }
        let Ok(head) = log.head().await else { continue };
        let (rows, _) = batch(&head, 1, Some(id));
        match log.append(&head, &rows).await {
            Ok(()) => return rows[0].clone(),
            Err(AppendError::Refused(why)) => panic!("{id} is refused: {why}"),
            Err(_) => {}
        }
    }
    panic!("{id} was never written");
}
