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
    create_from("template0")
}

/// A database that has what another one has, to which nobody may be connected.
fn create_from(template: &str) -> Database {
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
    database.execute(&format!("CREATE DATABASE {} TEMPLATE {template}", database.name));
    database
}

impl Database {
    /// Another one that has what this one has now, as a dump that was restored elsewhere.
    pub fn copy(&self) -> Self {
        create_from(&self.name)
    }

    /// Puts this one in the place of another, under whoever is connected to that.
    pub fn replaces(self, other: &Self) {
        self.execute(&format!("DROP DATABASE {} WITH (FORCE)", other.name));
        self.execute(&format!("ALTER DATABASE {} RENAME TO {}", self.name, other.name));
    }

    /// Lets the server say to connections that are made from now on what [`Database::stands_by`] tells
    /// it of whether it is a standby. It is none, and takes writes for as long as it says so.
    pub fn plays_roles(&self) {
        self.execute_within(
            "CREATE SCHEMA played;
             CREATE TABLE played.role AS SELECT false AS is_standby, NULL::timestamptz AS replayed;
             CREATE FUNCTION played.pg_is_in_recovery() RETURNS boolean LANGUAGE sql
                 AS 'SELECT is_standby FROM played.role';
             CREATE FUNCTION played.pg_last_xact_replay_timestamp() RETURNS timestamptz
                 LANGUAGE sql AS 'SELECT replayed FROM played.role'",
        );
        let name = &self.name;
        self.execute(&format!("ALTER DATABASE {name} SET search_path = played, pg_catalog"));
    }

    /// What a server that plays roles says from now on.
    pub fn stands_by(&self, is_standby: bool) {
        self.execute_within(&format!("UPDATE played.role SET is_standby = {is_standby}"));
    }

    /// As a standby it has come to the present; before, it had replayed nothing.
    pub fn has_replayed_all(&self) {
        self.execute_within("UPDATE played.role SET replayed = clock_timestamp()");
    }

    fn execute(&self, sql: &str) {
        self.execute_on(&self.server, sql);
    }

    fn execute_within(&self, sql: &str) {
        self.execute_on(&self.url, sql);
    }

    fn execute_on(&self, url: &str, sql: &str) {
        self.runtime.block_on(async {
            let options: PgConnectOptions = url.parse().unwrap();
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
