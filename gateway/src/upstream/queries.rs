//! The messages to query servers, and how each of them says how fresh its answer must be.

use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::query_service_server::QueryService;
use configapi_proto::v1::watch_request::Start;
use configapi_proto::v1::{
    Consistency, DiffRequest, DiffResponse, GetRequest, GetResponse, GetStatusRequest,
    GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest, ListResponse, WatchRequest,
    WatchResponse,
};
use futures_util::StreamExt as _;
use tonic::{Request, Status};

use super::Along;
use super::rpc::{Rpc, rpc};
use super::transport::Transport;
use super::way::{Calling, Either, Frames, Way, remote};

pub(crate) type QueryWay = Way<QueryServiceClient<Transport>, dyn QueryMethods>;

/// A message to a query server.
pub(crate) trait Query: Rpc<Way = QueryWay> {
    /// Says how fresh the answer must be.
    fn wish(&mut self, consistency: Option<Consistency>);
    /// Whether a server may have to wait before it can answer: for what is wished, or for a place in the log
    /// that it has yet to come to.
    fn may_wait(&self) -> bool;
}

rpc! { QueryWay, QueryMethods of QueryService at "/configapi.v1.QueryService/":
    "Get" get(GetRequest) -> GetResponse;
    "List" list(ListRequest) -> ListResponse;
    "History" history(HistoryRequest) -> HistoryResponse;
    "Diff" diff(DiffRequest) -> DiffResponse;
    "GetStatus" get_status(GetStatusRequest) -> GetStatusResponse;
    get_status(GetStatusRequest) then stream "Watch" watch(WatchRequest) -> WatchResponse;
}

macro_rules! wishes {
    ($($request:ty => $names_a_place:expr;)+) => {
        $(impl Query for $request {
            fn wish(&mut self, consistency: Option<Consistency>) {
                self.consistency = consistency;
            }

            fn may_wait(&self) -> bool {
                let names_a_place: fn(&Self) -> bool = $names_a_place;
                self.consistency.is_some() || names_a_place(self)
            }
        })+
    };
}

// The pages after the first one are about the state of that one.
wishes! {
    GetRequest => |it| it.at.is_some();
    ListRequest => |it| it.at.is_some() || !it.page_token.is_empty();
    HistoryRequest => |it| !it.page_token.is_empty();
    DiffRequest => |it| it.from.is_some() || it.to.is_some();
    GetStatusRequest => |_| false;
    WatchRequest => |it| !matches!(it.start, None | Some(Start::InitialState(_)));
}
