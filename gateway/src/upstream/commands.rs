//! The way to the command server. A command is sent once and never repeated by the gateway: only
//! the client knows whether it wants that.

use std::sync::Arc;
use std::time::Duration;

use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::command_service_server::{
    CommandService, SERVICE_NAME as COMMAND_SERVICE,
};
use configapi_proto::v1::{
    ApplyRequest, ApplyResponse, DeleteRequest, DeleteResponse, RestoreRequest, RestoreResponse,
    SetRequest, SetResponse,
};
use configapi_proto::{ApiError, Reason};
use configapi_runtime::grpc::edge::EdgeLayer;
use tokio::time::{Instant, timeout};
use tonic::{Request, Status};

use super::rpc::{Rpc, rpc};
use super::transport::Transport;
use super::way::{Calling, Either, Local, Way, remote};
use super::ways::Ways;
use super::{Along, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Ready, monitor};

pub(crate) type CommandWay = Way<CommandServiceClient<Transport>, dyn CommandMethods>;

/// A message to the command server.
pub(crate) trait Command: Rpc<Way = CommandWay> {}

rpc! { CommandWay, CommandMethods of CommandService at "/configapi.v1.CommandService/":
    "Set" set(SetRequest) -> SetResponse;
    "Delete" delete(DeleteRequest) -> DeleteResponse;
    "Restore" restore(RestoreRequest) -> RestoreResponse;
    "Apply" apply(ApplyRequest) -> ApplyResponse;
}

impl Command for SetRequest {}
impl Command for DeleteRequest {}
impl Command for RestoreRequest {}
impl Command for ApplyRequest {}

/// The command server.
pub(crate) struct Commands {
    way: CommandWay,
    health: Health,
}

enum Health {
    Asked(Transport),
    Known(Ready),
}

impl Commands {
    pub fn remote(transport: impl Fn() -> Transport + Clone + Send + Sync + 'static) -> Self {
        let client = |transport| {
            CommandServiceClient::new(transport)
                .max_decoding_message_size(MAX_ANSWER_BYTES)
                .max_encoding_message_size(MAX_REQUEST_BYTES)
        };
        let first = transport();
        let ways = |first| {
            let transport = transport.clone();
            Ways::new(client(first), move || client(transport()))
        };
        let way = Way::Remote { streams: ways(first.clone()), calls: ways(first.clone()) };
        Self { way, health: Health::Asked(first) }
    }

    pub fn local(service: impl CommandService, ready: Ready, edge: &EdgeLayer) -> Self {
        let service: Arc<dyn CommandMethods> = Arc::new(service);
        let way = Way::Local(Local::new(service, edge.clone()));
        Self { way, health: Health::Known(ready) }
    }

    /// Sends a command and waits for its outcome. It is not sent when its time is over already.
    pub async fn send<C: Command>(&self, along: &Along, command: C) -> Result<C::Answer, ApiError> {
        if along.deadline <= Instant::now() {
            let told = "the deadline passed before the command was sent";
            return Err(ApiError::new(Reason::DeadlineExceeded, told));
        }
        let call = C::send(&self.way, along, command);
        along.wait(call, ApiError::from_command_status, || Reason::OutcomeUnknown.into()).await
    }

    /// Whether commands can be recorded, and if not, why not.
    pub async fn check(&self, limit: Duration) -> Result<(), String> {
        match &self.health {
            Health::Known(ready) => ready(),
            Health::Asked(transport) => {
                let asked = monitor::is_serving(transport.clone(), COMMAND_SERVICE);
                timeout(limit, asked).await.map_or_else(
                    |_elapsed| {
                        let seconds = limit.as_secs();
                        Err(format!("the command server does not answer within {seconds} s"))
                    },
                    |answer| answer.map_err(|state| format!("the command server {state}")),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use configapi_runtime::clients::{ClientLimits, lazy_channel};
    use configapi_runtime::request_id::RequestId;
    use http::{HeaderMap, Uri};

    use super::*;

    #[tokio::test]
    async fn a_command_whose_time_is_over_is_not_sent_and_known_not_to_be() {
        let nobody = lazy_channel(Uri::from_static("http://127.0.0.1:9"), &ClientLimits::default());
        let commands = Commands::remote(move || Transport::new(nobody.clone()));
        let long_ago = Instant::now() - Duration::from_secs(1);
        let along = Along::of(&HeaderMap::new(), RequestId::generate(), long_ago);
        let error = commands.send(&along, SetRequest::default()).await.unwrap_err();
        assert_eq!(error.reason, Reason::DeadlineExceeded);
    }
}
