//! The gRPC face: every handler converts in, asks, and converts out. No rule lives here.

use std::sync::Arc;

use configapi_proto::v1::query_service_server::QueryService as QueryRpc;
use configapi_proto::v1::{
    AtTimeRequest, AtTimeResponse, DiffRequest, DiffResponse, GetRequest, GetResponse,
    GetStatusRequest, GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest,
    ListResponse, WatchRequest,
};
use configapi_runtime::grpc::edge::Call;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::watch::FrameStream;

/// The read server's gRPC service.
#[derive(Debug, Clone)]
pub struct QueryRpcService {
    core: Arc<Core>,
}

impl QueryRpcService {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

fn deadline<T>(request: &Request<T>) -> Option<Instant> {
    Call::of(request).map(Call::deadline)
}

#[tonic::async_trait]
impl QueryRpc for QueryRpcService {
    type WatchStream = FrameStream;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.get(request.into_inner(), deadline).await?))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.list(request.into_inner(), deadline).await?))
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.history(request.into_inner(), deadline).await?))
    }

    async fn at_time(
        &self,
        request: Request<AtTimeRequest>,
    ) -> Result<Response<AtTimeResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.at_time(request.into_inner(), deadline).await?))
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.diff(request.into_inner(), deadline).await?))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<FrameStream>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.watch(request.into_inner(), deadline).await?))
    }

    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(self.core.status(request.into_inner(), deadline).await?))
    }
}
