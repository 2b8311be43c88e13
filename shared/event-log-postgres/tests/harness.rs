//! What the tests stand on: a database of their own on the server that `DATABASE_URL` names, which
//! goes away with its owner.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, raw_sql};

/// A database that nobody else knows.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) name: String,
    server: String,
}

/// The server for tests.
pub(crate) fn server_url() -> String {
    std::env::var("DATABASE_URL").expect(
        "these tests need a PostgreSQL server where they may create databases: run them by \
         `make test`, or under `scripts/with-postgres`, or set DATABASE_URL",
    )
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (rest, parameters) = url.split_once('?').map_or((url, ""), |(rest, p)| (rest, p));
    let scheme_end = rest.find("://").map_or(0, |at| at + 3);
    let path_start = rest[scheme_end..].find('/').map_or(rest.len(), |at| scheme_end + at);
    let question = if parameters.is_empty() { "" } else { "?" };
    format!("{}/{name}{question}{parameters}", &rest[..path_start])
}

impl Database {
    /// A fresh, empty database on the server for tests.
    pub(crate) async fn create() -> Self {
        Self::create_on(&server_url()).await
    }

    /// A fresh, empty database on any server.
    pub(crate) async fn create_on(server: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("configapi_test_{}_{number}", std::process::id());
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        execute(&mut connect(server).await, &sql).await;
        Self { url: with_database(server, &name), name, server: server.to_owned() }
    }

    /// A connection as the owner of the database.
    pub(crate) async fn connect(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// The URL of this database for another role.
    pub(crate) fn url_as(&self, role: &str) -> String {
        let at = self.url.find("://").expect("a URL") + 3;
        let host = self.url[at..].find('@').map_or(at, |found| at + found + 1);
        format!("{}{role}@{}", &self.url[..at], &self.url[host..])
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // A drop cannot wait in the runtime of its test, which may be about to end.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let options: PgConnectOptions = server.parse()?;
                let mut connection = options.disable_statement_logging().connect().await?;
                raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            })?;
            Ok::<(), sqlx::Error>(())
        });
        if let Ok(Err(error)) = cleaning.join() {
            eprintln!("a test's database stays behind: {error}");
        }
    }
}

/// A connection to a server or database.
pub(crate) async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.disable_statement_logging().connect().await.expect("the server answers")
}

/// Runs statements that must succeed.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    let outcome = raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Whether the tests that take long are wanted; says so aloud if one is left out.
pub(crate) fn is_slow_wanted(what: &str) -> bool {
    let is_wanted = std::env::var_os("CONFIGAPI_SLOW_TESTS").is_some();
    if !is_wanted {
        // Past the test runner's own capture, so that it is seen.
        let note = format!("LEFT OUT: {what}; CONFIGAPI_SLOW_TESTS=1 runs it\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
    }
    is_wanted
}
