//! How a process is told what to do: flags and `CONFIGAPI_…` variables into one struct, read once.
//! A wrong setting ends the start with one line that names it; the line never repeats the value,
//! which may be secret.

use std::{
    error::Error as _,
    ffi::{OsStr, OsString},
    fmt,
    io::Write as _,
    num::IntErrorKind,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    time::Duration,
};

use clap::{
    Arg, Command, Parser,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// What a process that was started with a wrong setting exits with.
pub const EXIT_WRONG_SETTING: u8 = 2;

/// The one variable that is not left out by being empty.
const STORE: &str = "CONFIGAPI_STORE";
/// What is wrong with these is told though they are hidden: a URL has much in it that can be wrong, and
/// these errors are sentences of ours, which never repeat a password.
const IN_OUR_WORDS: [&str; 3] = [STORE, "CONFIGAPI_COMMAND_URL", "CONFIGAPI_QUERY_URL"];

/// Why there are no settings to start with.
#[derive(Debug)]
pub enum NoSettings {
    /// Help or the version was asked for; this is the text.
    Asked(String),
    /// A setting is wrong or missing; this one line names it and says what it wants.
    Wrong(String),
}

/// Reads the settings of this process from its arguments and environment, or ends the process:
/// with 0 after `--help` and `--version`, with 2 and one line on stderr after a wrong setting.
pub fn parse_or_exit<T: Parser>() -> T {
    match parse_from(std::env::args_os()) {
        Ok(settings) => settings,
        Err(NoSettings::Asked(text)) => {
            // Nothing can be done about a closed stdout, and nothing needs to be.
            let _ = std::io::stdout().write_all(text.as_bytes());
            process::exit(0)
        }
        Err(NoSettings::Wrong(line)) => {
            say(&line);
            process::exit(i32::from(EXIT_WRONG_SETTING))
        }
    }
}

/// Says on stderr, in one line behind the name of the program, what is wrong with the settings; for what
/// only shows after they were parsed.
pub fn wrong(line: &str) -> ExitCode {
    let program = std::env::args_os().next().map(PathBuf::from);
    match program.as_deref().and_then(Path::file_name) {
        Some(program) => say(&format!("{}: {line}", program.display())),
        None => say(line),
    }
    ExitCode::from(EXIT_WRONG_SETTING)
}

fn say(line: &str) {
    // Nothing can be done about a closed stderr; the exit code still tells.
    let _ = writeln!(std::io::stderr(), "{}", one_line(line));
}

/// Reads settings from these arguments (the first is the program's name) and the environment.
pub fn parse_from<T: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<T, NoSettings> {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = without_empty_variables(T::command());
    let matches = command.try_get_matches_from_mut(&arguments);
    let parsed = matches.and_then(|matches| T::from_arg_matches(&matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            NoSettings::Asked(error.render().to_string())
        }
        _ => {
            command.build();
            NoSettings::Wrong(explain(&command, typed(&command, &arguments), &error))
        }
    })
}

/// Takes a variable that is empty for none: that is how scripts leave one out. That of the store is
/// not: a server would begin with one that nobody named.
#[must_use]
pub fn without_empty_variables(command: Command) -> Command {
    command.mut_args(without_empty_variable).mut_subcommands(without_empty_variables)
}

fn without_empty_variable(argument: Arg) -> Arg {
    match argument.get_env() {
        Some(variable)
            if variable != STORE && std::env::var_os(variable).is_some_and(|it| it.is_empty()) =>
        {
            argument.env(Resettable::Reset)
        }
        _ => argument,
    }
}

/// The subcommand that was typed. Others have arguments that look the same and mean something else.
fn typed<'a>(command: &'a Command, arguments: &[OsString]) -> &'a Command {
    let mut words = arguments.iter().skip(1);
    let mut typed = command;
    while let Some(sub) = words.next().and_then(|word| typed.find_subcommand(word)) {
        typed = sub;
    }
    typed
}

fn explain(command: &Command, typed: &Command, error: &clap::Error) -> String {
    let program = command.get_name();
    let shown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(shown)) => Some(shown.as_str()),
        Some(ContextValue::Strings(all)) => all.first().map(String::as_str),
        _ => None,
    };
    let argument = |shown| find(typed, shown).or_else(|| find(command, shown));
    let others: Vec<_> = match error.get(ContextKind::PriorArg) {
        Some(ContextValue::String(shown)) => vec![shown],
        Some(ContextValue::Strings(all)) => all.iter().collect(),
        _ => Vec::new(),
    };
    let others: Vec<_> =
        others.into_iter().filter_map(|shown| argument(shown)).map(name_of).collect();
    let argument = shown.and_then(argument);
    let line = match (argument, shown) {
        (Some(argument), _) => format!(
            "{program}: {}: {}; it wants {}",
            name_of(argument),
            what_is_wrong(argument, &others, error),
            what_it_wants(argument, error),
        ),
        // Only what looks like a flag is repeated, and nothing of a value behind it.
        (None, Some(shown)) if shown.starts_with('-') => {
            let flag = shown.split('=').next().unwrap_or_default();
            format!("{program}: {flag} is not a setting; see {program} --help")
        }
        // The text of the error would repeat what was given.
        _ => {
            let what = error.kind().as_str().unwrap_or("the arguments are wrong");
            format!("{program}: {what}; see {program} --help")
        }
    };
    one_line(&line)
}

/// The argument that clap shows as `shown` ("--addr <ADDR>"), also in subcommands.
fn find<'a>(command: &'a Command, shown: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|argument| argument.to_string() == shown)
        .or_else(|| command.get_subcommands().find_map(|sub| find(sub, shown)))
}

fn name_of(argument: &Arg) -> String {
    let flag = match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument.to_string(),
    };
    match argument.get_env() {
        Some(variable) => format!("{flag} ({})", variable.to_string_lossy()),
        None => flag,
    }
}

fn what_is_wrong(argument: &Arg, others: &[String], error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::MissingRequiredArgument => "is not set".to_owned(),
        ErrorKind::ValueValidation if may_be_told(argument) => match error.source() {
            Some(source) => source.to_string(),
            None => "is wrong".to_owned(),
        },
        ErrorKind::ArgumentConflict if *others == [name_of(argument)] => "is said twice".to_owned(),
        ErrorKind::ArgumentConflict if others.is_empty() => {
            "does not go with the others".to_owned()
        }
        ErrorKind::ArgumentConflict => format!("does not go with {}", others.join(", ")),
        ErrorKind::InvalidValue if is_empty(error) => "is empty".to_owned(),
        _ => "is wrong".to_owned(),
    }
}

/// Whether the errors of a setting's values can be trusted not to repeat what is secret.
fn may_be_told(argument: &Arg) -> bool {
    let is_in_our_words = |name: &OsStr| IN_OUR_WORDS.iter().any(|it| name == *it);
    !argument.is_hide_env_values_set() || argument.get_env().is_some_and(is_in_our_words)
}

fn is_empty(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty())
}

fn what_it_wants(argument: &Arg, error: &clap::Error) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && !valid.is_empty()
    {
        return format!("one of {} ({help})", valid.join(", "));
    }
    match argument.get_value_names().and_then(<[_]>::first) {
        Some(name) => format!("<{name}>: {help}"),
        None => help,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value that a setting does not take; says what it would take instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAValue(&'static str);

impl fmt::Display for NotAValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotAValue {}

const WANTS_DURATION: NotAValue = NotAValue("not a duration like 500ms, 10s, 5m or 2h");
const WANTS_LESS_TIME: NotAValue = NotAValue("longer than a duration may be, 1000000h");
const WANTS_SOME_TIME: NotAValue = NotAValue("not a duration above zero like 500ms, 10s, 5m or 2h");
const WANTS_SOME_BYTES: NotAValue = NotAValue("not a size above zero like 4096, 64KiB or 16MiB");
const WANTS_SOME: NotAValue = NotAValue("not a whole number above zero");
const WANTS_NUMBER: NotAValue = NotAValue("not a whole number");
const WANTS_FEWER: NotAValue = NotAValue("more than a limit may be, 10000000");
const WANTS_BYTES: NotAValue = NotAValue("not a size like 4096, 64KiB, 16MiB or 1GiB");
const WANTS_FEWER_BYTES: NotAValue = NotAValue("larger than a size may be, 1048576GiB");

/// A century, which is without an end for all that waits. gRPC cannot tell a hundred times as much.
const LONGEST: Duration = Duration::from_hours(1_000_000);
/// More than the streams of all connections that a server takes.
const MOST: usize = 10_000_000;
/// More than any machine has.
const LARGEST: u64 = 1 << 50;

/// Reads a duration with its unit: `500ms`, `10s`, `5m`, `2h`. For `#[arg(value_parser =
/// settings::duration)]`.
pub fn duration(text: &str) -> Result<Duration, NotAValue> {
    let (number, unit) = number_and_unit(text).ok_or(WANTS_DURATION)?;
    let factor_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(WANTS_DURATION),
    };
    let duration = number.checked_mul(factor_ms).map(Duration::from_millis);
    duration.filter(|duration| *duration <= LONGEST).ok_or(WANTS_LESS_TIME)
}

/// Reads a number of bytes: `4096`, `64KiB`, `16MiB`, `1GiB`. For `#[arg(value_parser =
/// settings::byte_size)]`.
pub fn byte_size(text: &str) -> Result<usize, NotAValue> {
    let (number, unit) = number_and_unit(text).ok_or(WANTS_BYTES)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(WANTS_BYTES),
    };
    let bytes = number.checked_mul(factor).filter(|bytes| *bytes <= LARGEST);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or(WANTS_FEWER_BYTES)
}

/// Reads a duration of which some is needed.
pub fn some_duration(text: &str) -> Result<Duration, NotAValue> {
    match duration(text) {
        Ok(Duration::ZERO) | Err(WANTS_DURATION) => Err(WANTS_SOME_TIME),
        other => other,
    }
}

/// Reads a number of bytes of which some are needed.
pub fn some_byte_size(text: &str) -> Result<usize, NotAValue> {
    match byte_size(text) {
        Ok(0) | Err(WANTS_BYTES) => Err(WANTS_SOME_BYTES),
        other => other,
    }
}

/// Reads how many there may be of something.
pub fn number(text: &str) -> Result<usize, NotAValue> {
    match text.parse() {
        Ok(number) if number <= MOST => Ok(number),
        Ok(_) => Err(WANTS_FEWER),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err(WANTS_FEWER),
        Err(_) => Err(WANTS_NUMBER),
    }
}

/// Reads a number of things of which some are needed.
pub fn some(text: &str) -> Result<usize, NotAValue> {
    match number(text) {
        Ok(0) | Err(WANTS_NUMBER) => Err(WANTS_SOME),
        other => other,
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    // Of digits alone, what does not fit is more than anything may be.
    (digits > 0).then(|| (number.parse().unwrap_or(u64::MAX), unit))
}
