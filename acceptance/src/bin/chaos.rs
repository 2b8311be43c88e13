//! `make chaos`: runs the scenarios and prints what came of them. Green only if every promise was
//! kept in runs that could have broken it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Parser;
use configapi_acceptance::chaos::{Plan, Report, SCENARIOS, Scenario, Verdict, run};

/// Breaks a running system in every way it can, and checks what clients saw and what was kept
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// Only these scenarios
    scenarios: Vec<String>,

    /// A few cycles of the most telling scenarios, in two minutes
    #[arg(long)]
    short: bool,

    /// Strike so often, whatever the scenario says
    #[arg(long, value_name = "NUMBER")]
    cycles: Option<u32>,

    /// Where chance begins (default: the clock); the same seed gives the same faults
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Begin again, with other seeds, for so long
    #[arg(long, value_name = "HOURS", default_value_t = 0.0)]
    hours: f64,

    /// Where logs and histories are kept
    #[arg(long, value_name = "DIRECTORY", default_value = "target/chaos")]
    folder: PathBuf,

    /// List the scenarios
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in SCENARIOS {
            let Scenario { name, cycles, short_cycles, .. } = scenario;
            println!("{name:<20} {cycles:>3} cycles, {short_cycles:>3} in a short run");
        }
        return ExitCode::SUCCESS;
    }
    match run_all(&arguments).await {
        Ok(Verdict::Green | Verdict::Skipped) => ExitCode::SUCCESS,
        Ok(Verdict::Violated) => ExitCode::from(1),
        Ok(Verdict::Void) => ExitCode::from(2),
        Err(error) => {
            eprintln!("the harness failed: {error:#}");
            ExitCode::from(70)
        }
    }
}

async fn run_all(arguments: &Arguments) -> Result<Verdict> {
    let chosen = chosen(arguments)?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut seed = arguments.seed.unwrap_or(clock);
    let end = Instant::now() + Duration::from_secs_f64(arguments.hours * 3600.0);
    let mut worst = Verdict::Green;
    println!("{}", Report::HEADINGS);
    loop {
        for (scenario, cycles) in &chosen {
            let folder = arguments.folder.join(format!("{}-{seed}", scenario.name));
            // What an earlier run with the same seed left must not become this one's snapshots.
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            let plan = Plan { scenario: *scenario, cycles: *cycles, seed, folder };
            let report = run(&plan).await?;
            println!("{report}");
            for line in report.details() {
                println!("    {line}");
            }
            worst = worst.max(report.verdict());
        }
        if Instant::now() >= end {
            return Ok(worst);
        }
        seed += 1;
    }
}

/// The scenarios asked for, and how often each strikes.
fn chosen(arguments: &Arguments) -> Result<Vec<(Scenario, u32)>> {
    for name in &arguments.scenarios {
        let is_known = SCENARIOS.iter().any(|scenario| scenario.name == name);
        anyhow::ensure!(is_known, "there is no scenario {name}; --list names them");
    }
    let usual = |scenario: &Scenario| {
        if arguments.short { scenario.short_cycles } else { scenario.cycles }
    };
    let is_asked_for = |scenario: &&Scenario| match &arguments.scenarios[..] {
        [] => usual(scenario) > 0,
        named => named.iter().any(|name| scenario.name == name),
    };
    let cycles = |scenario: &Scenario| arguments.cycles.unwrap_or(usual(scenario).max(1));
    Ok(SCENARIOS.iter().filter(is_asked_for).map(|it| (*it, cycles(it))).collect())
}
