//! Through `PgBouncer` in transaction mode: no statement of ours may rely on a session, in
//! whichever way the pooler treats the settings of one.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::EventLog;
use configapi_event_log::conformance::{self, Factory};
use configapi_event_log_postgres::{Access, PostgresLog};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::harness::{Database, is_slow_wanted, server_url};
use crate::process::{command, directory, free_port};

/// A pooler before the server for tests.
struct Pooler {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It holds nothing worth a farewell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<&'static Path> {
    ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.exists())
}

impl Pooler {
    /// Starts one; none where `PgBouncer` is not installed.
    async fn start(ignored_settings: &str) -> Option<Self> {
        let Some(program) = program() else {
            // Past the test runner's own capture, so that it is seen.
            let note =
                b"LEFT OUT: PgBouncer, which is not installed (`apt-get install pgbouncer`)\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), note);
            return None;
        };
        let server: PgConnectOptions = server_url().parse().expect("a URL");
        let (directory, port) = (directory(), free_port());
        let settings = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={} user={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 6\nmax_client_conn = 200\n\
             unix_socket_dir =\nignore_startup_parameters = {ignored_settings}\n",
            server.get_host(),
            server.get_port(),
            server.get_username(),
        );
        std::fs::write(&settings, text).expect("its settings");
        let mut process = command(program);
        let process = process.arg(&settings).stdout(Stdio::null()).stderr(Stdio::null());
        let process = process.spawn().expect("pgbouncer starts");
        let pooler = Self { process, port, _directory: directory };
        pooler.until_it_answers().await;
        Some(pooler)
    }

    async fn until_it_answers(&self) {
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("pgbouncer does not answer");
    }
}

/// A database behind a pooler. Every other instance goes past the pooler: both kinds must agree.
struct Pooled {
    database: Database,
    pooler: Pooler,
    opened: std::sync::atomic::AtomicUsize,
}

impl Pooled {
    async fn with(ignored_settings: &str) -> Option<Self> {
        let pooler = Pooler::start(ignored_settings).await?;
        let database = Database::create().await;
        Some(Self { database, pooler, opened: 0.into() })
    }

    fn url(&self) -> String {
        format!("postgres://anybody@127.0.0.1:{}/{}", self.pooler.port, self.database.name)
    }
}

#[async_trait]
impl Factory for Pooled {
    async fn fresh() -> Self {
        Self::with("").await.expect("pgbouncer is installed")
    }

    async fn open(&self) -> Arc<dyn EventLog> {
        let number = self.opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let url = if number % 3 == 2 { self.database.url.clone() } else { self.url() };
        Arc::new(PostgresLog::open(&url, Access::ReadWrite).await.expect("the log opens"))
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// The properties that lean on sessions if anything does.
async fn holds_through(pooled: &Pooled) {
    conformance::every_instance_tells_the_same_identity(pooled).await;
    conformance::a_request_id_is_taken_once(pooled).await;
    conformance::a_page_for_a_replay_holds_the_same_rows(pooled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_refuses_settings_is_worked_with() {
    if let Some(pooled) = Pooled::with("").await {
        holds_through(&pooled).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_swallows_settings_is_worked_with() {
    if let Some(pooled) = Pooled::with("options,extra_float_digits").await {
        holds_through(&pooled).await;
    }
}

/// Each property on a log of its own, through both kinds of pooler.
macro_rules! through_a_pooler {
    ($($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                if !is_slow_wanted(concat!("through a pooler: ", stringify!($property))) {
                    return;
                }
                for ignored_settings in ["", "options"] {
                    if let Some(pooled) = Pooled::with(ignored_settings).await {
                        conformance::$property(&pooled).await;
                    }
                }
            }
        )*
    };
}

through_a_pooler! {
    a_batch_on_a_stale_head_moves_nothing
    a_page_never_tears_a_command_at_its_byte_limit
    a_page_for_a_replay_never_tears_a_command
    requests_come_back_as_whole_commands
    requests_end_at_their_limit_and_go_on_from_there
    many_callers_with_one_request_id_leave_one_event
    many_writers_all_finish_and_the_log_is_dense
    nobody_can_pass_a_writer_that_has_its_turn
    a_turn_that_is_dropped_is_given_back_and_leaves_nothing
    an_append_that_is_dropped_leaves_the_log_whole
    waiting_ends_soon_after_another_instance_appends
    a_follower_beside_busy_writers_misses_nothing
    a_new_epoch_is_told_to_everybody
    an_epoch_begins_only_at_the_head
}

/// The server must have been reached as the pooler's user, or the test tests nothing.
#[tokio::test]
async fn the_pooler_is_really_between() {
    let Some(pooled) = Pooled::with("").await else { return };
    let options: PgConnectOptions = pooled.url().parse().expect("a URL");
    let direct = options.clone().extra_float_digits(None).options([("jit", "off")]);
    assert!(direct.connect().await.is_err(), "a pooler refuses the settings of a session");
    assert!(options.extra_float_digits(None).connect().await.is_ok());
}
