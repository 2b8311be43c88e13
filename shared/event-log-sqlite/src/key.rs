//! What the index of streams names a stream by: a number that is made of its name, so that an entry takes half the
//! room. Two names may make the same number, so whoever follows the index looks at the name of what it finds.

use configapi_event_log::LogError;
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteConnection;

use crate::fault::log_error;
use crate::read::list;

/// It is in the file, so it never changes: the first 63 bits of the SHA-256 of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(i64);

impl Key {
    pub(crate) fn of(stream: &str) -> Self {
        let digest = Sha256::digest(stream);
        let first = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self((first >> 1).cast_signed())
    }

    /// As it is in the file.
    pub(crate) fn number(self) -> i64 {
        self.0
    }
}

/// How many names are given their numbers with one statement.
const NAMES: i64 = 2_048;

/// The numbers of all streams that an index by name has: what SQLite cannot compute itself.
const MAKE: &str = "CREATE TABLE keys (stream TEXT NOT NULL PRIMARY KEY, key INTEGER NOT NULL) \
     STRICT, WITHOUT ROWID";

const NEXT_NAMES: &str =
    "SELECT DISTINCT stream FROM streams WHERE stream > ?1 ORDER BY stream LIMIT ?2";

const ENTER: &str = "INSERT INTO keys SELECT value ->> 0, value ->> 1 FROM json_each(?)";

/// Makes the table `keys`, of all that are in the table `streams`.
pub(crate) async fn make_keys(connection: &mut SqliteConnection) -> Result<(), LogError> {
    let failed = |error| log_error(&error);
    sqlx::query(MAKE).execute(&mut *connection).await.map_err(failed)?;
    let mut last = String::new();
    loop {
        let next = sqlx::query_scalar(NEXT_NAMES).bind(&last).bind(NAMES);
        let names: Vec<String> = next.fetch_all(&mut *connection).await.map_err(failed)?;
        let keys: Vec<_> = names.iter().map(|name| (name, Key::of(name).number())).collect();
        let entering = sqlx::query(ENTER).bind(list(&keys)?).execute(&mut *connection).await;
        entering.map_err(failed)?;
        match names.into_iter().next_back() {
            Some(name) => last = name,
            None => return Ok(()),
        }
    }
}
