//! Every workload, against the echo server.

use std::time::Duration;

use clap::ValueEnum as _;
use configapi_bench::{
    load::{self, Outcome, Spec},
    workload::{Fill, Workload, seed},
};

use crate::servers::{Echo, spec};

const LONGEST_WINDOW: Duration = Duration::from_secs(10);

#[test]
fn every_workload_gets_answers_and_no_error_from_the_echo() {
    let echo = Echo::start();
    for workload in Workload::value_variants() {
        let spec = Spec {
            warm_up: Duration::from_millis(5),
            window: Duration::from_millis(20),
            ..spec(*workload, echo.target(*workload))
        };
        let outcome = until_something_is_answered(&spec);
        assert!(outcome.is_sound(), "{outcome:?}");
        assert!(outcome.operations_with_warm_up >= outcome.operations, "{outcome:?}");
        assert!(outcome.latency_us.p50 > 0.0, "{outcome:?}");
    }
}

/// A busy machine may not get round to a single answer within a short window.
fn until_something_is_answered(spec: &Spec) -> Outcome {
    let mut spec = spec.clone();
    loop {
        let outcome = load::run(&spec).unwrap();
        if outcome.operations > 0 || spec.window > LONGEST_WINDOW {
            return outcome;
        }
        spec.window *= 4;
    }
}

#[test]
fn every_watcher_of_a_fan_out_is_told_of_every_set() {
    let echo = Echo::start();
    let spec = Spec {
        rate_per_second: Some(50.0),
        window: Duration::from_millis(400),
        ..spec(Workload::FanOut, echo.target(Workload::FanOut))
    };
    let outcome = load::run(&spec).unwrap();
    assert_eq!(outcome.operations, 20 * 10, "{outcome:?}");
    assert!(outcome.is_sound(), "{outcome:?}");
}

#[test]
fn an_open_loop_asks_as_often_as_it_was_told() {
    let echo = Echo::start();
    let spec =
        Spec { rate_per_second: Some(500.0), ..spec(Workload::Get, echo.target(Workload::Get)) };
    let outcome = load::run(&spec).unwrap();
    assert_eq!(outcome.operations, 100, "{outcome:?}");
}

#[test]
fn an_apply_counts_as_many_operations_as_it_has_sets() {
    let echo = Echo::start();
    let spec = spec(Workload::Apply, echo.target(Workload::Apply));
    let outcome = until_something_is_answered(&spec);
    assert_eq!(outcome.operations % 100, 0, "{outcome:?}");
}

#[test]
fn a_store_is_filled_once_every_set_is_acknowledged() {
    let echo = Echo::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fill = Fill { keys: 0..3_000, histories: true, depths: &[10, 200], value_bytes: 128 };
    runtime.block_on(seed(echo.target(Workload::Bulk), fill)).unwrap();
}
