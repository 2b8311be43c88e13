//! The gRPC edge: converts in, dispatches, converts out. No rule lives here.

use std::task::{self, Poll};

use configapi_proto::v1::command_service_server::{self, CommandServiceServer};
use configapi_proto::v1::{
    ApplyRequest, ApplyResponse, DeleteRequest, DeleteResponse, RestoreRequest, RestoreResponse,
    SetManyRequest, SetRequest, SetResponse,
};
use configapi_runtime::grpc::ENCODINGS;
use configapi_runtime::grpc::edge::Call;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};

use crate::bus::{Bus, Context, Handler};
use crate::handlers::{ApplyHandler, DeleteHandler, RestoreHandler, SetHandler};
use crate::set_many::{SetMany, SetManyAnswers};

/// The largest request: an Apply holds many values.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;
/// The largest item of a stream of sets, which holds one value. What an item was unpacked into is kept for
/// as long as its stream, and a few bytes may be packed that fill all that is allowed.
pub const MAX_ITEM_BYTES: usize = 1 << 20;
/// The largest answer: receipts only.
pub const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The command service as tonic wants it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommandRpc {
    bus: Bus,
    set_many: SetMany,
}

impl CommandRpc {
    /// The edge of a bus.
    pub fn new(bus: Bus, set_many: SetMany) -> Self {
        Self { bus, set_many }
    }

    /// The service with its limits and encodings set.
    pub fn into_server(self) -> CommandServer {
        let with_limit = |rpc: Self, max_bytes| {
            let server = CommandServiceServer::new(rpc)
                .max_decoding_message_size(max_bytes)
                .max_encoding_message_size(MAX_ANSWER_BYTES);
            ENCODINGS.into_iter().fold(server, |server, encoding| {
                server.accept_compressed(encoding).send_compressed(encoding)
            })
        };
        CommandServer {
            streams: with_limit(self.clone(), MAX_ITEM_BYTES),
            calls: with_limit(self, MAX_REQUEST_BYTES),
        }
    }

    async fn dispatch<H: Handler>(
        &self,
        request: Request<H::Request>,
    ) -> Result<Response<H::Response>, Status> {
        let context = context_of(&request);
        let response = self.bus.dispatch::<H>(request.into_inner(), context).await?;
        Ok(Response::new(response))
    }
}

/// What the edge of the process knows about a call.
pub(crate) fn context_of<T>(request: &Request<T>) -> Context {
    Call::of(request).map_or_else(Context::default, |call| Context {
        deadline: Some(call.deadline().into_std()),
        call_id: call.request_id().into(),
        traceparent: call.traceparent().map(Into::into),
    })
}

#[tonic::async_trait]
impl command_service_server::CommandService for CommandRpc {
    async fn set(&self, request: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        self.dispatch::<SetHandler>(request).await
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        self.dispatch::<DeleteHandler>(request).await
    }

    async fn restore(
        &self,
        request: Request<RestoreRequest>,
    ) -> Result<Response<RestoreResponse>, Status> {
        self.dispatch::<RestoreHandler>(request).await
    }

    async fn apply(
        &self,
        request: Request<ApplyRequest>,
    ) -> Result<Response<ApplyResponse>, Status> {
        self.dispatch::<ApplyHandler>(request).await
    }

    type SetManyStream = SetManyAnswers;

    async fn set_many(
        &self,
        request: Request<Streaming<SetManyRequest>>,
    ) -> Result<Response<SetManyAnswers>, Status> {
        let context = context_of(&request);
        let answers = self.set_many.begin(request.into_inner(), self.bus.clone(), context)?;
        Ok(Response::new(answers))
    }
}

/// The command service, with a limit for the items of its stream that is not that of its calls.
#[derive(Debug, Clone)]
pub struct CommandServer {
    calls: CommandServiceServer<CommandRpc>,
    streams: CommandServiceServer<CommandRpc>,
}

/// The method whose requests are a stream.
const STREAM: &str = "/SetMany";

impl NamedService for CommandServer {
    const NAME: &'static str = CommandServiceServer::<CommandRpc>::NAME;
}

impl<B> Service<http::Request<B>> for CommandServer
where
    CommandServiceServer<CommandRpc>: Service<http::Request<B>>,
{
    type Response = <CommandServiceServer<CommandRpc> as Service<http::Request<B>>>::Response;
    type Error = <CommandServiceServer<CommandRpc> as Service<http::Request<B>>>::Error;
    type Future = <CommandServiceServer<CommandRpc> as Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.calls.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path().ends_with(STREAM) {
            self.streams.call(request)
        } else {
            self.calls.call(request)
        }
    }
}
