//! What a process tells about itself while it runs: log lines on stderr, panics included.
//! Must never log a value or a secret; so of a panic it repeats only what cannot contain one.

use std::{
    backtrace::Backtrace,
    error::Error,
    fmt,
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
    str::FromStr,
};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::variables;

/// What the names of the crates of the house begin with.
const OURS: &str = "configapi";

/// How much is logged, and in which form. Flatten it into the settings of a process.
#[derive(Debug, Clone, clap::Args)]
pub struct LogSettings {
    /// What is logged: a level (off, error, warn, info, debug, trace) or directives like
    /// info,configapi=debug
    #[arg(long = "log", env = "CONFIGAPI_LOG", value_name = "FILTER", default_value = "info")]
    #[arg(global = true)]
    pub filter: LogFilter,

    /// The form of log lines: text, or one JSON object a line (default: text on a terminal, else
    /// json)
    #[arg(long = "log-format", env = "CONFIGAPI_LOG_FORMAT", value_name = "FORMAT", global = true)]
    pub format: Option<LogFormat>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// A filter that is known to be well-formed.
#[derive(Debug, Clone)]
pub struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = WrongFilter;

    fn from_str(text: &str) -> Result<Self, WrongFilter> {
        if !text.split(',').all(is_meant) {
            return Err(WrongFilter);
        }
        EnvFilter::try_new(text).map_err(|_| WrongFilter)?;
        Ok(Self(text.to_owned()))
    }
}

/// Whether a directive is more than a word that is no level, such as `warning`. To the filter any word is
/// a place in some code of which all is logged, and nothing is of the rest, an error of the start included.
fn is_meant(directive: &str) -> bool {
    directive.parse::<LevelFilter>().is_ok()
        || directive.contains(['=', '['])
        || directive.contains("::")
        || directive == OURS
        || directive.strip_prefix(OURS).is_some_and(|rest| rest.starts_with('_'))
}

/// A filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("not a log filter like info or info,configapi=debug")]
pub struct WrongFilter;

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot be set up")]
pub struct TelemetryError(#[source] Box<dyn Error + Send + Sync>);

/// Sets up logging and the panic hook for the whole process, and logs the first line, and what was
/// perhaps meant to be a setting.
pub fn init(
    settings: &LogSettings,
    service: &'static str,
    version: &'static str,
) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(&settings.filter.0).map_err(|error| TelemetryError(Box::new(error)))?;
    let terminal = io::stderr().is_terminal();
    let default_format = if terminal { LogFormat::Text } else { LogFormat::Json };
    // A line that cannot be written is lost. To say so on the same stderr would panic, and to log that
    // panic would be the end of the process.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false);
    match settings.format.unwrap_or(default_format) {
        LogFormat::Text => lines.with_ansi(terminal).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError)?;
    panic::set_hook(Box::new(log_panic));
    tracing::info!(service, version, process_id = std::process::id(), "starting");
    if let Some(variables) = variables::unknown() {
        // No reason to end: whoever starts us may have put them there for others.
        tracing::warn!(%variables, "variables are set that no part of ConfigApi knows");
    }
    Ok(())
}

/// A formatted panic message may quote data (slicing a text in the wrong place does), so only a
/// fixed one is logged.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload().downcast_ref::<&'static str>().copied();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let backtrace = Backtrace::force_capture();
    tracing::error!(
        message_fixed = message.unwrap_or("(withheld: a formatted message may quote data)"),
        location,
        thread = thread.name().unwrap_or_default(),
        %backtrace,
        "panicked"
    );
}

/// An error with all its causes on one line, outermost first.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
