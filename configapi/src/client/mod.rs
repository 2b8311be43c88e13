//! How commands of this binary reach the servers: one call at a time, repeated within bounds where
//! that is safe, and never for longer than the user's patience.

mod attempts;
mod pages;

use std::time::Duration;

use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::{ApiError, Reason, key};
use configapi_runtime::clients::{ClientLimits, lazy_channel};
use tonic::transport::{Channel, Uri};
use tonic::{Code, Request, Response, Status};

pub use self::attempts::Backoff;
use self::attempts::{Attempts, is_connect_error};
pub use self::pages::{Pager, list_pages};
use crate::arguments::{CommandServer, Patience, QueryServer, Servers};
use crate::failure::Failure;

/// Runs a command that talks to servers.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let outcome = runtime.block_on(command);
    // What still reads a file has nobody left to read for.
    runtime.shutdown_background();
    outcome
}

/// The servers that read.
#[derive(Debug, Clone)]
pub struct Queries {
    clients: Vec<QueryServiceClient<Channel>>,
    servers: Servers,
    timeout: Duration,
}

impl Queries {
    /// Connects when it is first used.
    pub fn new(server: &QueryServer, patience: Patience) -> Self {
        let servers = server.query_url.clone();
        let clients = channels(&servers).map(QueryServiceClient::new).collect();
        Self { clients, servers, timeout: patience.timeout }
    }

    /// One of the servers, whichever attempt this is.
    pub fn client(&self, attempt: usize) -> Option<QueryServiceClient<Channel>> {
        self.clients.get(attempt % self.clients.len().max(1)).cloned()
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks, and asks again while that may help.
    pub async fn ask<Q: Clone, A>(
        &self,
        query: Q,
        method: impl AsyncFn(QueryServiceClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        let mut attempts = Attempts::new(self.timeout, self.clients.len());
        loop {
            let client = self.client(attempts.count()).ok_or_else(no_servers)?;
            let status = match method(client, attempts.request(query.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            if let Some(failure) = self.other_server(&status) {
                return Err(failure);
            }
            let error = ApiError::from_status(&status);
            if !attempts.again_after(&error, &status).await {
                return Err(told(error, &status, &self.servers, "query"));
            }
        }
    }

    /// What to say if another server answers where a query server should.
    pub fn other_server(&self, status: &Status) -> Option<Failure> {
        other_server(status, &self.servers, "query")
    }
}

/// The servers that write.
#[derive(Debug, Clone)]
pub struct Commands {
    clients: Vec<CommandServiceClient<Channel>>,
    servers: Servers,
    timeout: Duration,
}

impl Commands {
    /// Connects when it is first used.
    pub fn new(server: &CommandServer, patience: Patience) -> Self {
        let servers = server.command_url.clone();
        let clients = channels(&servers).map(CommandServiceClient::new).collect();
        Self { clients, servers, timeout: patience.timeout }
    }

    /// One of the servers, whichever attempt this is.
    pub fn client(&self, attempt: usize) -> Option<CommandServiceClient<Channel>> {
        self.clients.get(attempt % self.clients.len().max(1)).cloned()
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a command, and sends it again while that may help. It must bear this request id: that
    /// is what makes repeating it safe.
    pub async fn send<Q: Clone, A>(
        &self,
        command: Q,
        request_id: &str,
        method: impl AsyncFn(CommandServiceClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        let mut attempts = Attempts::new(self.timeout, self.clients.len());
        let mut is_unknown = false;
        loop {
            let client = self.client(attempts.count()).ok_or_else(no_servers)?;
            let status = match method(client, attempts.request(command.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            if !is_unknown && let Some(failure) = other_server(&status, &self.servers, "command") {
                return Err(failure);
            }
            let mut error = ApiError::from_command_status(&status);
            is_unknown |= error.reason == Reason::OutcomeUnknown;
            if !attempts.again_after(&error, &status).await {
                // "Nothing was written" is about the last attempt; an earlier one may have been.
                if is_unknown && error.reason.worth_repeating() {
                    error = Reason::OutcomeUnknown.into();
                }
                let error = error.with_metadata(key::REQUEST_ID, request_id);
                return Err(told(error, &status, &self.servers, "command"));
            }
        }
    }

    /// A failure of a stream, told like that of a call.
    pub fn failure_of(&self, status: &Status) -> Failure {
        other_server(status, &self.servers, "command").unwrap_or_else(|| {
            told(ApiError::from_command_status(status), status, &self.servers, "command")
        })
    }
}

/// Connects when it is first used.
pub fn channel(uri: &Uri) -> Channel {
    lazy_channel(uri.clone(), &ClientLimits::default())
}

fn channels(servers: &Servers) -> impl Iterator<Item = Channel> {
    servers.uris().iter().map(channel)
}

fn no_servers() -> Failure {
    Failure::usage("no server is named")
}

/// Says where the server should have been, if there was none.
fn told(error: ApiError, status: &Status, servers: &Servers, which: &str) -> Failure {
    if !is_connect_error(status) || error.reason != Reason::Unavailable {
        return error.into();
    }
    let message = format!("there is no {which} server at {} ({})", urls(servers), error.reason);
    Failure::try_again(message)
        .with_hint(format!("`configapi serve` starts one; {}", where_it_is(which)))
}

/// Says so if what answers is not the server that was meant.
fn other_server(status: &Status, servers: &Servers, which: &str) -> Option<Failure> {
    let message = format!("what answers at {} is no {which} server", urls(servers));
    has_other_methods(status).then(|| Failure::usage(message).with_hint(where_it_is(which)))
}

/// Whether somebody answered who knows no such method and so has done nothing: a gRPC server says
/// that, and a web server that it has no such page, which tonic tells in words only.
fn has_other_methods(status: &Status) -> bool {
    let message = status.message();
    status.code() == Code::Unimplemented
        || (status.code() == Code::Internal
            && message.contains("invalid compression flag")
            && message.ends_with("status: 404 Not Found"))
}

fn urls(servers: &Servers) -> String {
    let url = |uri: &Uri| uri.to_string().trim_end_matches('/').to_owned();
    servers.uris().iter().map(url).collect::<Vec<_>>().join(", ")
}

fn where_it_is(which: &str) -> String {
    format!("--{which}-url or CONFIGAPI_{}_URL says where it is", which.to_uppercase())
}
