//! What can be typed after `configapi`, and where it leads. Parsing starts no runtime and opens no
//! connection, so help is there at once.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use configapi_runtime::{memory, process, settings};

use crate::arguments::variables;
use crate::client::block_on;
use crate::commands::{
    apply, at, completions, delete, diff, export, get, healthcheck, history, import, list, manual,
    restore, revert, set, status, watch,
};
use crate::failure::Failure;
use crate::operator::{audit, backup, begin_epoch, migrate, restore_backup, snapshot, verify};
use crate::output::terminal::say;
use crate::serve;

/// The configuration store that never forgets.
///
/// Every change to every setting is an event in a durable log: what is true now, and what was true
/// at any moment, can be read at any time.
#[derive(Debug, Parser)]
#[command(name = "configapi", version, max_term_width = 100, after_help = HELP)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  configapi set billing/retry-limit 3 --reason 'fewer timeouts'
  configapi get billing/retry-limit
  configapi list billing/ --at 2024-01-15T10:30:00Z
  configapi watch --output json

Exit codes:
  0   done
  1   refused: it will be refused again as it stands; healthcheck: not healthy, or away
  2   the command line or a setting is wrong
  3   not now: the servers are away, full or too slow; a repeat may help
      (after LOG_CHANGED without the old token)
  70  a fault in the software
  130 watch was interrupted";

/// The commands that are told a store.
const OPENS_STORE: [&str; 7] =
    ["serve", "verify", "audit", "backup", "restore-backup", "begin-epoch", "migrate"];

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::ServeArguments>),
    Get(get::GetArguments),
    Set(set::SetArguments),
    Delete(delete::DeleteArguments),
    Restore(restore::RestoreArguments),
    Revert(revert::RevertArguments),
    List(list::ListArguments),
    History(history::HistoryArguments),
    At(at::AtArguments),
    Diff(diff::DiffArguments),
    Watch(watch::WatchArguments),
    Apply(apply::ApplyArguments),
    Export(export::ExportArguments),
    Import(import::ImportArguments),
    Status(status::StatusArguments),
    Healthcheck(healthcheck::HealthcheckArguments),
    Verify(verify::VerifyArguments),
    Audit(audit::AuditArguments),
    Backup(backup::BackupArguments),
    RestoreBackup(restore_backup::RestoreBackupArguments),
    BeginEpoch(begin_epoch::BeginEpochArguments),
    Migrate(migrate::MigrateArguments),
    Snapshot(snapshot::SnapshotArguments),
    Completions(completions::CompletionsArguments),
    Man(manual::ManualArguments),
}

impl Command {
    /// Tells a person that a variable is perhaps misspelt. What runs in a script may be compared with what
    /// it has always said, and what a shell runs when it begins would say so each time; the servers and the
    /// audit worker log it.
    fn warn_of_variables(&self) {
        let is_for_people = match self {
            Self::Serve(_) | Self::Audit(_) | Self::Completions(_) | Self::Man(_) => false,
            _ => std::io::stderr().is_terminal(),
        };
        if is_for_people && let Some(unknown) = configapi_runtime::variables::unknown() {
            say(&format!("configapi: these variables are set, and nothing knows them: {unknown}"));
        }
    }
}

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    memory::stay_small();
    // Wrong arguments, help and the version end the process here. What opens a store gets one line
    // that never repeats what it was given: the URL of a store may hold a password.
    let first = std::env::args_os().nth(1).unwrap_or_default();
    let opens_store = OPENS_STORE.iter().any(|command| first == **command);
    let cli = if opens_store { settings::parse_or_exit() } else { parse_or_exit() };
    cli.command.warn_of_variables();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Reads what a client is told, and explains at length what is wrong with it.
fn parse_or_exit() -> Cli {
    let arguments: Vec<_> = std::env::args_os().collect();
    let mut command = settings::without_empty_variables(Cli::command());
    let matches = command.try_get_matches_from_mut(&arguments).unwrap_or_else(|error| {
        let command = settings::without_empty_variables(Cli::command());
        variables::named(error, command, &arguments).exit()
    });
    refuse_one_namespace_of_all(&matches, &mut command);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Who types one namespace and asks for all of them may mean either. One from the environment is no more
/// than a default, so this is no rule that two arguments exclude each other.
fn refuse_one_namespace_of_all(matches: &ArgMatches, command: &mut clap::Command) {
    let Some((name, typed)) = matches.subcommand() else { return };
    let are_all = matches!(typed.try_get_one::<bool>("all_namespaces"), Ok(Some(true)));
    if are_all && typed.value_source("namespace") == Some(ValueSource::CommandLine) {
        let why = "the argument '--all-namespaces' cannot be used with '--namespace <NAMESPACE>'";
        if let Some(command) = command.find_subcommand_mut(name) {
            command.error(ErrorKind::ArgumentConflict, why).exit();
        }
    }
}

/// The servers need more than one thread.
fn serve(arguments: serve::ServeArguments) -> Result<ExitCode, Failure> {
    process::run(serve::run(arguments)).map_err(|error| Failure::io("cannot start", &error))
}

/// All commands with their help, as manuals and completions want them.
pub fn command() -> clap::Command {
    Cli::command()
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(arguments) => return serve(*arguments),
        Command::Get(arguments) => block_on(get::run(arguments)),
        Command::Set(arguments) => block_on(set::run(arguments)),
        Command::Delete(arguments) => block_on(delete::run(arguments)),
        Command::Restore(arguments) => block_on(restore::run(arguments)),
        Command::Revert(arguments) => block_on(revert::run(arguments)),
        Command::List(arguments) => block_on(list::run(arguments)),
        Command::History(arguments) => block_on(history::run(arguments)),
        Command::At(arguments) => block_on(at::run(arguments)),
        Command::Diff(arguments) => block_on(diff::run(arguments)),
        Command::Watch(arguments) => return block_on(watch::run(arguments)),
        Command::Apply(arguments) => block_on(apply::run(arguments)),
        Command::Export(arguments) => block_on(export::run(arguments)),
        Command::Import(arguments) => return block_on(import::run(arguments)),
        Command::Status(arguments) => return block_on(status::run(arguments)),
        Command::Healthcheck(arguments) => return block_on(healthcheck::run(arguments)),
        Command::Verify(arguments) => block_on(verify::run(arguments)),
        Command::Audit(arguments) => block_on(audit::run(arguments)),
        Command::Backup(arguments) => block_on(backup::run(arguments)),
        Command::RestoreBackup(arguments) => block_on(restore_backup::run(arguments)),
        Command::BeginEpoch(arguments) => block_on(begin_epoch::run(arguments)),
        Command::Migrate(arguments) => block_on(migrate::run(arguments)),
        Command::Snapshot(arguments) => snapshot::run(arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => manual::run(&arguments),
    }
    .map(|()| ExitCode::SUCCESS)
}
