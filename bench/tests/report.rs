//! The table and the plot, from results made by hand.

use std::collections::BTreeMap;

use configapi_bench::{
    load::{Latency, Outcome},
    report::{
        CpuPerOperation, Measured, Results, Run, RunSettings, ServerStart, Verdict, judged, plot,
        table,
    },
    suite::{Conditions, RestedCore, Subject, Unit},
    workload::Workload,
};

fn conditions() -> Conditions {
    let text = |text: &str| text.to_owned();
    Conditions {
        cpu: text("AMD <EPYC>"),
        cores: 2,
        memory: text("16 GiB"),
        kernel: text("Linux 6.1"),
        commit: text("0123456789ab"),
        rustc: text("rustc 1.95"),
        postgres: text("postgres (PostgreSQL) 17.2"),
        postgres_settings: text("fsync=on"),
        sqlite_settings: text("WAL"),
        etcd: text("etcd Version: 3.5.1"),
        etcd_settings: text("fsync on"),
        fdatasync_us: 123.4,
        core: RestedCore { busy_us: 12.3, rested_us: 98.7 },
        load_average_before: text("0.10 0.20 0.30"),
        load_average_after: text("2.10 1.20 0.30"),
    }
}

fn measured(id: &str, subject: Subject, slots: usize, per_second: f64, p50_us: f64) -> Measured {
    let latency_us = Latency {
        min: 1.0,
        mean: p50_us,
        p50: p50_us,
        p90: p50_us * 2.0,
        p99: p50_us * 3.0,
        p999: p50_us * 4.0,
        max: p50_us * 5.0,
    };
    let outcome = Outcome {
        workload: Workload::Get,
        connections: 1,
        in_flight: slots,
        threads: 1,
        rate_per_second: None,
        window_seconds: 1.0,
        operations: 1_000,
        operations_with_warm_up: 1_200,
        per_second,
        errors: 0,
        failures: BTreeMap::new(),
        refusal_latency_us: None,
        first_error: None,
        unfinished: 0,
        unsent: 0,
        latency_us,
    };
    let database = (subject == Subject::Postgres).then_some(1.25);
    let cpu_us = CpuPerOperation { client: 8.0, server: 10.5, database };
    Measured {
        id: id.to_owned(),
        title: id.to_owned(),
        subject,
        workload: Workload::Get,
        unit: Unit::Requests,
        keys: 100_000,
        connections: 1,
        in_flight: slots,
        per_second,
        p50_us,
        p99_us: p50_us * 3.0,
        cpu_us,
        runs: vec![Run { outcome, cpu_us }],
    }
}

fn results() -> Results {
    let settings = RunSettings { rounds: 5, window_ms: 1_200, warm_up_ms: 300, value_bytes: 128 };
    Results {
        date: "2026-11-21T06:30:00Z".parse().unwrap(),
        took_seconds: 500,
        skipped: vec!["ConfigApi on SQLite: not built".to_owned()],
        failures: vec![],
        measured: vec![
            measured("get", Subject::Echo, 32, 100_000.0, 2_500.0),
            measured("get", Subject::Postgres, 32, 90_000.0, 2_800.0),
            measured("get-one", Subject::Echo, 1, 20_000.0, 50.0),
            measured("get-one", Subject::Postgres, 1, 15_000.0, 65.0),
            measured("set-cas", Subject::Postgres, 32, 45_678.0, 5_000.0),
        ],
        starts: vec![ServerStart {
            events: 1_000,
            configs: 1_000,
            ready_after_ms: 80.0,
            events_per_second: 12_500.0,
            memory_mib: 31.0,
        }],
        ..Results::new(conditions(), settings)
    }
}

#[test]
fn the_table_says_what_was_measured_under_which_conditions() {
    insta::assert_snapshot!(table(&results()));
}

#[test]
fn goals_are_judged_by_ratios_within_the_run() {
    let verdicts: Vec<_> =
        judged(&results()).iter().map(|(goal, _, verdict)| (goal.what, *verdict)).collect();
    assert_eq!(
        verdicts,
        [
            ("get ÷ echo", Verdict::Holds),
            ("get one at a time, p50 ÷ echo's", Verdict::Missed),
            ("events replayed at start", Verdict::Missed),
            ("start until ready, 1,000 events", Verdict::Reached),
            ("memory of a server at rest", Verdict::Missed),
        ]
    );
}

#[test]
fn the_plot_has_a_bar_for_each_subject_of_what_can_be_compared() {
    let plot = plot(&results());
    // One background, two in the legend, two measurements of two subjects each.
    assert_eq!(plot.matches("<rect").count(), 1 + 2 + 4);
    assert!(plot.contains("AMD &lt;EPYC>") && plot.ends_with("</svg>\n"));
}

#[test]
fn results_survive_being_written_and_read() {
    let results = results();
    let json = results.to_json().unwrap();
    assert_eq!(json.lines().count(), 1 + results.measured.len());
    assert_eq!(serde_json::from_str::<Results>(&json).unwrap(), results);
}
