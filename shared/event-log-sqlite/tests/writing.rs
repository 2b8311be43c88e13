//! Rows for tests of this store alone, and a connection as `sqlite3` on a console would have it.

use std::path::Path;

use configapi_event_log::domain::{
    ConfigEvent, ConfigKey, Content, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{CommandPart, Draft, Head, StoredEvent, encode, seal};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

/// So many new configs, each set once.
pub(crate) fn events(head: &Head, count: u64) -> Vec<StoredEvent> {
    let mut rows: Vec<StoredEvent> = Vec::new();
    let mut end = *head;
    for _ in 0..count {
        let position = end.position.next();
        let content = Content::untyped(Value::parse(format!("value {position}")).unwrap());
        let mut row = encode(&Draft {
            position,
            version: Version(1),
            recorded_at: Timestamp(head.recorded_at.0 + 1),
            key: &ConfigKey::parse("", &format!("config/{position}")).unwrap(),
            event: &ConfigEvent::Set { content, old_value: None },
            provenance: &Provenance::default(),
            request: None,
            part: CommandPart::WHOLE,
        });
        seal(end.hash, &mut row);
        end = Head { position, hash: row.hash, ..end };
        rows.push(row);
    }
    rows
}

/// Somebody with the file in their hands.
pub(crate) async fn console(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// What the database says to one statement.
pub(crate) async fn run(console: &mut SqliteConnection, sql: &str) -> Result<u64, String> {
    match sqlx::raw_sql(AssertSqlSafe(sql)).execute(console).await {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) => Err(error.to_string()),
    }
}
