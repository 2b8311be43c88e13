//! The servers behind the gateway: one way to write, one or more to read.

mod commands;
mod monitor;
mod pool;
mod queries;
mod rpc;
mod transport;
mod way;
mod ways;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use configapi_proto::ApiError;
use configapi_proto::v1::command_service_server::CommandService;
use configapi_proto::v1::query_service_server::QueryService;
use configapi_runtime::clients::{ClientLimits, lazy_channel};
use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::request_id::{REQUEST_ID, RequestId};
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::trace::{self, TRACEPARENT};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

pub(crate) use self::commands::{Command, Commands};
pub(crate) use self::pool::{Held, Pool, reached};
pub(crate) use self::queries::Query;
use self::transport::Transport;
pub(crate) use self::way::Frames;
use crate::settings::UpstreamSettings;
use crate::words;

/// Says whether a server within this process can serve now, and if not, why not.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A server's own answer at its deadline is better than ours, so it gets this much longer.
const GRACE: Duration = Duration::from_millis(200);

/// The largest answer. Pages are cut to less than 4 MiB by the servers.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// What a watch may be sent before its client has taken it: about a frame. As many watches as there are
/// may stand still and have so much.
const WATCH_WINDOW: u32 = 64 << 10;
/// All that HTTP/2 allows: a watch that stands still must not hold up the others.
const ALL_WATCHES_WINDOW: u32 = (1 << 31) - 1;
/// The largest request: an Apply.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// The servers behind one gateway.
pub struct Upstreams {
    pub(crate) commands: Commands,
    pub(crate) queries: Pool,
}

impl Upstreams {
    /// Servers elsewhere, over channels that connect when first used. Needs a running tokio
    /// runtime.
    pub fn remote(settings: &UpstreamSettings) -> Self {
        let way_to = |url: &http::Uri, limits: &ClientLimits| {
            let (url, limits) = (url.clone(), limits.clone());
            move || Transport::new(lazy_channel(url.clone(), &limits))
        };
        let for_calls = ClientLimits::default();
        let for_streams = ClientLimits {
            stream_window: WATCH_WINDOW,
            connection_window: ALL_WATCHES_WINDOW,
            ..ClientLimits::default()
        };
        let both = |url| (way_to(url, &for_calls), way_to(url, &for_streams));
        Self {
            commands: Commands::remote(way_to(&settings.command_url, &for_calls)),
            queries: Pool::remote(settings.query_url.iter().map(both)),
        }
    }

    /// Servers within this process, called without a network and without the form of the wire in
    /// between. The edge gives their calls what a listener would: deadlines, names and metrics.
    pub fn in_process(
        commands: impl CommandService,
        commands_ready: Ready,
        queries: impl QueryService,
        queries_ready: Ready,
        edge: &EdgeLayer,
    ) -> Self {
        Self {
            commands: Commands::local(commands, commands_ready, edge),
            queries: Pool::local(queries, queries_ready, edge),
        }
    }

    /// Starts the probes of all servers that are elsewhere.
    pub(crate) fn watch_over(&self, life: &Lifecycle) {
        self.queries.watch_over(life);
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("queries", &self.queries).finish_non_exhaustive()
    }
}

/// What goes along with every call: what it is called, its trace, and until when it must answer.
#[derive(Debug, Clone)]
pub(crate) struct Along {
    pub request_id: RequestId,
    pub traceparent: Option<HeaderValue>,
    pub deadline: Instant,
}

impl Along {
    /// What came along with an HTTP request.
    pub fn of(headers: &HeaderMap, request_id: RequestId, deadline: Instant) -> Self {
        let traceparent = trace::sent_in(headers).cloned();
        Self { request_id, traceparent, deadline }
    }

    /// The same with half of the time, so that somebody else can be asked in the other half.
    fn for_half_the_time(&self) -> Self {
        let now = Instant::now();
        let half = self.deadline.saturating_duration_since(now) / 2;
        Self { deadline: now + half, ..self.clone() }
    }

    /// The message with what goes along, except the deadline.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(REQUEST_ID, self.request_id.as_header().clone());
        if let Some(traceparent) = &self.traceparent {
            headers.insert(TRACEPARENT, traceparent.clone());
        }
        let metadata = MetadataMap::from_headers(headers);
        Request::from_parts(metadata, http::Extensions::new(), message)
    }

    /// The message with all that goes along.
    fn timed_request<T>(&self, message: T) -> Request<T> {
        let mut request = self.request(message);
        request.set_timeout(self.until().saturating_duration_since(Instant::now()));
        request
    }

    /// Until when a server may answer: it gets a moment even if it is late already.
    fn until(&self) -> Instant {
        self.deadline.max(Instant::now() + Duration::from_millis(1))
    }

    /// Waits for a call's answer, but not for ever: a connection that is being made, or a server
    /// that ignores deadlines, would otherwise be waited for.
    fn wait<F, T>(
        &self,
        call: F,
        error_of: fn(&Status) -> ApiError,
        too_late: fn() -> ApiError,
    ) -> impl Future<Output = Result<T, ApiError>> + use<F, T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        timeout_at(self.deadline + GRACE, call).map(move |answered| match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(words::in_rest(error_of(&status))),
            Err(_elapsed) => Err(words::in_rest(too_late())),
        })
    }
}
