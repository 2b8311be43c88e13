//! Places at which a process can be made to fail. The test binary starts itself again with the
//! ignored test below as the whole program.

use std::process::{Command, Output, Stdio};

use configapi_runtime::failpoints::{Failpoint, VARIABLE, arm};
use configapi_runtime::settings;

const AWAITED: Failpoint = Failpoint::new("awaited");
const BLOCKING: Failpoint = Failpoint::new("blocking");

#[test]
#[ignore = "a program for the tests below"]
fn program_that_passes_failpoints() {
    if let Err(error) = arm(&[AWAITED, BLOCKING]) {
        settings::wrong(&error.to_string());
        std::process::exit(i32::from(settings::EXIT_WRONG_SETTING));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for pass in 1..=4 {
            eprintln!(
                "awaited {pass} {}",
                if AWAITED.pass().await.is_ok() { "well" } else { "ill" }
            );
            eprintln!(
                "blocking {pass} {}",
                if BLOCKING.pass_blocking().is_ok() { "well" } else { "ill" }
            );
        }
    });
}

fn told(orders: Option<&str>) -> Output {
    let mut program = Command::new(std::env::current_exe().expect("this binary"));
    program.args(["failpoints::program_that_passes_failpoints", "--exact", "--ignored"]);
    program.arg("--nocapture").env_remove(VARIABLE).stdin(Stdio::null());
    program.envs(orders.map(|orders| (VARIABLE, orders)));
    program.output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_not_armed_is_passed() {
    let output = told(None);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("well").count(), 8, "{}", said(&output));
}

#[cfg(not(feature = "failpoints"))]
#[test]
fn a_build_without_failpoints_refuses_to_be_told_of_one() {
    for orders in ["awaited=exit", ""] {
        let output = told(Some(orders));
        assert_eq!(output.status.code(), Some(2));
        let said = said(&output);
        let line = ": CONFIGAPI_FAILPOINTS: this program was built without failpoints\n";
        assert!(said.ends_with(line) && said.lines().count() == 1, "{said}");
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::{Duration, Instant};

    use super::{said, told};

    #[test]
    fn an_error_strikes_at_the_passes_it_was_ordered_for_and_at_no_other() {
        let output = told(Some("awaited=error@2x2; blocking=error"));
        let said = said(&output);
        let ill: Vec<_> = said.lines().filter(|line| line.ends_with("ill")).collect();
        assert_eq!(ill, ["blocking 1 ill", "awaited 2 ill", "awaited 3 ill"], "{said}");
    }

    #[test]
    fn an_exit_is_an_abort_in_the_middle_of_everything() {
        let output = told(Some("blocking=exit@3"));
        assert_eq!(output.status.signal(), Some(6));
        assert_eq!(said(&output).lines().last(), Some("awaited 3 well"));
    }

    #[test]
    fn a_panic_is_a_panic() {
        let output = told(Some("awaited=panic@2"));
        assert_eq!(output.status.code(), Some(101));
        assert!(said(&output).contains("blocking 1 well"), "{}", said(&output));
        assert!(!said(&output).contains("awaited 2"), "{}", said(&output));
    }

    #[test]
    fn a_pause_takes_its_time_and_does_no_harm() {
        let began = Instant::now();
        let output = told(Some("awaited=pause(150ms);blocking=pause(150ms)@4"));
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(said(&output).matches("well").count(), 8, "{}", said(&output));
    }

    #[test]
    fn a_wrong_order_ends_the_start_with_one_line_that_names_it() {
        let cases = [
            (
                "elsewhere=exit",
                "there is no failpoint \"elsewhere\" here; there is awaited, blocking",
            ),
            ("", "there is no failpoint \"\" here"),
            ("awaited", "awaited cannot do \"\""),
            ("awaited=explode", "awaited cannot do \"explode\""),
            ("awaited=pause", "awaited cannot do \"pause\""),
            ("awaited=pause(5)", "awaited cannot do \"pause(5)\""),
            ("awaited=exit@0", "awaited cannot do \"exit@0\""),
            ("awaited=exit@2x", "awaited cannot do \"exit@2x\""),
            ("awaited=exit@2x0", "awaited cannot do \"exit@2x0\""),
            ("awaited=exit;awaited=panic", "awaited is named twice"),
        ];
        for (orders, wrong) in cases {
            let output = told(Some(orders));
            let said = said(&output);
            assert_eq!(output.status.code(), Some(2), "{orders}: {said}");
            assert!(said.contains(&format!(": CONFIGAPI_FAILPOINTS: {wrong}")), "{orders}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}
