//! The same service for callers within this process: answers are messages of the contract, as a
//! client would read them.

use std::pin::Pin;
use std::sync::Arc;

use configapi_proto::v1::query_service_server::QueryService;
use configapi_proto::v1::{
    AtTimeRequest, AtTimeResponse, DiffRequest, DiffResponse, GetRequest, GetResponse,
    GetStatusRequest, GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest,
    ListResponse, WatchRequest, WatchResponse,
};
use configapi_proto::{ApiError, Reason};
use configapi_runtime::grpc::edge::Call;
use futures_util::{Stream, StreamExt as _};
use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::wire::Encoded;

/// The read server, to be called within this process.
#[derive(Debug, Clone)]
pub struct QueriesWithin {
    core: Arc<Core>,
}

impl QueriesWithin {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

/// The message of a request, and until when it must be answered.
fn taken<T>(request: Request<T>) -> (T, Option<Instant>) {
    let deadline = Call::of(&request).map(Call::deadline);
    (request.into_inner(), deadline)
}

fn read<M: Message + Default>(answer: &Encoded<M>) -> Result<M, Status> {
    answer.decode().map_err(|_| {
        let problem = "an answer cannot be read back";
        ApiError::new(Reason::Internal, problem).into()
    })
}

#[tonic::async_trait]
impl QueryService for QueriesWithin {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let (request, deadline) = taken(request);
        Ok(Response::new(self.core.get_message(request, deadline).await?))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let (request, deadline) = taken(request);
        Ok(Response::new(read(&self.core.list(request, deadline).await?)?))
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryResponse>, Status> {
        let (request, deadline) = taken(request);
        Ok(Response::new(read(&self.core.history(request, deadline).await?)?))
    }

    async fn at_time(
        &self,
        request: Request<AtTimeRequest>,
    ) -> Result<Response<AtTimeResponse>, Status> {
        let (request, deadline) = taken(request);
        Ok(Response::new(read(&self.core.at_time(request, deadline).await?)?))
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        let (request, deadline) = taken(request);
        Ok(Response::new(read(&self.core.diff(request, deadline).await?)?))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (request, deadline) = taken(request);
        let frames = self.core.watch(request, deadline).await?;
        Ok(Response::new(frames.map(|frame| read(&frame?)).boxed()))
    }

    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let (request, deadline) = taken(request);
        Ok(Response::new(self.core.status(request, deadline).await?))
    }
}
