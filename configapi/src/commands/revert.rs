//! `configapi revert`: makes configs what they were at a moment. What differs from it is looked up in one
//! state, and put back only where that is still so: nobody's change in between is undone unseen.

mod plan;

use clap::Args;
use configapi_proto::v1::{ApplyRequest, Command, DiffRequest};
use configapi_proto::{ApiError, Reason};
use configapi_runtime::request_id::RequestId;

use self::plan::{Part, Plan, Shown};
use super::confirm::{confirmed, somebody_is_there};
use super::differences::{Differences, ShowArguments};
use crate::arguments::{
    CommandServer, Moment, OutputArguments, Patience, ProvenanceArguments, QueryServer,
    ScopeArguments, linearizable,
};
use crate::client::{Commands, Queries};
use crate::failure::Failure;
use crate::output::terminal::say;
use crate::output::{Format, Printer, Record};

const RUN_AGAIN: &str = "run the same again: what was put back does not differ any more";

/// Make configs what they were at a moment
///
/// Shows first what differs, then puts it back: what was changed or deleted since then gets the value that it
/// had, and what is new since then is deleted. What came between stays in the history. Up to 1,000 configs
/// and 8 MiB of values are one change, all or none; more are several changes, one after the other.
/// A config that somebody changes meanwhile is not touched, nor is anything else of that change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi revert 15m --prefix billing/ --dry-run
  configapi revert 1042 --prefix billing/ --reason 'release 42 was wrong'
  configapi revert 2024-01-15T10:30:00Z --all-namespaces --yes")]
pub struct RevertArguments {
    /// To this moment: a time, a day, a time ago (15m, 7d), a position or a token
    to: Moment,

    /// Only configs whose names begin with this
    #[arg(short, long, default_value = "", hide_default_value = true)]
    prefix: String,

    /// Check everything, write nothing, and print what would happen
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before changing anything
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    show: ShowArguments,

    #[command(flatten)]
    provenance: ProvenanceArguments,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    command_server: CommandServer,

    #[command(flatten)]
    query_server: QueryServer,

    #[command(flatten)]
    patience: Patience,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: RevertArguments) -> Result<(), Failure> {
    let queries = Queries::new(&arguments.query_server, arguments.patience);
    let commands = Commands::new(&arguments.command_server, arguments.patience);
    let request = DiffRequest {
        from: Some(arguments.to.into()),
        namespace: arguments.scope.namespace(),
        all_namespaces: arguments.scope.all_namespaces,
        prefix: arguments.prefix.clone(),
        consistency: Some(linearizable()),
        ..DiffRequest::default()
    };
    let plan = Plan::make(&queries, request, arguments.show.most()).await?;
    let format = arguments.output.format();
    Failure::unless_closed(print_differences(&plan, format))?;
    if !plan.parts.is_empty() && !is_wanted(&arguments, &plan)? {
        return Err(Failure::refused("nothing was written"));
    }
    let mut done = Done::default();
    for part in &plan.parts {
        done = send(&commands, part, &arguments, done).await?;
    }
    Failure::unless_closed(print_report(&plan, &done, arguments.dry_run, format))
}

/// What is put back so far.
#[derive(Debug, Default)]
struct Done {
    configs: u64,
    /// What a read may wait for to see it.
    token: String,
}

impl Done {
    fn so_far(&self) -> String {
        match self.configs {
            0 => "none of them was put back".to_owned(),
            1 => "1 config is put back; run the same again to go on".to_owned(),
            many => format!("{many} configs are put back; run the same again to go on"),
        }
    }
}

/// Asks, if somebody is there to answer.
fn is_wanted(arguments: &RevertArguments, plan: &Plan) -> Result<bool, Failure> {
    if arguments.yes || arguments.dry_run || !somebody_is_there() {
        return Ok(true);
    }
    let configs = match plan.differences() {
        1 => "1 config".to_owned(),
        many => format!("{many} configs"),
    };
    let place = match &*arguments.scope.namespace() {
        "" => "in all namespaces".to_owned(),
        namespace => format!("in the namespace {namespace}"),
    };
    let changes = match plan.parts.len() {
        1 => String::new(),
        many => format!(", with {many} changes"),
    };
    confirmed(&format!("Put back {configs} {place}{changes}?"))
}

/// Does one part: all of it or nothing.
async fn send(
    commands: &Commands,
    part: &Part,
    arguments: &RevertArguments,
    done: Done,
) -> Result<Done, Failure> {
    let request_id = RequestId::generate().as_str().to_owned();
    let request = ApplyRequest {
        commands: part.commands.clone(),
        request_id: request_id.clone(),
        validate_only: arguments.dry_run,
        actor: arguments.provenance.actor(),
        reason: arguments.provenance.reason(),
    };
    let sent = commands
        .send(request, &request_id, async |mut client, command| client.apply(command).await)
        .await;
    let so_far = if arguments.dry_run { Done::default().so_far() } else { done.so_far() };
    let answer = sent.map_err(|failure| explained(failure, part).with_hint(so_far))?;
    let token = answer.receipts.into_iter().next_back().map(|receipt| receipt.token);
    let configs = u64::try_from(part.commands.len()).unwrap_or(u64::MAX);
    Ok(Done { configs: done.configs + configs, token: token.unwrap_or_default() })
}

/// The server counts the commands, which nobody sees.
fn explained(failure: Failure, part: &Part) -> Failure {
    let name = |index: usize| part.commands.get(index).map(name_of);
    let failure = failure.with_commands_named(name);
    match failure.error().map(|error| error.reason) {
        Some(Reason::OutcomeUnknown) => {
            let message = "it is not known whether the configs were put back";
            Failure::from(ApiError::new(Reason::OutcomeUnknown, message)).with_hint(RUN_AGAIN)
        }
        Some(Reason::InvalidArgument) => failure.with_hint(
            "what is recorded of one change may be too much; put back a part at a time, with --prefix",
        ),
        _ => failure,
    }
}

fn name_of(command: &Command) -> String {
    format!("{}/{}", command.namespace, command.name)
}

fn print_differences(plan: &Plan, format: Format) -> Result<(), Failure> {
    let mut differences = Differences::new(format);
    for Shown { kind, name, now, then } in &plan.shown {
        differences.show(*kind, name, now, then)?;
    }
    differences.finish(plan.differences())
}

fn print_report(plan: &Plan, done: &Done, is_dry_run: bool, format: Format) -> Result<(), Failure> {
    let written = if is_dry_run { "would_write" } else { "written" };
    let record = Record::new()
        .with("restored", plan.restored)
        .with("deleted", plan.deleted)
        .with(written, done.configs)
        .with("as_one_change", plan.parts.len() == 1)
        .text("token", done.token.clone());
    let printed = Printer::new(format).one(&record, &["token"]);
    if is_dry_run {
        say("this was a dry run: nothing was written");
    }
    match printed {
        Err(error) if !is_dry_run && done.configs > 0 => {
            Err(Failure::unprinted("the configs are put back", &error))
        }
        printed => Ok(printed?),
    }
}
