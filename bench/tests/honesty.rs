//! What goes wrong has to show in the figures.

use std::time::{Duration, Instant};

use configapi_bench::{
    load::{self, Outcome, Spec},
    workload::{Target, Workload},
};

use crate::servers::{always_refuses, never_answers, spec, stalls_once};

const STALL: Duration = Duration::from_millis(400);

fn against_a_stall(rate_per_second: Option<f64>) -> Outcome {
    let target = Target::Rest(stalls_once(STALL));
    let spec = Spec {
        connections: 1,
        in_flight: 1,
        threads: 1,
        warm_up: Duration::ZERO,
        window: Duration::from_secs(1),
        rate_per_second,
        ..spec(Workload::RestGet, target)
    };
    load::run(&spec).unwrap()
}

#[test]
fn in_an_open_loop_a_stall_is_charged_for_all_who_were_due_meanwhile() {
    let outcome = against_a_stall(Some(200.0));
    assert_eq!(outcome.operations, 200, "{outcome:?}");
    // 80 of the 200 were due while the server stalled, and waited 200 ms on average.
    assert!(outcome.latency_us.p90 > 200_000.0, "{outcome:?}");
    assert!(outcome.latency_us.max >= 390_000.0, "{outcome:?}");
}

#[test]
fn in_a_closed_loop_a_stall_is_one_slow_request() {
    let outcome = against_a_stall(None);
    assert!(outcome.latency_us.p90 < 200_000.0, "{outcome:?}");
    assert!(outcome.latency_us.max >= 390_000.0, "{outcome:?}");
}

#[test]
fn answers_that_refuse_are_errors_and_not_operations() {
    let target = Target::Rest(always_refuses());
    let outcome = load::run(&spec(Workload::RestGet, target)).unwrap();
    assert_eq!(outcome.operations, 0, "{outcome:?}");
    assert!(outcome.errors > 0, "{outcome:?}");
    assert_eq!(outcome.failures, [("503".to_owned(), outcome.errors)].into(), "{outcome:?}");
    assert!(outcome.refusal_latency_us.unwrap().min > 0.0);
    assert!(!outcome.is_sound());
    let error = outcome.first_error.unwrap();
    assert_eq!(error, "the server answered with status 503: full");
}

#[test]
fn a_server_that_never_answers_ends_the_load_and_is_named_in_it() {
    let target = Target::Rest(never_answers());
    let began = Instant::now();
    let outcome = load::run(&spec(Workload::RestGet, target)).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(outcome.unfinished, 4, "{outcome:?}");
    assert!(!outcome.is_sound());
}

#[test]
fn a_load_on_nobody_fails() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = load::run(&spec(Workload::RestGet, Target::Rest(closed))).unwrap_err();
    assert!(format!("{error:#}").contains("no gateway"), "{error:#}");
}
