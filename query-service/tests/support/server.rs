//! A read server inside the test, and its answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::EventLog;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::{
    Consistency, Event, GetRequest, GetResponse, GetStatusRequest, GetStatusResponse,
    HistoryRequest, ListRequest, ListResponse, WatchRequest, WatchResponse, consistency,
    watch_response,
};
use configapi_proto::{ApiError, Reason};
use configapi_query_service::{Limits, QueryRpc, QueryService, QueryServiceServer, QuerySettings};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use futures_util::StreamExt as _;
use tonic::{Request, Status, Streaming};

/// How long a test waits for what has to happen soon.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls the server without a network.
pub type Client = QueryServiceClient<QueryServiceServer<QueryRpc>>;

/// A server, with short waits so that tests of them are fast.
pub struct Server {
    pub service: QueryService,
    pub client: Client,
    pub life: Lifecycle,
    pub metrics: Metrics,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.life.abort("the test is over");
    }
}

impl Server {
    /// A server on a log, once it serves.
    pub async fn ready(log: Arc<dyn EventLog>) -> Self {
        let server = Self::start(log, &quick());
        server.until_ready().await;
        server
    }

    pub fn start(log: Arc<dyn EventLog>, settings: &QuerySettings) -> Self {
        let life = Lifecycle::default();
        let metrics = Metrics::new("query", "test");
        let service = QueryService::start(log, settings, &metrics, &life).unwrap();
        Self { client: QueryServiceClient::new(service.server()), service, life, metrics }
    }

    pub async fn until_ready(&self) {
        eventually("the server serves", async || self.service.readiness()().is_ok()).await;
    }

    pub async fn until_not_ready(&self) -> String {
        eventually("the server stops serving", async || self.service.readiness()().is_err()).await;
        self.service.readiness()().unwrap_err()
    }

    pub async fn get(
        &self,
        stream: &str,
        consistency: Option<Consistency>,
    ) -> Result<GetResponse, Status> {
        let (namespace, name) = stream.split_once('/').unwrap();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let request = GetRequest { namespace, name, at: None, consistency };
        Ok(self.client.clone().get(Request::new(request)).await?.into_inner())
    }

    /// The value of a config, not older than a token.
    pub async fn value(&self, stream: &str, token: &str) -> String {
        let answer = self.get(stream, Some(at_least(token))).await.unwrap();
        answer.config.unwrap().value
    }

    pub async fn list(&self, request: ListRequest) -> Result<ListResponse, Status> {
        Ok(self.client.clone().list(Request::new(request)).await?.into_inner())
    }

    pub async fn history(&self, request: HistoryRequest) -> Result<Vec<Event>, Status> {
        Ok(self.client.clone().history(Request::new(request)).await?.into_inner().events)
    }

    pub async fn status(&self) -> GetStatusResponse {
        self.client
            .clone()
            .get_status(Request::new(GetStatusRequest::default()))
            .await
            .unwrap()
            .into_inner()
    }

    /// The digest of all that the server holds at a token or later.
    pub async fn state_hash(&self, token: &str) -> String {
        let request =
            GetStatusRequest { with_state_hash: true, consistency: Some(at_least(token)) };
        let status =
            self.client.clone().get_status(Request::new(request)).await.unwrap().into_inner();
        status.state_hash.unwrap()
    }

    pub async fn watch(&self, request: WatchRequest) -> Result<Frames, Status> {
        let stream = self.client.clone().watch(Request::new(request)).await?.into_inner();
        Ok(Frames { stream })
    }
}

/// The frames of a watch.
pub struct Frames {
    stream: Streaming<WatchResponse>,
}

impl Frames {
    pub async fn next(&mut self) -> Option<Result<WatchResponse, Status>> {
        tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("no frame came")
    }

    pub async fn frame(&mut self) -> WatchResponse {
        self.next().await.expect("the stream ended").expect("the stream failed")
    }

    /// The first frame, which must be this.
    pub async fn started(&mut self) -> WatchResponse {
        let frame = self.frame().await;
        assert!(matches!(frame.frame, Some(watch_response::Frame::Started(_))), "{frame:?}");
        frame
    }

    /// The next events; progress is passed over.
    pub async fn events(&mut self) -> (Vec<Event>, WatchResponse) {
        self.events_or_end().await.expect("the stream failed")
    }

    /// The same of a stream that may end.
    pub async fn events_or_end(&mut self) -> Result<(Vec<Event>, WatchResponse), Status> {
        loop {
            let mut frame = self.next().await.expect("the stream ended")?;
            match &mut frame.frame {
                Some(watch_response::Frame::Events(events)) => {
                    return Ok((std::mem::take(&mut events.events), frame));
                }
                Some(watch_response::Frame::Progress(_)) => {}
                other => panic!("events were expected, not {other:?}"),
            }
        }
    }

    /// How the stream ends.
    pub async fn end(&mut self) -> Status {
        loop {
            match self.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => {
                    assert!(self.next().await.is_none(), "something came after the end");
                    return status;
                }
                None => panic!("the stream ended without a status"),
            }
        }
    }
}

/// Settings under which a test does not have to wait.
pub fn quick() -> QuerySettings {
    let limits = Limits {
        wait_max: Duration::from_secs(15),
        backoff_max: Duration::from_millis(100),
        ..Limits::default()
    };
    QuerySettings { limits, ..QuerySettings::default() }
}

pub fn at_least(token: &str) -> Consistency {
    Consistency { wish: Some(consistency::Wish::AtLeastToken(token.to_owned())) }
}

pub fn linearizable() -> Consistency {
    Consistency { wish: Some(consistency::Wish::Linearizable(consistency::Linearizable {})) }
}

pub fn reason_of(status: &Status) -> Reason {
    ApiError::from_status(status).reason
}

pub fn token_of(status: &Status) -> Option<String> {
    ApiError::from_status(status).metadata.get("token").cloned()
}

/// Waits for a condition.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
