//! The way to the command server. A command is sent once and never repeated by the gateway: only
//! the client knows whether it wants that.

use std::time::Duration;

use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::{
    ApplyRequest, ApplyResponse, DeleteRequest, DeleteResponse, RestoreRequest, RestoreResponse,
    SetRequest, SetResponse,
};
use configapi_proto::{ApiError, Reason};
use tokio::time::timeout;

use super::transport::Transport;
use super::{Along, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Ready, Rpc, monitor, rpc};

pub(crate) type CommandClient = CommandServiceClient<Transport>;

/// A message to the command server.
pub(crate) trait Command: Rpc<Client = CommandClient> {}

rpc! { CommandClient:
    set(SetRequest) -> SetResponse;
    delete(DeleteRequest) -> DeleteResponse;
    restore(RestoreRequest) -> RestoreResponse;
    apply(ApplyRequest) -> ApplyResponse;
}

impl Command for SetRequest {}
impl Command for DeleteRequest {}
impl Command for RestoreRequest {}
impl Command for ApplyRequest {}

/// The command server.
pub(crate) struct Commands {
    client: CommandClient,
    health: Health,
}

enum Health {
    Asked(Transport),
    Known(Ready),
}

impl Commands {
    pub fn remote(transport: Transport) -> Self {
        Self { health: Health::Asked(transport.clone()), client: client(transport) }
    }

    pub fn local(transport: Transport, ready: Ready) -> Self {
        Self { health: Health::Known(ready), client: client(transport) }
    }

    /// Sends a command and waits for its outcome.
    pub async fn send<C: Command>(&self, along: &Along, command: C) -> Result<C::Answer, ApiError> {
        let call = C::send(self.client.clone(), along.request(command, false));
        along.wait(call, ApiError::from_command_status, || Reason::OutcomeUnknown.into()).await
    }

    /// Whether commands can be recorded, and if not, why not.
    pub async fn check(&self, limit: Duration) -> Result<(), String> {
        match &self.health {
            Health::Known(ready) => ready(),
            Health::Asked(transport) => timeout(limit, monitor::is_serving(transport.clone()))
                .await
                .unwrap_or_else(|_elapsed| Err("the command server does not answer".to_owned())),
        }
    }
}

fn client(transport: Transport) -> CommandClient {
    CommandServiceClient::new(transport)
        .max_decoding_message_size(MAX_ANSWER_BYTES)
        .max_encoding_message_size(MAX_REQUEST_BYTES)
}
