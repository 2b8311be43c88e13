//! The messages to query servers, and how each of them says how fresh its answer must be.

use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::{
    Consistency, DiffRequest, DiffResponse, GetRequest, GetResponse, GetStatusRequest,
    GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest, ListResponse, WatchRequest,
    WatchResponse,
};
use tonic::Streaming;

use super::transport::Transport;
use super::{MAX_ANSWER_BYTES, Rpc, rpc};

pub(crate) type QueryClient = QueryServiceClient<Transport>;

/// A message to a query server.
pub(crate) trait Query: Rpc<Client = QueryClient> {
    /// Says how fresh the answer must be.
    fn wish(&mut self, consistency: Option<Consistency>);
}

rpc! { QueryClient:
    get(GetRequest) -> GetResponse;
    list(ListRequest) -> ListResponse;
    history(HistoryRequest) -> HistoryResponse;
    diff(DiffRequest) -> DiffResponse;
    get_status(GetStatusRequest) -> GetStatusResponse;
    watch(WatchRequest) -> Streaming<WatchResponse>, lasting = true;
}

macro_rules! wishes {
    ($($request:ty),+ $(,)?) => {
        $(impl Query for $request {
            fn wish(&mut self, consistency: Option<Consistency>) {
                self.consistency = consistency;
            }
        })+
    };
}

wishes!(GetRequest, ListRequest, HistoryRequest, DiffRequest, GetStatusRequest, WatchRequest);

pub(super) fn client(transport: Transport) -> QueryClient {
    QueryServiceClient::new(transport).max_decoding_message_size(MAX_ANSWER_BYTES)
}
