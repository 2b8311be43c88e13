//! `configapi import`: makes the configs of a namespace what a file says. The file is read more
//! than once and never kept in memory; what is remembered of the present is a digest for each
//! config. A second run finds what the first one did, so an import that was interrupted is simply
//! repeated.

mod ahead;
mod bulk;
mod conflicts;
mod digest;
mod input;
mod plan;
mod present;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use configapi_proto::v1::ApplyRequest;
use tokio::task::spawn_blocking;

use self::bulk::Bulk;
use self::conflicts::explained;
use self::input::Input;
use self::plan::{Plan, Planner};
use self::present::Present;
use self::report::{Outcome, print_differences, print_report};
use super::confirm::{confirmed, somebody_is_there};
use super::differences::ShowArguments;
use super::source::Source;
use crate::arguments::{
    CommandServer, NamespaceArguments, OutputArguments, Patience, ProvenanceArguments, QueryServer,
};
use crate::client::{Commands, Queries};
use crate::failure::{EXIT_REFUSED, Failure};
use crate::transfer::FileForm;

/// Set the configs of a namespace to what a file says
///
/// Shows first what differs, then sets what differs and nothing else; configs that the file does
/// not name are left alone. Up to 1,000 changes and 8 MiB of values are one change, all or none;
/// more are set one by one, each only if nobody changed it meanwhile. An import that was interrupted
/// is repeated by running it again: nothing is set twice. Deleted configs are refused: restore them
/// first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi import configs.json --dry-run
  configapi import billing.yaml --reason 'rates of 2024' --yes
  configapi import .env --namespace staging
  configapi export --namespace staging | configapi import --namespace live --yes -")]
pub struct ImportArguments {
    /// The file; - is stdin
    file: PathBuf,

    /// The form of the file [default: by its name, else json]
    #[arg(short = 'F', long)]
    form: Option<FileForm>,

    /// Only configs whose names begin with this
    #[arg(short, long, default_value = "", hide_default_value = true)]
    prefix: String,

    /// Check everything, write nothing, and print what would happen
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before setting anything
    #[arg(short, long)]
    yes: bool,

    /// Set one by one even what could be one change, all or none
    #[arg(long)]
    one_by_one: bool,

    #[command(flatten)]
    show: ShowArguments,

    #[command(flatten)]
    provenance: ProvenanceArguments,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    command_server: CommandServer,

    #[command(flatten)]
    query_server: QueryServer,

    #[command(flatten)]
    patience: Patience,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: ImportArguments) -> Result<ExitCode, Failure> {
    let source = Source::from(arguments.file.clone());
    let form = arguments.form.or_else(|| FileForm::of(&arguments.file)).unwrap_or(FileForm::Json);
    let input = Arc::new(Input::open(&source, form, arguments.prefix.clone())?);
    let namespace = arguments.namespace.namespace.clone();
    let queries = Queries::new(&arguments.query_server, arguments.patience);
    let commands = Commands::new(&arguments.command_server, arguments.patience);

    let survey = {
        let input = Arc::clone(&input);
        blocking(move || input.survey()).await?
    };
    let present = Present::read(&queries, &namespace, survey.common_prefix).await?;
    let state = present.state.clone();
    let planner = Arc::new(Planner {
        namespace,
        actor: arguments.provenance.actor(),
        reason: arguments.provenance.reason(),
        validate_only: arguments.dry_run,
        form,
        present,
    });
    let plan = {
        let (input, planner) = (Arc::clone(&input), Arc::clone(&planner));
        let (show, one_by_one) = (arguments.show.most(), arguments.one_by_one);
        blocking(move || Plan::make(&input, &planner, show, one_by_one)).await?
    };
    let format = arguments.output.format();
    Failure::unless_closed(print_differences(&plan, &planner, &state, &queries, format).await)?;
    if plan.changes() > 0 && !is_wanted(&arguments, &source, &plan)? {
        return Err(Failure::refused("nothing was written"));
    }
    let outcome = execute(&commands, &queries, input, planner, &plan).await?;
    Failure::unless_closed(print_report(&plan, &outcome, arguments.dry_run, format))?;
    let code = if outcome.refused > 0 { EXIT_REFUSED } else { 0 };
    Ok(ExitCode::from(code))
}

/// Asks, if somebody is there to answer.
fn is_wanted(arguments: &ImportArguments, source: &Source, plan: &Plan) -> Result<bool, Failure> {
    let is_decided = arguments.yes || arguments.dry_run || *source == Source::Stdin;
    if is_decided || !somebody_is_there() {
        return Ok(true);
    }
    let namespace = &arguments.namespace.namespace;
    let changes = match plan.changes() {
        1 => "1 change".to_owned(),
        many => format!("{many} changes"),
    };
    confirmed(&format!("Make {changes} in the namespace {namespace}?"))
}

async fn execute(
    commands: &Commands,
    queries: &Queries,
    input: Arc<Input>,
    planner: Arc<Planner>,
    plan: &Plan,
) -> Result<Outcome, Failure> {
    if plan.changes() == 0 {
        return Ok(Outcome::default());
    }
    if let Some(request) = plan.as_one(&planner) {
        return apply(commands, queries, &planner, request).await;
    }
    let (mut ahead, changes) = ahead::channel();
    let reading = spawn_blocking({
        let planner = Arc::clone(&planner);
        move || {
            let read = input.changes(&planner, &mut |change| ahead.push(change));
            ahead.flush();
            read
        }
    });
    let (outcome, conflicts) = Bulk::new(commands, plan.changes()).run(changes).await?;
    // Trouble with the file counts for more than what was done of it.
    let read = reading.await.unwrap_or_else(|_| Err(Failure::fault("reading the file broke off")));
    if outcome.written > 0 && !planner.validate_only {
        read.map_err(|failure| failure.with_hint(outcome.so_far()))?;
    } else {
        read?;
    }
    conflicts::settle(outcome, conflicts, queries, &planner).await
}

/// All changes as one: all or none.
async fn apply(
    commands: &Commands,
    queries: &Queries,
    planner: &Planner,
    request: ApplyRequest,
) -> Result<Outcome, Failure> {
    let (written, request_id) = (request.commands.len(), request.request_id.clone());
    let answer = commands
        .send(request.clone(), &request_id, async |mut client, command| client.apply(command).await)
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return explained(failure, &request, queries, planner).await,
    };
    let token = answer.receipts.into_iter().next_back().map(|receipt| receipt.token);
    Ok(Outcome {
        written: u64::try_from(written).unwrap_or(u64::MAX),
        is_one_change: true,
        token: token.unwrap_or_default(),
        ..Outcome::default()
    })
}

/// Does what keeps a thread busy away from the one that talks to the servers.
async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(task).await.map_err(|_| Failure::fault("reading the file broke off"))?
}
