//! The suite: starts all that is measured, measures it in turns, writes down what came of it, and
//! stops all that it started, whatever happens meanwhile.

mod conditions;
mod cpu;
mod measure;
mod plan;
mod process;
mod rested;
mod starts;
mod subjects;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use configapi_runtime::settings;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::plan::Measurement;
pub use self::{conditions::Conditions, plan::Unit, rested::RestedCore, subjects::Subject};
use self::{
    measure::measure,
    starts::measure_start,
    subjects::{Running, Sources},
};
use crate::{
    cli::say,
    keys::DEPTHS,
    report::{self, Results, RunSettings},
    workload::{Fill, Workload, seed},
};

/// How the suite is run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the results go
    #[arg(long, value_name = "DIRECTORY", default_value = "bench/results")]
    pub results: PathBuf,
    /// How often everything is measured; the median counts
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long one measurement lasts
    #[arg(long, default_value = "1s", value_parser = settings::duration)]
    pub window: Duration,
    /// How long it goes on before that
    #[arg(long, default_value = "300ms", value_parser = settings::duration)]
    pub warm_up: Duration,
    /// How large values are
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    pub value_bytes: usize,
    /// How many configs there are at last, for the figures that show how cost grows
    #[arg(long, default_value_t = 1_000_000)]
    pub many_keys: u64,
    /// Only the measurements whose names begin with one of these; no figures on growth and starts
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// The database, empty, of which all is kept
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Another empty database, for servers with few configs beside those with many
    #[arg(
        long,
        env = "CONFIGAPI_BENCH_SECOND_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub second_database_url: Option<String>,
    /// The program of etcd
    #[arg(long, env = "CONFIGAPI_BENCH_ETCD", value_name = "PATH")]
    pub etcd: Option<PathBuf>,
}

impl Options {
    fn wants(&self, measurement: &Measurement) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|name| measurement.id.starts_with(name.as_str()))
    }

    fn wants_growth(&self) -> bool {
        self.only.is_empty()
    }
}

/// Runs the suite. Ends early, but in order, on SIGINT and SIGTERM.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let directory = std::env::temp_dir().join(format!("configapi-bench.{}", std::process::id()));
    fs::create_dir_all(&directory).context("no directory for the servers' data")?;
    let mut running = Vec::new();
    let result = tokio::select! {
        result = perform(options, &directory, &mut running) => result,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
    };
    let mut stopped = Ok(());
    for one in running {
        stopped = stopped.and(one.stop().await);
    }
    fs::remove_dir_all(&directory).context("the servers' data could not be removed")?;
    result.and(stopped)
}

async fn perform(
    options: &Options,
    directory: &std::path::Path,
    running: &mut Vec<Running>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let sources = Sources::new(options, directory.to_owned())?;
    let results = Results::new(
        Conditions::find_out(options, directory),
        RunSettings {
            rounds: options.rounds,
            window_ms: millis(options.window),
            warm_up_ms: millis(options.warm_up),
            value_bytes: options.value_bytes,
        },
    );
    if conditions::is_busy() {
        say("WARNING: this machine is busy with other things: figures will be low and noisy");
    }
    let mut suite = Suite { options, sources, running, results };
    for subject in Subject::PERMANENT {
        suite.start(subject).await;
    }
    suite.measure_all().await?;
    let Suite { mut results, .. } = suite;
    if results.measured.is_empty() {
        bail!("nothing was measured");
    }
    results.conditions.load_average_after = conditions::load_average();
    results.took_seconds = began.elapsed().as_secs();
    report::write(&results, &options.results)?;
    if results.failures.is_empty() {
        return Ok(());
    }
    bail!("{} runs failed; see the results", results.failures.len())
}

struct Suite<'a> {
    options: &'a Options,
    sources: Sources,
    running: &'a mut Vec<Running>,
    results: Results,
}

impl Suite<'_> {
    async fn measure_all(&mut self) -> anyhow::Result<()> {
        let many_keys = self.options.many_keys.max(plan::KEYS);
        let mut filled = 0;
        if self.options.wants_growth() {
            self.fill(&mut filled, plan::FEW_KEYS, false).await?;
            self.start_one_more().await?;
        }
        self.fill(&mut filled, plan::KEYS, true).await?;
        self.measure_each(plan::MAIN, filled).await;
        if self.options.wants_growth() {
            self.start_few().await?;
            self.fill(&mut filled, many_keys, false).await?;
            self.measure_each(plan::GROWTH, filled).await;
            self.start_one_more().await?;
        }
        Ok(())
    }

    /// Starts one who is measured; if that is not possible, the results say so.
    async fn start(&mut self, subject: Subject) {
        match Running::start(subject, &self.sources).await {
            Ok(one) => self.running.push(one),
            Err(error) => {
                say(&format!("SKIPPED: {}: {error:#}", subject.title()));
                self.results.skipped.push(format!("{}: {error:#}", subject.title()));
            }
        }
    }

    async fn measure_each(&mut self, measurements: &[Measurement], keys: u64) {
        let anybody = |one: &Measurement| {
            self.running.iter().any(|running| one.subjects.contains(&running.subject))
        };
        let wanted = measurements.iter().filter(|one| self.options.wants(one) && anybody(one));
        for measurement in wanted {
            say(&measurement.title(keys));
            let findings = measure(measurement, keys, self.running, self.options).await;
            self.results.measured.extend(findings.measured);
            self.results.failures.extend(findings.failures);
        }
    }

    /// Fills all stores up to so many configs. The last step is for our own store alone: nobody else
    /// is measured on it.
    async fn fill(&mut self, filled: &mut u64, keys: u64, histories: bool) -> anyhow::Result<()> {
        for one in self.running.iter() {
            let skips = match one.subject {
                Subject::Echo | Subject::PostgresFew => true,
                Subject::Postgres => false,
                Subject::Sqlite | Subject::Etcd => keys > plan::KEYS,
            };
            if !skips {
                self.fill_one(one, *filled..keys, histories).await?;
            }
        }
        *filled = keys;
        conditions::settle().await;
        Ok(())
    }

    async fn fill_one(
        &self,
        one: &Running,
        keys: std::ops::Range<u64>,
        histories: bool,
    ) -> anyhow::Result<()> {
        say(&format!("filling {} up to {} configs", one.subject.title(), keys.end));
        // Only our own store is asked for what was long ago.
        let is_asked = histories && one.subject == Subject::Postgres;
        let depths = if is_asked { DEPTHS } else { &[] };
        let fill = Fill { keys, histories, depths, value_bytes: self.options.value_bytes };
        seed(one.target(Workload::Set)?, fill)
            .await
            .with_context(|| format!("{} could not be filled", one.subject.title()))
    }

    /// Starts servers with few configs beside those with many.
    async fn start_few(&mut self) -> anyhow::Result<()> {
        self.start(Subject::PostgresFew).await;
        if let Some(few) = self.running.last().filter(|one| one.subject == Subject::PostgresFew) {
            self.fill_one(few, 0..plan::FEW_KEYS, false).await?;
        }
        Ok(())
    }

    async fn start_one_more(&mut self) -> anyhow::Result<()> {
        if let Some(start) = measure_start(&self.sources, self.running, self.options.rounds).await?
        {
            say(&format!("  {}", start.line()));
            self.results.starts.push(start);
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
