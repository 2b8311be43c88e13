//! What only shows in a process of its own: signals, exit codes, the environment, log lines. The
//! test binary starts itself again with one of the ignored tests below as the whole program.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use configapi_runtime::{
    settings,
    shutdown::{Exit, Lifecycle},
    telemetry,
};

use super::settings::Settings;

fn program(name: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env_remove("CONFIGAPI_LOG")
        .env("CONFIGAPI_LOG_FORMAT", "json")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
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

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(name: &str) -> Self {
        let mut child = program(name, &[("CONFIGAPI_TEST_STORE", "memory:")]);
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

#[test]
fn a_wrong_variable_ends_the_start_with_one_line() {
    let environment = [("CONFIGAPI_TEST_STORE", "memory:"), ("CONFIGAPI_TEST_ADDR", "nowhere")];
    let ended = program("process::program_that_hangs", &environment).wait_with_output();
    let ended = ended.expect("ends");
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&ended.stderr),
        "probe: --address (CONFIGAPI_TEST_ADDR): invalid socket address syntax; \
         it wants <ADDR>: Where it listens\n"
    );
}

#[test]
fn the_first_log_line_says_what_starts() {
    let mut running = Running::start("process::program_that_panics");
    let line = running.line_with("starting");
    assert!(line.contains(r#""service":"probe""#), "{line}");
    assert!(line.contains(r#""version":"1.2.3""#), "{line}");
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
