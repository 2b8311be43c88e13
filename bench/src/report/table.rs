//! The results as a page of Markdown.

use std::fmt::{self, Write as _};

use super::{Measured, Results, Verdict, grouped, judged, shown};
use crate::suite::{RestedCore, Subject, Unit};

/// The page.
pub fn table(results: &Results) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, results);
    page
}

fn write_page(page: &mut String, results: &Results) -> fmt::Result {
    let name = results.name();
    writeln!(page, "# Benchmark of {}\n", results.date.strftime("%Y-%m-%d %H:%M UTC"))?;
    writeln!(page, "Made by `make bench`; the figures are in [{name}.json]({name}.json).\n")?;
    write_conditions(page, results)?;
    write_notes(page, "Skipped", &results.skipped)?;
    write_notes(page, "Failed runs", &results.failures)?;
    write_goals(page, results)?;
    writeln!(page, "\n## Measurements\n\n![plot]({name}.svg)\n")?;
    write_measurements(page, results)?;
    write_starts(page, results)
}

fn write_conditions(page: &mut String, results: &Results) -> fmt::Result {
    let conditions = &results.conditions;
    let settings = &results.settings;
    writeln!(page, "## Conditions\n")?;
    writeln!(page, "| | |\n|---|---|")?;
    let cpu = format!("{} × {}", conditions.cores, conditions.cpu);
    let sync = format!("{} µs to write 4 KiB and `fdatasync`", shown(conditions.fdatasync_us));
    let core = match conditions.core {
        core if core == RestedCore::default() => "unknown".to_owned(),
        RestedCore { busy_us, rested_us } => format!(
            "{} µs to look at 128 KiB, {} µs after 1.5 ms of rest",
            shown(busy_us),
            shown(rested_us)
        ),
    };
    let load = format!(
        "{} before, {} after (1, 5, 15 minutes)",
        conditions.load_average_before, conditions.load_average_after
    );
    let runs = format!(
        "{} rounds in turns, {} ms each after {} ms of warm-up, values of {} bytes; medians; {} s in all",
        settings.rounds,
        settings.window_ms,
        settings.warm_up_ms,
        settings.value_bytes,
        results.took_seconds
    );
    let rows = [
        ("CPU, shared by client, servers and database", &cpu),
        ("Memory", &conditions.memory),
        ("Kernel", &conditions.kernel),
        ("A core", &core),
        ("Disk", &sync),
        ("Load average", &load),
        ("Commit", &conditions.commit),
        ("Compiler", &conditions.rustc),
        ("PostgreSQL", &conditions.postgres),
        ("PostgreSQL's settings", &conditions.postgres_settings),
        ("SQLite's settings", &conditions.sqlite_settings),
        ("etcd", &conditions.etcd),
        ("etcd's settings", &conditions.etcd_settings),
        ("Runs", &runs),
    ];
    rows.iter().try_for_each(|(what, value)| writeln!(page, "| {what} | {value} |"))
}

fn write_notes(page: &mut String, title: &str, notes: &[String]) -> fmt::Result {
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## {title}\n")?;
    notes.iter().try_for_each(|note| writeln!(page, "- {}", note.replace('\n', " ")))
}

fn write_goals(page: &mut String, results: &Results) -> fmt::Result {
    let judged = judged(results);
    if judged.is_empty() {
        return Ok(());
    }
    let missed = judged.iter().filter(|(_, _, verdict)| *verdict == Verdict::Missed).count();
    writeln!(page, "\n## Goals\n")?;
    writeln!(page, "{missed} of {} missed.\n", judged.len())?;
    writeln!(page, "| What | Measured | Must hold | Aim | |\n|---|---:|---:|---:|---|")?;
    for (goal, measured, verdict) in judged {
        let sign = if goal.more_is_better() { "≥" } else { "≤" };
        let unit = goal.unit;
        let must = match goal.at_least {
            0.0 => "–".to_owned(),
            bound => format!("{sign} {}{unit}", shown(bound)),
        };
        let aim = shown(goal.aim);
        writeln!(
            page,
            "| {} | {}{unit} | {must} | {sign} {aim}{unit} | {} |",
            goal.what,
            shown(measured),
            verdict.word()
        )?;
    }
    Ok(())
}

fn write_measurements(page: &mut String, results: &Results) -> fmt::Result {
    writeln!(
        page,
        "Connections × requests in flight. Ratios are of throughput, or of p50 where one request at \
         a time or a fixed rate makes latency the point. CPU is microseconds for each operation.\n"
    )?;
    writeln!(
        page,
        "| What | Shape | Who | per second | p50 µs | p99 µs | ÷ echo | ÷ etcd | CPU client | \
         server | database |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )?;
    for measured in &results.measured {
        let unit = match measured.unit {
            Unit::Requests => "",
            Unit::Events => " events",
            Unit::Deliveries => " deliveries",
        };
        let database = measured.cpu_us.database.map_or_else(|| "–".to_owned(), shown);
        writeln!(
            page,
            "| {} | {}×{} | {} | {}{unit} | {} | {} | {} | {} | {} | {} | {database} |",
            measured.title,
            measured.connections,
            measured.in_flight,
            measured.subject.title(),
            shown(measured.per_second),
            shown(measured.p50_us),
            shown(measured.p99_us),
            ratio(results, measured, Subject::Echo),
            ratio(results, measured, Subject::Etcd),
            shown(measured.cpu_us.client),
            shown(measured.cpu_us.server),
        )?;
    }
    Ok(())
}

/// How it compares with another subject in the same measurement.
fn ratio(results: &Results, measured: &Measured, other: Subject) -> String {
    match results.find(&measured.id, other) {
        Some(other) if other.subject != measured.subject => {
            let ratio = if measured.is_about_latency() {
                measured.p50_us / other.p50_us
            } else {
                measured.per_second / other.per_second
            };
            shown(ratio)
        }
        _ => "–".to_owned(),
    }
}

fn write_starts(page: &mut String, results: &Results) -> fmt::Result {
    if results.starts.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## Starts of a query server on PostgreSQL, without a snapshot\n")?;
    writeln!(
        page,
        "| Events | Configs | Ready after | Events per second | Memory |\n|---:|---:|---:|---:|---:|"
    )?;
    for start in &results.starts {
        writeln!(
            page,
            "| {} | {} | {} ms | {} | {} MiB |",
            grouped(start.events),
            grouped(start.configs),
            shown(start.ready_after_ms),
            shown(start.events_per_second),
            shown(start.memory_mib),
        )?;
    }
    Ok(())
}
