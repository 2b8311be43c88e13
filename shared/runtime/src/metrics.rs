//! The numbers a process tells about itself, in `OpenMetrics` text. There is no global registry:
//! one [`Metrics`] per process, handed to what counts. Labels are names fixed in the code, never
//! anything a caller sent.

mod process;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use prometheus_client;

/// The content type of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From 100 µs (a read from memory) to 30 s (longer than any default deadline).
const LATENCY_BUCKETS_SECONDS: [f64; 15] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// All metrics of one process. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    pub(crate) calls: CallFamilies,
    pub(crate) http: HttpFamilies,
    pub(crate) connections: ConnectionFamilies,
}

impl Metrics {
    /// The metrics of a process that runs this service in this version, with those of the process
    /// itself.
    pub fn new(service: &'static str, version: &'static str) -> Self {
        let mut registry = Registry::default();
        let build = Info::new(vec![("service", service), ("version", version)]);
        registry.register("configapi_build", "What is running", build);
        registry.register_collector(Box::new(process::ProcessCollector));
        Self {
            calls: CallFamilies::register(&mut registry),
            http: HttpFamilies::register(&mut registry),
            connections: ConnectionFamilies::register(&mut registry),
            registry: Arc::new(Mutex::new(registry)),
        }
    }

    /// Registers more metrics. Keep the handles: looking one up by its labels belongs at the start,
    /// not in a request.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything as `OpenMetrics` text.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut page = String::with_capacity(16 * 1024);
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

/// A histogram for how long something took, in seconds.
pub fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS_SECONDS)
}

/// Families of the gRPC edge, under the names that dashboards for gRPC servers know.
#[derive(Debug, Clone)]
pub(crate) struct CallFamilies {
    pub handled: Family<CodeLabels, Counter>,
    pub latency: Family<CodeLabels, Histogram, fn() -> Histogram>,
    pub in_flight: Family<MethodLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MethodLabels {
    pub grpc_service: Arc<str>,
    pub grpc_method: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(clippy::struct_field_names, reason = "a field's name is its label's")]
pub(crate) struct CodeLabels {
    pub grpc_service: Arc<str>,
    pub grpc_method: Arc<str>,
    pub grpc_code: &'static str,
}

impl CallFamilies {
    fn register(registry: &mut Registry) -> Self {
        let all = Self {
            handled: Family::default(),
            latency: Family::new_with_constructor(latency_histogram as fn() -> Histogram),
            in_flight: Family::default(),
        };
        let calls = "gRPC calls that ended, by their code";
        registry.register("grpc_server_handled", calls, all.handled.clone());
        registry.register_with_unit(
            "grpc_server_handling",
            "How long gRPC calls took until the last byte was handed to the connection, by their code",
            Unit::Seconds,
            all.latency.clone(),
        );
        let in_flight = "gRPC calls being handled now, open streams included";
        registry.register("grpc_server_in_flight", in_flight, all.in_flight.clone());
        all
    }
}

/// Families of the HTTP edge.
#[derive(Debug, Clone)]
pub(crate) struct HttpFamilies {
    pub handled: Family<HttpLabels, Counter>,
    pub latency: Family<HttpLabels, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HttpLabels {
    pub method: &'static str,
    pub route: Arc<str>,
    pub status: u16,
}

impl HttpFamilies {
    fn register(registry: &mut Registry) -> Self {
        let all = Self {
            handled: Family::default(),
            latency: Family::new_with_constructor(latency_histogram as fn() -> Histogram),
        };
        let requests =
            "HTTP requests that ended, by their status; 499 if the client left before its answer";
        registry.register("http_server_requests", requests, all.handled.clone());
        let took =
            "How long HTTP requests took until their answer began or their client left, by status";
        registry.register_with_unit(
            "http_server_request_duration",
            took,
            Unit::Seconds,
            all.latency.clone(),
        );
        all
    }
}

/// Families of the connection loop.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionFamilies {
    open: Family<ServerLabels, Gauge>,
    refused: Family<ServerLabels, Counter>,
    displaced: Family<ServerLabels, Counter>,
    failed: Family<ServerLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: &'static str,
}

impl ConnectionFamilies {
    fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("configapi_connections", "Connections that are open", all.open.clone());
        let refused = "Connections closed at once because the limit was reached";
        registry.register("configapi_connections_refused", refused, all.refused.clone());
        let displaced =
            "Connections at rest that gave their place to another because the limit was reached";
        registry.register("configapi_connections_displaced", displaced, all.displaced.clone());
        let failed = "Tries to accept a connection that failed, for want of descriptors say";
        registry.register("configapi_connections_failed", failed, all.failed.clone());
        all
    }

    pub fn of(&self, server: &'static str) -> ConnectionMeter {
        let labels = ServerLabels { server };
        ConnectionMeter {
            open: self.open.get_or_create_owned(&labels),
            refused: self.refused.get_or_create_owned(&labels),
            displaced: self.displaced.get_or_create_owned(&labels),
            failed: self.failed.get_or_create_owned(&labels),
        }
    }
}

/// The handles of one server's connection loop.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionMeter {
    pub open: Gauge,
    pub refused: Counter,
    pub displaced: Counter,
    pub failed: Counter,
}

/// Counts one up now and down when dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How a duration goes into a histogram.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
