//! A row of the table as a stored event. A row that cannot be one is corrupt, never repaired.

use std::sync::Arc;

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{CommandPart, Epoch, Hash, LogError, StoredEvent, event_type_named};
use sqlx::postgres::PgRow;
use sqlx::{Row, ValueRef};

use crate::trouble::Trouble;

/// The columns that [`decode`] reads, in its order.
macro_rules! columns {
    () => {
        "position, version, recorded_at, part_index, part_size, schema_version, \
         stream, event_type, request_id, payload, metadata, hash"
    };
}
pub(crate) use columns;

/// How many they are.
pub(crate) const COLUMN_COUNT: usize = 12;

/// Where the epoch is that the rows of a page come with.
pub(crate) const EPOCH_COLUMN: usize = COLUMN_COUNT;

/// The columns of a row of a page, in the binary form of their types; none is a NULL. The types are
/// known from the schema, so they are not asked for with each value.
pub(crate) type Columns<'r, const N: usize = { COLUMN_COUNT + 1 }> = [Option<&'r [u8]>; N];

/// The columns of a row that was selected by a prepared statement.
pub(crate) fn columns_of<const N: usize>(row: &PgRow) -> Result<Columns<'_, N>, Trouble> {
    let mut columns = [None; N];
    for (index, column) in columns.iter_mut().enumerate() {
        let value = row.try_get_raw(index)?;
        if !value.is_null() {
            *column = Some(value.as_bytes().map_err(sqlx::Error::Decode)?);
        }
    }
    Ok(columns)
}

/// Reads a row that holds an event and nothing else.
pub(crate) fn decode_row(row: &PgRow) -> Result<StoredEvent, Trouble> {
    decode(&columns_of::<COLUMN_COUNT>(row)?)
}

/// Reads a row of an outer join.
pub(crate) fn decode_row_if_any(row: &PgRow) -> Result<Option<StoredEvent>, Trouble> {
    let columns = columns_of::<COLUMN_COUNT>(row)?;
    columns[0].map(|_| decode(&columns)).transpose()
}

/// Reads the columns of an event.
pub(crate) fn decode(columns: &[Option<&[u8]>]) -> Result<StoredEvent, Trouble> {
    let mut fields = Fields { columns, position: Position::GENESIS };
    fields.position = Position(fields.count(0)?);
    Ok(StoredEvent {
        position: fields.position,
        version: Version(fields.count(1)?),
        recorded_at: Timestamp(fields.number(2)?),
        part: CommandPart { index: fields.small(3)?, size: fields.small(4)? },
        schema_version: fields.small(5)?,
        stream: Arc::from(fields.text(6)?),
        event_type: event_type_named(fields.text(7)?),
        request_id: fields.optional_text(8)?.map(Arc::from),
        payload: fields.text(9)?.into(),
        metadata: fields.text(10)?.into(),
        hash: Hash::from_slice(fields.bytes(11)?).ok_or_else(|| fields.corrupt("its hash"))?,
    })
}

/// Reads an epoch.
pub(crate) fn epoch(column: Option<&[u8]>) -> Result<Epoch, Trouble> {
    let number = column.and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.map(Epoch).ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))
}

struct Fields<'r> {
    columns: &'r [Option<&'r [u8]>],
    position: Position,
}

impl<'r> Fields<'r> {
    fn corrupt(&self, what: &str) -> Trouble {
        let problem = format!("{what} is not what a log may hold");
        Trouble::Corrupt(LogError::Corrupt { position: self.position, problem })
    }

    fn optional(&self, index: usize) -> Option<&'r [u8]> {
        self.columns.get(index).copied().flatten()
    }

    fn bytes(&self, index: usize) -> Result<&'r [u8], Trouble> {
        self.optional(index).ok_or_else(|| self.corrupt("a NULL"))
    }

    fn number(&self, index: usize) -> Result<i64, Trouble> {
        let bytes = self.bytes(index)?.try_into();
        bytes.map(i64::from_be_bytes).map_err(|_| self.corrupt("a number"))
    }

    fn count(&self, index: usize) -> Result<u64, Trouble> {
        u64::try_from(self.number(index)?).map_err(|_| self.corrupt("a negative number"))
    }

    fn small(&self, index: usize) -> Result<u32, Trouble> {
        let bytes = self.bytes(index)?.try_into();
        let number = bytes.map(i32::from_be_bytes).map_err(|_| self.corrupt("a number"))?;
        u32::try_from(number).map_err(|_| self.corrupt("a negative number"))
    }

    fn text(&self, index: usize) -> Result<&'r str, Trouble> {
        self.text_in(self.bytes(index)?)
    }

    fn optional_text(&self, index: usize) -> Result<Option<&'r str>, Trouble> {
        self.optional(index).map(|bytes| self.text_in(bytes)).transpose()
    }

    fn text_in(&self, bytes: &'r [u8]) -> Result<&'r str, Trouble> {
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("a text"))
    }
}

/// A number as the database counts: nothing in a log is beyond its range.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
