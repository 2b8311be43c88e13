//! How commands of this binary reach the servers: one call at a time, repeated within bounds where
//! that is safe, and never for longer than the user's patience.

mod attempts;
mod pages;
mod place;

use std::time::Duration;

use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::{ApiError, Reason, key};
use configapi_runtime::clients::{ClientLimits, lazy_channel};
use tonic::transport::{Channel, Uri};
use tonic::{Code, Request, Response, Status};

pub use self::attempts::Backoff;
use self::attempts::{Attempts, most_attempts};
pub use self::pages::{Pager, list_pages};
use self::place::{Place, is_connect_error};
pub use self::place::{no_answer_in_time, speaks_otherwise};
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
    place: Place,
    timeout: Duration,
}

impl Queries {
    /// Connects when it is first used.
    pub fn new(server: &QueryServer, patience: Patience) -> Self {
        let place = Place::new(&server.query_url, "query");
        let clients = channels(&server.query_url).map(QueryServiceClient::new).collect();
        Self { clients, place, timeout: patience.timeout }
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
        let mut attempts = Attempts::new(self.timeout, self.place.servers());
        loop {
            let attempt = attempts.count();
            let client = self.client(attempt).ok_or_else(no_servers)?;
            let status = match method(client, attempts.request(query.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            if let Some(failure) = self.place.other_server(&status, attempt) {
                return Err(failure);
            }
            let error = ApiError::from_status(&status);
            if !attempts.again_after(&error, &status).await {
                return Err(self.place.failure(error, &status, attempt));
            }
        }
    }

    /// A failure of a stream at the server of this attempt, told like that of a call.
    pub fn failure_of(&self, status: &Status, attempt: usize) -> Failure {
        self.place.failure_or_other(ApiError::from_status(status), status, attempt)
    }

    /// Whether after so many failures at the beginning there is no point in waiting for a server,
    /// because what is there does not answer as one. One that is away may come, and one that says
    /// that it cannot serve may be able to later.
    pub fn is_hopeless(&self, status: &Status, failures: usize) -> bool {
        let is_waited_for = is_connect_error(status) || ApiError::of_our_server(status).is_some();
        !is_waited_for && failures >= most_attempts(status, self.place.servers())
    }
}

/// The servers that write.
#[derive(Debug, Clone)]
pub struct Commands {
    clients: Vec<CommandServiceClient<Channel>>,
    place: Place,
    timeout: Duration,
}

impl Commands {
    /// Connects when it is first used.
    pub fn new(server: &CommandServer, patience: Patience) -> Self {
        let place = Place::new(&server.command_url, "command");
        let clients = channels(&server.command_url).map(CommandServiceClient::new).collect();
        Self { clients, place, timeout: patience.timeout }
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
        let mut attempts = Attempts::new(self.timeout, self.place.servers());
        let mut is_unknown = false;
        loop {
            let attempt = attempts.count();
            let client = self.client(attempt).ok_or_else(no_servers)?;
            let status = match method(client, attempts.request(command.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            if !is_unknown && let Some(failure) = self.place.other_server(&status, attempt) {
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
                return Err(self.place.failure(error, &status, attempt));
            }
        }
    }

    /// Why a server did not say whether it takes commands, told like the failure of a call.
    pub fn failure_of_health(&self, status: &Status, attempt: usize) -> Failure {
        if status.code() == Code::NotFound {
            return self.place.no_such_server(attempt);
        }
        self.place.failure_or_other(ApiError::from_status(status), status, attempt)
    }

    /// A failure of a stream at the server of this attempt, told like that of a call.
    pub fn failure_of(&self, status: &Status, attempt: usize) -> Failure {
        self.place.failure_or_other(ApiError::from_command_status(status), status, attempt)
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
