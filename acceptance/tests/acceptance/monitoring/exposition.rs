//! The form of the metrics, and that none is missing.

use std::collections::BTreeSet;

use openmetrics_parser::OpenMetricsType;

use super::{Page, scraped, scraped_from_audit};

/// What an operator must be able to see of one process that is all servers.
const REQUIRED: &[&str] = &[
    "configapi_build_info",
    "configapi_command_ambiguous_commits_total",
    "configapi_command_batch_commands_bucket",
    "configapi_command_commit_seconds_bucket",
    "configapi_command_events_appended_total",
    "configapi_command_log_head_position",
    "configapi_command_log_refused",
    "configapi_command_queue_depth",
    "configapi_command_queue_limit",
    "configapi_command_races_lost_total",
    "configapi_command_refused_total",
    "configapi_command_seconds_bucket",
    "configapi_command_serving",
    "configapi_connections",
    "configapi_gateway_shed_total",
    "configapi_gateway_watches",
    "configapi_query_applied_position",
    "configapi_query_head_position",
    "configapi_query_lag_events",
    "configapi_query_lag_seconds",
    "configapi_query_replay_seconds",
    "configapi_query_serving",
    "configapi_query_snapshot_seconds",
    "configapi_query_tailer_errors_total",
    "configapi_query_watchers",
    "configapi_ready",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds_bucket",
    "http_server_request_duration_seconds_bucket",
    "http_server_requests_total",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

/// What an operator must be able to see of an audit worker.
const REQUIRED_OF_AUDIT: &[&str] = &[
    "configapi_audit_delivery_failures_total",
    "configapi_audit_lag_seconds",
    "configapi_audit_position",
    "configapi_audit_read_failures_total",
    "configapi_audit_records_total",
    "configapi_build_info",
    "configapi_ready",
    "process_resident_memory_bytes",
];

/// Ends of names that say another unit than the base one.
const NOT_BASE_UNITS: &[&str] = &[
    "_ms",
    "_us",
    "_ns",
    "_millis",
    "_milliseconds",
    "_micros",
    "_microseconds",
    "_nanoseconds",
    "_minutes",
    "_hours",
    "_kib",
    "_mib",
    "_kilobytes",
    "_megabytes",
    "_percent",
];

#[tokio::test]
async fn a_scraper_understands_every_family_and_each_says_what_it_is() {
    for page in [scraped().await, scraped_from_audit().await] {
        assert!(page.parsed.families.len() > 10, "{:?}", page.parsed.families.keys());
        assert_well_formed(&page);
    }
}

fn assert_well_formed(page: &Page) {
    for (name, family) in &page.parsed.families {
        assert!(!family.help.trim().is_empty(), "{name} has no help");
        assert_ne!(family.family_type, OpenMetricsType::Unknown, "{name} has no type");
        for end in NOT_BASE_UNITS {
            assert!(!name.ends_with(end), "{name} is not in a base unit");
        }
        if name.contains("seconds") || name.contains("bytes") {
            let is_base = name.ends_with("_seconds") || name.ends_with("_bytes");
            assert!(is_base, "{name} hides its unit");
        }
        let help = format!("# HELP {name} ");
        let kind = format!("# TYPE {name} ");
        for line in [help, kind] {
            assert_eq!(page.text.matches(&line).count(), 1, "{line}");
        }
    }
}

#[tokio::test]
async fn a_live_system_tells_all_that_an_operator_must_see() {
    let page = scraped().await;
    let series = page.series();
    let missing: Vec<_> = REQUIRED.iter().filter(|name| !series.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} of {series:?}");
    for (line, what) in [
        ("configapi_command_serving 1\n", "the command server serves"),
        ("configapi_query_serving 1\n", "the query server serves"),
        ("configapi_command_events_appended_total 3\n", "three events"),
        ("configapi_command_log_head_position 3\n", "at position 3"),
        ("configapi_command_log_refused 0\n", "the log is as it should be"),
        ("reason=\"CONFIG_NOT_FOUND\"} 1\n", "one refusal"),
        ("grpc_method=\"Set\",grpc_code=\"OK\"} 3\n", "three Sets through the gateway"),
    ] {
        assert!(page.text.contains(line), "{what}: {}", page.text);
    }
}

#[tokio::test]
async fn an_audit_worker_tells_all_that_an_operator_must_see() {
    let page = scraped_from_audit().await;
    let series = page.series();
    let missing: Vec<_> = REQUIRED_OF_AUDIT.iter().filter(|it| !series.contains(**it)).collect();
    assert!(missing.is_empty(), "{missing:?} of {series:?}");
    assert!(page.text.contains("configapi_audit_delivery_failures_total 0\n"), "{}", page.text);
}

#[tokio::test]
async fn the_runbook_lists_exactly_the_metrics_that_there_are() {
    // Only servers that send traces have these.
    let mut told: BTreeSet<_> = ["configapi_trace_spans_exported", "configapi_trace_spans_dropped"]
        .map(str::to_owned)
        .into();
    for page in [scraped().await, scraped_from_audit().await] {
        told.extend(page.parsed.families.into_keys());
    }
    let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md");
    let runbook = std::fs::read_to_string(runbook).unwrap();
    let section = runbook.split_once("\n## Metrics\n").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(listed, told, "left: in docs/runbook.md, right: told");
}

#[tokio::test]
async fn no_name_of_a_config_is_in_the_metrics() {
    assert!(!scraped().await.text.contains("secret-name"));
    assert!(!scraped_from_audit().await.text.contains("secret-name"));
}
