//! What only shows in a process of its own: signals, exit codes, the environment, log lines. The
//! test binary starts itself again with one of the ignored tests below as the whole program.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use configapi_runtime::{
    http::admin,
    metrics::Metrics,
    process, settings,
    shutdown::{Exit, Lifecycle},
    telemetry,
};

use super::settings::Settings;

fn command(name: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env_remove("CONFIGAPI_LOG")
        .env("CONFIGAPI_LOG_FORMAT", "json")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The same, started by another program that is told so.
#[cfg(target_os = "linux")]
fn command_by(starter: &str, told: &[&str], name: &str) -> Command {
    let program = command(name, &[("CONFIGAPI_TEST_STORE", "memory:")]);
    let mut command = Command::new(starter);
    command.args(told).arg(program.get_program()).args(program.get_args());
    command.env_remove("CONFIGAPI_LOG");
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn program(name: &str, environment: &[(&str, &str)]) -> Child {
    command(name, environment).spawn().expect("starts")
}

fn settings_of_the_program() -> Settings {
    match settings::parse_from(["probe"]) {
        Ok(settings) => settings,
        Err(settings::NoSettings::Wrong(line)) => {
            settings::wrong(&line);
            std::process::exit(i32::from(settings::EXIT_WRONG_SETTING))
        }
        Err(settings::NoSettings::Asked(_)) => unreachable!("nothing is asked"),
    }
}

#[test]
#[ignore = "a program for the tests below"]
fn program_that_hangs() {
    let settings = settings_of_the_program();
    telemetry::init(&settings.log, "probe", "1.2.3").expect("telemetry");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let exit = runtime.block_on(async {
        let life = Lifecycle::new(Duration::from_hours(1));
        life.watch_signals().expect("signals");
        tracing::info!("signals are watched");
        life.spawn(std::future::pending());
        life.finish().await
    });
    std::process::exit(i32::from(exit != Exit::Clean) * 42);
}

#[test]
#[ignore = "a program for the tests below"]
fn program_that_panics() {
    let settings = settings_of_the_program();
    telemetry::init(&settings.log, "probe", "1.2.3").expect("telemetry");
    let _ = std::panic::catch_unwind(|| panic!("a fixed sentence"));
    let _ = std::panic::catch_unwind(|| panic!("a formatted {}", std::hint::black_box("secret")));
}

#[test]
#[ignore = "a program for the tests below"]
fn program_that_cannot_start() {
    let settings = settings_of_the_program();
    telemetry::init(&settings.log, "probe", "1.2.3").expect("telemetry");
    process::cannot_start(&std::io::Error::other("there is no room"));
}

#[test]
fn why_a_server_cannot_start_is_told_once_whatever_is_logged() {
    for filter in ["off", "configapi_gateway=debug", "info"] {
        let environment = [("CONFIGAPI_TEST_STORE", "memory:"), ("CONFIGAPI_LOG", filter)];
        let ended = program("process::program_that_cannot_start", &environment);
        let ended = ended.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(said.matches("there is no room").count(), 1, "{filter}: {said}");
        assert_eq!(said.matches("the server cannot start").count(), 1, "{filter}: {said}");
    }
}

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(name: &str) -> Self {
        Self::of(program(name, &[("CONFIGAPI_TEST_STORE", "memory:")]))
    }

    fn of(mut child: Child) -> Self {
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, lines }
    }

    /// Reads log lines until one contains this.
    fn line_with(&mut self, text: &str) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("text") > 0 {
            if line.contains(text) {
                return line;
            }
            line.clear();
        }
        panic!("it ended without saying {text:?}");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn ended(mut self) -> ExitStatus {
        let mut rest = Vec::new();
        self.lines.read_to_end(&mut rest).expect("bytes");
        self.child.wait().expect("ends")
    }
}

#[test]
fn the_first_signal_drains_and_the_second_cuts_off() {
    for (first, second) in [("TERM", "INT"), ("INT", "TERM")] {
        let mut running = Running::start("process::program_that_hangs");
        running.line_with("signals are watched");
        running.signal(first);
        let line = running.line_with("shutting down");
        assert!(line.contains(&format!(r#""why":"SIG{first}""#)), "{line}");
        running.signal(second);
        running.line_with("cutting off");
        assert_eq!(running.ended().code(), Some(42));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_that_is_closed_drains_a_server_unless_that_is_to_be_ignored() {
    let start = |option| {
        let started = command_by("env", &[option], "process::program_that_hangs").spawn();
        let mut running = Running::of(started.expect("env runs"));
        running.line_with("signals are watched");
        running
    };
    let mut running = start("--default-signal=HUP");
    running.signal("HUP");
    let line = running.line_with("shutting down");
    assert!(line.contains(r#""why":"SIGHUP""#), "{line}");
    running.signal("HUP");
    running.line_with("cutting off");
    assert_eq!(running.ended().code(), Some(42));

    let mut running = start("--ignore-signal=HUP");
    running.signal("HUP");
    running.signal("TERM");
    let line = running.line_with("shutting down");
    assert!(line.contains(r#""why":"SIGTERM""#), "{line}");
    running.signal("TERM");
    running.ended();
}

#[test]
fn a_wrong_variable_ends_the_start_with_one_line() {
    let environment = [("CONFIGAPI_TEST_STORE", "memory:"), ("CONFIGAPI_TEST_ADDR", "nowhere")];
    let ended = program("process::program_that_hangs", &environment).wait_with_output();
    let ended = ended.expect("ends");
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr);
    let line = "probe: --address (CONFIGAPI_TEST_ADDR): invalid socket address syntax; \
                it wants <ADDR>: Where it listens\n";
    assert!(said.ends_with(line) && said.lines().count() == 1, "{said}");
}

#[test]
fn the_first_log_line_says_what_starts() {
    let mut running = Running::start("process::program_that_panics");
    let line = running.line_with("starting");
    assert!(line.contains(r#""service":"probe""#), "{line}");
    assert!(line.contains(r#""version":"1.2.3""#), "{line}");
}

#[test]
fn a_server_tells_of_variables_that_nobody_knows_and_not_what_is_in_them() {
    let environment = [
        ("CONFIGAPI_TEST_STORE", "memory:"),
        ("CONFIGAPI_STORES", "postgres://me:s3cret@db/log"),
        ("CONFIGAPI_NAMESPACE", "s3cret"),
    ];
    let ended = program("process::program_that_panics", &environment).wait_with_output();
    let said = String::from_utf8_lossy(&ended.expect("ends").stderr).into_owned();
    let told: Vec<_> = said.lines().filter(|line| line.contains(r#""level":"WARN""#)).collect();
    let [line] = told[..] else { panic!("one warning: {said}") };
    assert!(line.contains(r#""variables":"CONFIGAPI_STORES (is it CONFIGAPI_STORE?)""#), "{line}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_panic_is_logged_with_its_place_but_without_data() {
    let mut running = Running::start("process::program_that_panics");
    let fixed = running.line_with("panicked");
    assert!(fixed.contains("a fixed sentence"), "{fixed}");
    assert!(fixed.contains("tests/process.rs:"), "{fixed}");
    assert!(fixed.contains("program_that_panics"), "{fixed}");
    let formatted = running.line_with("panicked");
    assert!(formatted.contains("withheld"), "{formatted}");
    assert!(!formatted.contains("secret"), "{formatted}");
}

#[test]
#[ignore = "a program for the tests below"]
fn program_that_serves() {
    let settings = settings_of_the_program();
    telemetry::init(&settings.log, "probe", "1.2.3").expect("telemetry");
    let _ = std::panic::catch_unwind(|| panic!("a fixed sentence"));
    let exit = process::run(async {
        let life = Lifecycle::default();
        life.watch_signals().expect("signals");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        writeln!(std::io::stdout(), "\nserves at {address}").expect("somebody listens");
        let (lived, metrics) = (life.clone(), Metrics::new("probe", "1.2.3"));
        life.spawn(async move {
            admin::serve(listener, &metrics, &lived, Arc::new(|| Ok(()))).await;
        });
        life.finish().await
    });
    std::process::exit(i32::from(!matches!(exit, Ok(Exit::Clean))) * 42);
}

/// Where a program says that it serves.
fn address_of(child: &mut Child) -> String {
    let said = BufReader::new(child.stdout.take().expect("piped"));
    let mut said = said.lines().map(|line| line.expect("text"));
    let serving = said.find_map(|line| line.strip_prefix("serves at ").map(ToOwned::to_owned));
    serving.expect("it serves")
}

fn assert_lives(address: &str) {
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// The metrics, over a connection that is kept.
#[cfg(target_os = "linux")]
fn page_of(stream: &mut std::net::TcpStream) -> String {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").expect("written");
    let mut lines = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).expect("text");
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut page = vec![0; length];
    lines.read_exact(&mut page).expect("all of it");
    String::from_utf8(page).expect("text")
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_without_descriptors_names_their_limit_once_and_goes_on() {
    let told = ["-c", r#"ulimit -n 32 && exec "$0" "$@""#];
    let mut child = command_by("sh", &told, "process::program_that_serves")
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let address = address_of(&mut child);
    let connect = || std::net::TcpStream::connect(&address).expect("a connection");
    let mut idle: Vec<_> = (0..40).map(|_| connect()).collect();
    let lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut running = Running { child, lines };
    let line = running.line_with("cannot be accepted");
    assert!(line.contains(r#""max_files":32"#) && line.contains("LimitNOFILE"), "{line}");

    // Who was accepted before is served as ever.
    let failed = r#"configapi_connections_failed_total{server="admin"}"#;
    let mut tries = 0;
    while tries < 3 {
        let page = page_of(&mut idle[0]);
        let line = page.lines().find_map(|line| line.strip_prefix(failed));
        tries = line.and_then(|number| number.trim().parse().ok()).expect("it is counted");
    }
    drop(idle);
    assert_lives(&address);
    running.signal("TERM");
    let mut rest = String::new();
    running.lines.read_to_string(&mut rest).expect("text");
    assert!(!rest.contains("cannot be accepted"), "{rest}");
    assert_eq!(running.child.wait().expect("ends").code(), Some(0));
}

#[test]
fn what_went_well_is_logged_for_who_asks_for_it() {
    for (filter, is_logged) in [("info", false), ("info,configapi_runtime=trace", true)] {
        let environment = [("CONFIGAPI_TEST_STORE", "memory:"), ("CONFIGAPI_LOG", filter)];
        let mut child = command("process::program_that_serves", &environment)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        assert_lives(&address_of(&mut child));
        let mut running = Running::of(child);
        running.signal("TERM");
        let mut said = String::new();
        running.lines.read_to_string(&mut said).expect("text");
        let line = said.lines().find(|line| line.contains("request answered"));
        assert_eq!(line.is_some(), is_logged, "{said}");
        if let Some(line) = line {
            let what = r#""method":"GET","route":"/livez","status":200"#;
            assert!(line.contains(what) && line.contains("request_id"), "{line}");
        }
    }
}

/// Many systems give a program fewer than it may take.
#[cfg(target_os = "linux")]
#[test]
fn a_server_takes_as_many_descriptors_as_it_may_have() {
    let told = ["-c", r#"ulimit -Sn 64 && exec "$0" "$@""#];
    let mut child = command_by("sh", &told, "process::program_that_serves")
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let address = address_of(&mut child);
    let running = Running::of(child);
    let page = page_of(&mut std::net::TcpStream::connect(&address).expect("a connection"));
    let told = page.lines().find_map(|line| line.strip_prefix("process_max_fds "));
    let max_files: f64 = told.expect("it is told").parse().expect("a number");
    assert!(max_files > 64.0, "{max_files}");
    running.signal("TERM");
    assert_eq!(running.ended().code(), Some(0));
}

/// A process that logs to there lives, serves and ends as it should.
fn assert_serves_without_a_log(log: Stdio) {
    let mut child = command("process::program_that_serves", &[("CONFIGAPI_TEST_STORE", "memory:")])
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("starts");
    assert_lives(&address_of(&mut child));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().expect("kill runs").success());
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_stops_no_server() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_serves_without_a_log(writer.into());
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_stops_no_server() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("it is there");
    assert_serves_without_a_log(full.into());
}
