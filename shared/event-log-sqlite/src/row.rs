//! A row of the `events` table, in and out. Columns are bound and read by number: names are looked
//! up once, in the statement's text.

use std::sync::Arc;

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{CommandPart, Hash, LogError, StoredEvent, event_type_named};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Row, Sqlite};

use crate::fault::corrupt;

/// How many columns an event has.
pub(crate) const COLUMNS_COUNT: usize = 12;

/// The columns of an event in the order of [`stored`] and [`bind`].
macro_rules! columns {
    () => {
        "e.position, e.version, e.recorded_at, e.part_index, e.part_size, e.schema_version, \
         e.stream, e.event_type, e.request_id, e.payload, e.metadata, e.hash"
    };
}
pub(crate) use columns;

/// The columns as an INSERT names them.
pub(crate) const INSERT_COLUMNS: &str = "position, version, recorded_at, part_index, part_size, \
     schema_version, stream, event_type, request_id, payload, metadata, hash";

/// Reads a row.
pub(crate) fn stored(row: &SqliteRow) -> Result<StoredEvent, LogError> {
    let position = unsigned(row, 0, 0)?;
    let hash: &[u8] = column(row, 11, position)?;
    let event_type: &str = column(row, 7, position)?;
    let request_id: Option<&str> = column(row, 8, position)?;
    Ok(StoredEvent {
        position: Position(position),
        version: Version(unsigned(row, 1, position)?),
        recorded_at: Timestamp(column(row, 2, position)?),
        part: CommandPart { index: small(row, 3, position)?, size: small(row, 4, position)? },
        stream: Arc::from(column::<&str>(row, 6, position)?),
        event_type: event_type_named(event_type),
        schema_version: small(row, 5, position)?,
        request_id: request_id.map(Arc::from),
        payload: column::<&str>(row, 9, position)?.into(),
        metadata: column::<&str>(row, 10, position)?.into(),
        hash: Hash::from_slice(hash)
            .ok_or_else(|| corrupt(position, "the hash has not 32 bytes"))?,
    })
}

/// Reads a row of an outer join.
pub(crate) fn stored_if_any(row: &SqliteRow) -> Result<Option<StoredEvent>, LogError> {
    let position: Option<i64> = column(row, 0, 0)?;
    position.map(|_| stored(row)).transpose()
}

/// The table is STRICT, so a column's type need not be asked for again with each row.
fn column<'r, T: Decode<'r, Sqlite>>(
    row: &'r SqliteRow,
    index: usize,
    position: u64,
) -> Result<T, LogError> {
    row.try_get_unchecked(index)
        .map_err(|_| corrupt(position, &format!("column {index} has another type than it should")))
}

fn unsigned(row: &SqliteRow, index: usize, position: u64) -> Result<u64, LogError> {
    let number: i64 = column(row, index, position)?;
    u64::try_from(number).map_err(|_| corrupt(position, &format!("column {index} is negative")))
}

fn small(row: &SqliteRow, index: usize, position: u64) -> Result<u32, LogError> {
    let number: i64 = column(row, index, position)?;
    u32::try_from(number).map_err(|_| corrupt(position, &format!("column {index} is out of range")))
}

/// SQLite numbers are signed. No log gets as far as the largest of them.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The name of the type that was bound last. Nearly always the next row has it too, and shares it.
#[derive(Default)]
pub(crate) struct EventType(Arc<str>);

impl EventType {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if *self.0 != *name {
            self.0 = name.into();
        }
        Arc::clone(&self.0)
    }
}

/// Binds a row.
pub(crate) fn bind(
    arguments: &mut SqliteArguments,
    row: &StoredEvent,
    event_type: &mut EventType,
) -> Result<(), sqlx::error::BoxDynError> {
    arguments.add(signed(row.position.0))?;
    arguments.add(signed(row.version.0))?;
    arguments.add(row.recorded_at.0)?;
    arguments.add(i64::from(row.part.index))?;
    arguments.add(i64::from(row.part.size))?;
    arguments.add(i64::from(row.schema_version))?;
    arguments.add(Arc::clone(&row.stream))?;
    arguments.add(event_type.shared(&row.event_type))?;
    arguments.add(row.request_id.clone())?;
    arguments.add(Arc::clone(&row.payload))?;
    arguments.add(Arc::clone(&row.metadata))?;
    arguments.add(&row.hash.0[..])
}

/// Binds what stands for no row.
pub(crate) fn bind_nothing(
    arguments: &mut SqliteArguments,
) -> Result<(), sqlx::error::BoxDynError> {
    (0..COLUMNS_COUNT).try_for_each(|_| arguments.add(None::<i64>))
}
