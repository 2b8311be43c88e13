//! `configapi status`: how the servers are doing.

use std::process::ExitCode;

use clap::Args;
use configapi_proto::ApiError;
use configapi_proto::v1::{GetStatusRequest, GetStatusResponse};
use prost_types::Duration;
use tonic::Request;
use tonic::transport::Uri;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::records;
use crate::arguments::{CommandServer, ReadArguments};
use crate::client::{Queries, channel};
use crate::failure::{EXIT_TRY_AGAIN, Failure};
use crate::output::{Printer, Record};

/// What a server is called that does what it is for.
const SERVING: &str = "serving";

const RAW: &[&str] = &["query_server", "command_server", "token", "lag_events"];

/// Show how the servers are doing
///
/// What the query server holds and how far it has read the log, and whether the command server
/// takes commands. Exits with 3 if one of them does not serve.
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
    let command = command_health(&command_server, &read).await;
    let queries = Queries::new(&read.server, read.patience);
    let status =
        queries.ask(request, async |mut client, query| client.get_status(query).await).await?;
    let is_serving = status.ready && command == SERVING;
    let printed = Printer::new(read.output.format()).one(&record(status, command), RAW);
    Failure::unless_closed(printed.map_err(Failure::from))?;
    Ok(if is_serving { ExitCode::SUCCESS } else { ExitCode::from(EXIT_TRY_AGAIN) })
}

/// What the command servers say of themselves: that one serves, as one is enough for a command; else,
/// in a few words, why the last of them does not.
async fn command_health(server: &CommandServer, read: &ReadArguments) -> String {
    let mut said = "not named".to_owned();
    for uri in server.command_url.uris() {
        said = health(uri, read.patience.timeout).await;
        if said == SERVING {
            break;
        }
    }
    said
}

async fn health(uri: &Uri, timeout: std::time::Duration) -> String {
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(timeout);
    match HealthClient::new(channel(uri)).check(request).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => SERVING.to_owned(),
        Ok(_) => "not serving".to_owned(),
        Err(status) => format!("away ({})", ApiError::from_status(&status).reason),
    }
}

fn record(status: GetStatusResponse, command: String) -> Record {
    let state = status.state.unwrap_or_default();
    let query = if status.ready { SERVING } else { "not serving" };
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
