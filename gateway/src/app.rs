//! What all handlers share: upstreams, limits, and what was last written through this gateway.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::response::Response;
use configapi_proto::Reason;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::metrics::prometheus_client::encoding::EncodeLabelSet;
use configapi_runtime::metrics::prometheus_client::metrics::counter::Counter;
use configapi_runtime::metrics::prometheus_client::metrics::family::Family;
use configapi_runtime::metrics::prometheus_client::metrics::gauge::Gauge;
use configapi_runtime::shutdown::Lifecycle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::freshness::OwnWrites;
use crate::problem::Problem;
use crate::settings::GatewayLimits;
use crate::upstream::Upstreams;
use crate::{docs, openapi};

/// The state of every route. Clones are the same.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub upstreams: Upstreams,
    pub limits: GatewayLimits,
    pub life: Lifecycle,
    pub own_writes: OwnWrites,
    /// Places for requests being handled.
    pub requests: Arc<Semaphore>,
    /// Places for open watches.
    pub watches: Arc<Semaphore>,
    /// KiB of large request bodies that may still be taken in.
    pub body_kib: Arc<Semaphore>,
    pub meter: Meter,
    pub documents: Documents,
}

/// What the gateway counts beside its requests.
pub(crate) struct Meter {
    pub requests_shed: Counter,
    pub watches_shed: Counter,
    pub watches_open: Gauge,
}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShedLabel {
    kind: &'static str,
}

/// What is made once and served as it is.
pub(crate) struct Documents {
    pub openapi: bytes::Bytes,
    pub page: bytes::Bytes,
}

impl App {
    pub fn new(
        upstreams: Upstreams,
        limits: GatewayLimits,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Self {
        let countable = |number: usize| number.min(Semaphore::MAX_PERMITS);
        let limits = GatewayLimits {
            max_requests: countable(limits.max_requests),
            max_watches: countable(limits.max_watches),
            ..limits
        };
        let description = openapi::description();
        let documents = Documents {
            page: docs::page(&description).into(),
            openapi: description.to_string().into(),
        };
        Self(Arc::new(Inner {
            upstreams,
            life: life.clone(),
            own_writes: OwnWrites::default(),
            requests: Arc::new(Semaphore::new(limits.max_requests)),
            watches: Arc::new(Semaphore::new(limits.max_watches)),
            body_kib: Arc::new(Semaphore::new(limits.max_body_bytes_held.div_ceil(1024))),
            meter: Meter::register(metrics),
            documents,
            limits,
        }))
    }

    /// The place of a request that is handled, until its answer begins; long answers are bounded by
    /// their connections. One of many of its connection leaves half of the places to others.
    pub fn admit(&self, is_one_of_many: bool) -> Result<OwnedSemaphorePermit, Problem> {
        let left = if is_one_of_many { self.limits.max_requests / 2 } else { 0 };
        let place = Arc::clone(&self.requests).try_acquire_owned().ok();
        place.filter(|_| self.requests.available_permits() >= left).ok_or_else(|| {
            self.meter.requests_shed.inc();
            Reason::LimitExceeded.into()
        })
    }

    /// Whether reads can be answered. Writes may fail at the same time; reads shall not suffer
    /// from that.
    pub fn readiness(&self) -> Result<(), String> {
        self.upstreams.queries.readiness()
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

impl Meter {
    fn register(metrics: &Metrics) -> Self {
        let shed = Family::<ShedLabel, Counter>::default();
        let watches_open = Gauge::default();
        metrics.register(|registry| {
            let refused = "Requests and watches refused because as many as allowed were open";
            registry.register("configapi_gateway_shed", refused, shed.clone());
            let open = "Watches that are open";
            registry.register("configapi_gateway_watches", open, watches_open.clone());
        });
        let of = |kind| shed.get_or_create_owned(&ShedLabel { kind });
        Self { requests_shed: of("request"), watches_shed: of("watch"), watches_open }
    }
}

/// An answer of a handler: either way it is a response, but problems are worded at the edge, which
/// knows what the client accepts.
pub(crate) type Answer = Result<Response, Problem>;
