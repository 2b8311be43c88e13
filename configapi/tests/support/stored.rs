//! Logs on disk: one with events of all kinds, and ways to change it behind everybody's back.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Serving, configapi};

/// A log with seven events of all kinds, an Apply among them; nobody writes any more. Every one is
/// the same log: it is written once, and copied.
pub fn written(directory: &Path) -> String {
    static FILES: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let original = tempfile::tempdir().unwrap();
        written_anew(original.path());
        let read = |name| Some((name, fs::read(original.path().join(name)).ok()?));
        ["log.db", "log.db-wal"].into_iter().filter_map(read).collect()
    });
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
    store_in(directory)
}

fn store_in(directory: &Path) -> String {
    format!("sqlite:{}", directory.join("log.db").display())
}

/// Another log with the same events.
pub fn written_anew(directory: &Path) -> String {
    let store = store_in(directory);
    let serving = Serving::start(&store);
    for (name, value) in [("a", "1"), ("b", "two\nlines \u{1}"), ("a", "3")] {
        serving.configapi(["set", name, value]).ends().succeeded();
    }
    serving.configapi(["delete", "a"]).ends().succeeded();
    let file = "- {restore: a, version: 1}\n- {set: c, value: é😀}\n";
    serving.configapi(["apply", "-"]).stdin(file).ends().succeeded();
    serving.configapi(["set", "d", "", "--request-id", "r1"]).ends().succeeded();
    store
}

/// Changes the file behind everybody's back.
pub fn tamper(store: &str, sql: impl Into<String>) {
    let (path, sql) = (store.strip_prefix("sqlite:").unwrap(), sql.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        let triggers: Vec<(String,)> =
            sqlx::query_as("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        for (name,) in triggers {
            let drop = sqlx::AssertSqlSafe(format!("DROP TRIGGER {name}"));
            sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
        }
        let changed =
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
        // One that is dropped is closed later, and with it go the files beside the database.
        connection.close().await.unwrap();
    });
}

/// All rows of a log after genesis, as a backup has them.
pub fn rows(store: &str) -> Vec<Value> {
    let backup = configapi(["backup", "--store", store, "-"]).ends().succeeded().stdout;
    let lines = backup.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|row| row["position"].as_u64() > Some(0)).collect()
}

/// Leaves of a restore what one has done that is killed.
pub fn interrupt(store: &str) {
    for position in [7, 6, 5] {
        tamper(store, format!("DELETE FROM events WHERE position = {position}"));
    }
}
