//! The gRPC face: every handler converts in, asks, and converts out. No rule lives here.

use std::sync::Arc;

use configapi_proto::v1::{
    AtTimeRequest, AtTimeResponse, DiffRequest, DiffResponse, GetRequest, GetResponse,
    GetStatusRequest, GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest,
    ListResponse, WatchRequest,
};
use configapi_runtime::grpc::edge::Call;
use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use self::generated::query_service_server::QueryService as Rpc;
use crate::core::Core;
use crate::watch::FrameStream;
use crate::wire::Encoded;

/// The server half of the contract, with answers in their encoded form.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated from the contract"
)]
pub mod generated {
    tonic::include_proto!("configapi.v1");
}

/// The read server's gRPC service.
#[derive(Debug, Clone)]
pub struct QueryRpc {
    core: Arc<Core>,
}

impl QueryRpc {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

/// What a client can decompress.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
/// Smaller answers are sent as they are: many clients accept compression without asking for it, and
/// to compress a few bytes costs more than the whole call.
const COMPRESSED_BYTES: usize = 1 << 10;
/// Smaller answers are copied: that costs less than to hand them over beside the message.
const MOVED_BYTES: usize = 1 << 10;

/// What the handlers want to know of a call beside its message.
#[derive(Debug, Clone, Copy)]
struct About {
    deadline: Option<Instant>,
    accepts_compression: bool,
    takes_framed: bool,
}

impl About {
    fn of<T>(request: &Request<T>) -> Self {
        let call = Call::of(request);
        Self {
            deadline: call.map(Call::deadline),
            accepts_compression: request.metadata().contains_key(ACCEPT_ENCODING),
            takes_framed: call.is_some_and(Call::takes_framed),
        }
    }

    fn answer<T: Message>(self, answer: T) -> Response<T> {
        let is_small = self.accepts_compression && answer.encoded_len() < COMPRESSED_BYTES;
        let mut response = Response::new(answer);
        if is_small {
            response.disable_compression();
        }
        response
    }

    /// What is written already goes out from where it lies, if it is large enough that a copy costs more
    /// and if it need not be compressed.
    fn written<M>(self, mut answer: Encoded<M>) -> Response<Encoded<M>> {
        let is_moved =
            self.takes_framed && !self.accepts_compression && answer.len() >= MOVED_BYTES;
        let framed = if is_moved { answer.take_framed() } else { None };
        let mut response = self.answer(answer);
        if let Some(framed) = framed {
            response.extensions_mut().insert(framed);
        }
        response
    }
}

#[tonic::async_trait]
impl Rpc for QueryRpc {
    type WatchStream = FrameStream;

    async fn get(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<Encoded<GetResponse>>, Status> {
        let about = About::of(&request);
        Ok(about.written(self.core.get(request.into_inner(), about.deadline).await?))
    }

    async fn list(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<Encoded<ListResponse>>, Status> {
        let about = About::of(&request);
        Ok(about.written(self.core.list(request.into_inner(), about.deadline).await?))
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<Encoded<HistoryResponse>>, Status> {
        let about = About::of(&request);
        Ok(about.written(self.core.history(request.into_inner(), about.deadline).await?))
    }

    async fn at_time(
        &self,
        request: Request<AtTimeRequest>,
    ) -> Result<Response<Encoded<AtTimeResponse>>, Status> {
        let about = About::of(&request);
        Ok(about.written(self.core.at_time(request.into_inner(), about.deadline).await?))
    }

    async fn diff(
        &self,
        request: Request<DiffRequest>,
    ) -> Result<Response<Encoded<DiffResponse>>, Status> {
        let about = About::of(&request);
        Ok(about.written(self.core.diff(request.into_inner(), about.deadline).await?))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<FrameStream>, Status> {
        let about = About::of(&request);
        // Frames are small and there are many of them, so they are sent as they are.
        let mut frames =
            Response::new(self.core.watch(request.into_inner(), about.deadline).await?);
        frames.disable_compression();
        Ok(frames)
    }

    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let about = About::of(&request);
        Ok(about.answer(self.core.status(request.into_inner(), about.deadline).await?))
    }
}
