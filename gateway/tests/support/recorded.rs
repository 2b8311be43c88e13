//! A query server that remembers how fresh the gateway wished its last config to be.

use std::sync::{Arc, Mutex, OnceLock};

use configapi_proto::ApiError;
use configapi_proto::v1::consistency::Wish;
use configapi_proto::v1::query_service_server::QueryService;
use configapi_proto::v1::{
    AtTimeRequest, AtTimeResponse, Consistency, DiffRequest, DiffResponse, GetRequest, GetResponse,
    GetStatusRequest, GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest,
    ListResponse, WatchRequest,
};
use tonic::{Request, Response, Status};

/// What is known of a `Get`, and what keeps its answer back.
#[derive(Debug, Default)]
pub struct Gets {
    last: Mutex<Option<Consistency>>,
    /// Whoever holds this keeps back answers that are ready.
    pub gate: tokio::sync::Mutex<()>,
    /// What watches are refused with from now on.
    pub no_watches: OnceLock<ApiError>,
}

/// All `Get`s of one gateway.
pub type Wishes = Arc<Gets>;

/// The token that the last `Get` wished.
pub fn token_wished(wishes: &Wishes) -> Option<String> {
    match wishes.last.lock().expect("no panic").clone()?.wish? {
        Wish::AtLeastToken(token) => Some(token),
        Wish::Linearizable(_) => None,
    }
}

impl Gets {
    /// Whether the last one wished to see all that was acknowledged.
    pub fn is_linearizable(&self) -> bool {
        let last = self.last.lock().expect("no panic");
        matches!(*last, Some(Consistency { wish: Some(Wish::Linearizable(_)) }))
    }
}

pub(super) fn recorded<S: QueryService>(server: S) -> (impl QueryService, Wishes) {
    let wishes = Wishes::default();
    (Recorded { server, wishes: Arc::clone(&wishes) }, wishes)
}

struct Recorded<S> {
    server: S,
    wishes: Wishes,
}

macro_rules! passed_on {
    ($($method:ident($request:ty) -> $answer:ty;)+) => {
        #[tonic::async_trait]
        impl<S: QueryService> QueryService for Recorded<S> {
            type WatchStream = S::WatchStream;

            async fn get(&self, it: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
                let wish = it.get_ref().consistency.clone();
                let answer = self.server.get(it).await;
                *self.wishes.last.lock().expect("no panic") = wish;
                drop(self.wishes.gate.lock().await);
                answer
            }

            async fn watch(
                &self,
                it: Request<WatchRequest>,
            ) -> Result<Response<Self::WatchStream>, Status> {
                match self.wishes.no_watches.get() {
                    Some(refusal) => Err(refusal.clone().into()),
                    None => self.server.watch(it).await,
                }
            }

            $(async fn $method(&self, it: Request<$request>) -> Result<Response<$answer>, Status> {
                self.server.$method(it).await
            })+
        }
    };
}

passed_on! {
    list(ListRequest) -> ListResponse;
    history(HistoryRequest) -> HistoryResponse;
    at_time(AtTimeRequest) -> AtTimeResponse;
    diff(DiffRequest) -> DiffResponse;
    get_status(GetStatusRequest) -> GetStatusResponse;
}
