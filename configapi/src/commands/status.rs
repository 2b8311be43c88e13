//! `configapi status`: how the servers are doing.

use std::process::ExitCode;

use clap::Args;
use configapi_proto::v1::command_service_server::SERVICE_NAME as COMMAND_SERVICE;
use configapi_proto::v1::{GetStatusRequest, GetStatusResponse};
use prost_types::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Uri;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::records;
use crate::arguments::{CommandServer, Patience, ReadArguments};
use crate::client::{Commands, Queries, channel, no_answer_in_time};
use crate::failure::{EXIT_TRY_AGAIN, Failure};
use crate::output::{Printer, Record};

/// What a server is called that does what it is for.
const SERVING: &str = "serving";
/// What a server is called that answers, and does not do it.
const NOT_SERVING: &str = "not serving";

const RAW: &[&str] = &["query_server", "command_server", "token", "lag_events"];

/// Show how the servers are doing
///
/// What the query server holds and how far it has read the log, and whether the command server
/// takes commands. Exits with 3 if one of them does not serve, and tells what is known of the other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi status
  configapi status --state-hash --output json
  configapi status --linearizable")]
pub struct StatusArguments {
    /// Also compute a digest of all that the query server holds: servers at the same position agree
    #[arg(long)]
    state_hash: bool,

    #[command(flatten)]
    command_server: CommandServer,

    #[command(flatten)]
    read: ReadArguments,
}

pub async fn run(arguments: StatusArguments) -> Result<ExitCode, Failure> {
    let StatusArguments { state_hash, command_server, read } = arguments;
    let request =
        GetStatusRequest { with_state_hash: state_hash, consistency: read.freshness.consistency() };
    let queries = Queries::new(&read.server, read.patience);
    // At once: one that is silent must not take the time of the other.
    let (command, status) = tokio::join!(
        command_health(&command_server, read.patience),
        queries.ask(request, async |mut client, query| client.get_status(query).await),
    );
    let is_serving = status.as_ref().is_ok_and(|status| status.ready) && command == SERVING;
    let (record, failure) = match status {
        Ok(status) => (record(status, command), None),
        Err(failure) => (record_without_answer(&failure, command), Some(failure)),
    };
    let printed = Printer::new(read.output.format()).one(&record, RAW);
    Failure::unless_closed(printed.map_err(Failure::from))?;
    match failure {
        Some(failure) => Err(failure),
        None if is_serving => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(EXIT_TRY_AGAIN)),
    }
}

/// What the command servers say of themselves: that one serves, as one is enough for a command; else,
/// in a few words, why the last of them does not.
async fn command_health(server: &CommandServer, patience: Patience) -> String {
    let commands = Commands::new(server, patience);
    let mut asked = JoinSet::new();
    for (index, uri) in server.command_url.uris().iter().enumerate() {
        asked.spawn(health(uri.clone(), index, commands.clone()));
    }
    let mut last = (0, "not named".to_owned());
    while let Some(said) = asked.join_next().await {
        match said {
            Ok((_, said)) if said == SERVING => return said,
            Ok(said) if said.0 >= last.0 => last = said,
            Ok(_) | Err(_) => {}
        }
    }
    last.1
}

async fn health(uri: Uri, index: usize, commands: Commands) -> (usize, String) {
    let mut client = HealthClient::new(channel(&uri));
    // Not whether anything at all is served: the address may be that of a query server.
    let request = HealthCheckRequest { service: COMMAND_SERVICE.to_owned() };
    let asked = timeout(commands.timeout(), client.check(request));
    let said = match asked.await.unwrap_or_else(|_| Err(no_answer_in_time())) {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => SERVING.to_owned(),
        Ok(_) => NOT_SERVING.to_owned(),
        Err(status) => why_not(&commands.failure_of_health(&status, index)),
    };
    (index, said)
}

/// What a server is called that gave no answer, or refused one.
fn why_not(failure: &Failure) -> String {
    format!("away: {}", failure.message())
}

fn record_without_answer(failure: &Failure, command: String) -> Record {
    Record::new().with("query_server", why_not(failure)).with("command_server", command)
}

fn record(status: GetStatusResponse, command: String) -> Record {
    let state = status.state.unwrap_or_default();
    let query = if status.ready { SERVING } else { NOT_SERVING };
    Record::new()
        .with("query_server", query)
        .text("query_server_reason", status.not_ready_reason)
        .with("command_server", command)
        .with("token", state.token.as_str())
        .with("state", records::state(&state))
        .with("log_id", status.log_id)
        .with("head_position", status.head_position)
        .with("lag_events", status.lag_events)
        .maybe("lag_ms", status.lag.as_ref().map(millis))
        .with("live_configs", status.live_configs)
        .with("deleted_configs", status.deleted_configs)
        .with("versions", status.versions)
        .with("namespaces", status.namespaces)
        .with("watchers", status.watchers)
        .maybe("uptime_seconds", status.uptime.map(|it| u64::try_from(it.seconds).unwrap_or(0)))
        .with("server_version", status.server_version)
        .maybe("state_hash", status.state_hash)
        .maybe("server_time", records::time(status.server_time.as_ref()))
}

fn millis(duration: &Duration) -> u64 {
    let millis = duration.seconds.saturating_mul(1_000) + i64::from(duration.nanos) / 1_000_000;
    u64::try_from(millis).unwrap_or(0)
}
