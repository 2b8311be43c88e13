//! A database of one's own on the server that `DATABASE_URL` names.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::runtime::Runtime;

/// A database that goes away with its owner.
pub struct Database {
    pub url: String,
    name: String,
    server: String,
    runtime: Runtime,
}

/// An empty database.
pub fn create() -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        panic!(
            "this test needs a PostgreSQL server where it may create databases: run it by \
             `make test`, or under `scripts/with-postgres`, or set DATABASE_URL"
        )
    });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("configapi_cli_{}_{number}", std::process::id());
    let (before, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = before.rsplit_once('/').unwrap();
    let url = format!("{host}/{name}?{parameters}").trim_end_matches('?').to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = Database { url, name, server, runtime };
    database.execute(&format!("CREATE DATABASE {} TEMPLATE template0", database.name));
    database
}

impl Database {
    fn execute(&self, sql: &str) {
        self.runtime.block_on(async {
            let options: PgConnectOptions = self.server.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        });
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}
