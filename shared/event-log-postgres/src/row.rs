//! A row of the table as a stored event. A row that cannot be one is corrupt, never repaired.

use std::borrow::Cow;
use std::sync::Arc;

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{CommandPart, GENESIS_EVENT_TYPE, Hash, LogError, StoredEvent};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row};

use crate::trouble::Trouble;

/// The columns that [`decode`] reads, in its order.
macro_rules! columns {
    () => {
        "position, version, recorded_at, part_index, part_size, schema_version, \
         stream, event_type, request_id, payload, metadata, hash"
    };
}
pub(crate) use columns;

/// Where the column after those of [`columns`] is.
pub(crate) const NEXT_COLUMN: usize = 12;

/// Names that most rows bear: they need not be copied for each.
const COMMON_TYPES: [&str; 4] =
    ["ConfigValueSet", "ConfigValueDeleted", "ConfigValueRestored", GENESIS_EVENT_TYPE];

/// Reads a row.
pub(crate) fn decode(row: &PgRow) -> Result<StoredEvent, Trouble> {
    let fields = Fields { row, position: get(row, 0)? };
    Ok(StoredEvent {
        position: Position(fields.count(0)?),
        version: Version(fields.count(1)?),
        recorded_at: Timestamp(get(row, 2)?),
        part: CommandPart { index: fields.small(3)?, size: fields.small(4)? },
        schema_version: fields.small(5)?,
        stream: Arc::from(fields.text(6)?),
        event_type: event_type(fields.text(7)?),
        request_id: fields.optional_text(8)?.map(Arc::from),
        payload: fields.bytes_of_text(9)?.to_owned(),
        metadata: fields.bytes_of_text(10)?.to_owned(),
        hash: Hash::from_slice(get(row, 11)?).ok_or_else(|| fields.corrupt("its hash"))?,
    })
}

fn event_type(name: &str) -> Cow<'static, str> {
    match COMMON_TYPES.iter().find(|common| **common == name) {
        Some(common) => Cow::Borrowed(common),
        None => Cow::Owned(name.to_owned()),
    }
}

/// The types of the columns are known from the schema, so they are not checked for each value.
fn get<'r, T: Decode<'r, Postgres>>(row: &'r PgRow, index: usize) -> Result<T, Trouble> {
    Ok(row.try_get_unchecked(index)?)
}

struct Fields<'r> {
    row: &'r PgRow,
    position: i64,
}

impl<'r> Fields<'r> {
    fn corrupt(&self, what: &str) -> Trouble {
        Trouble::Corrupt(LogError::Corrupt {
            position: Position(u64::try_from(self.position).unwrap_or(0)),
            problem: format!("{what} is not what a log may hold"),
        })
    }

    fn count(&self, index: usize) -> Result<u64, Trouble> {
        let number: i64 = get(self.row, index)?;
        u64::try_from(number).map_err(|_| self.corrupt("a negative number"))
    }

    fn small(&self, index: usize) -> Result<u32, Trouble> {
        let number: i32 = get(self.row, index)?;
        u32::try_from(number).map_err(|_| self.corrupt("a negative number"))
    }

    fn text(&self, index: usize) -> Result<&'r str, Trouble> {
        get(self.row, index).map_err(|_| self.corrupt("a text"))
    }

    fn optional_text(&self, index: usize) -> Result<Option<&'r str>, Trouble> {
        get(self.row, index).map_err(|_| self.corrupt("a text"))
    }

    fn bytes_of_text(&self, index: usize) -> Result<&'r str, Trouble> {
        let bytes: &[u8] = get(self.row, index)?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("its content"))
    }
}

/// A number as the database counts: nothing in a log is beyond its range.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
