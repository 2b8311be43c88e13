//! Traces over OTLP, for the whole process, as logging is. Off unless a collector is named; then no
//! span is made anywhere, and to find that out costs one look. Spans join the trace that a request
//! came with. They never hold a value or the name of a config.

mod export;
mod span;
mod traceparent;

use std::{str::FromStr, sync::OnceLock, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
    tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider, SpanExporter as _},
};

use self::export::{Export, Queue};
pub use self::{
    span::Span,
    traceparent::{TRACEPARENT, sent_in},
};
use crate::metrics::Metrics;

/// What tells from which part of the software a span is.
const SCOPE: &str = "configapi";
/// How the URL of a collector behind TLS begins.
const TLS: &str = "https:";

static TRACES: OnceLock<Traces> = OnceLock::new();

/// Whether and where traces go. Flatten it into the settings of a process.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TraceSettings {
    /// The collector that traces are sent to, over OTLP/gRPC, such as `http://127.0.0.1:4317`; with
    /// https:// it is known by the certificates that the system trusts (default: none are made)
    #[arg(long, env = "CONFIGAPI_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otlp_endpoint: Option<OtlpEndpoint>,

    /// Which part of the traces that begin here is recorded, from 0 to 1; one that began elsewhere
    /// is recorded if it was recorded there
    #[arg(long, env = "CONFIGAPI_OTLP_SAMPLE_RATIO", value_name = "RATIO", default_value = "1")]
    pub otlp_sample_ratio: SampleRatio,
}

/// The URL of a collector.
#[derive(Debug, Clone)]
pub struct OtlpEndpoint(String);

impl FromStr for OtlpEndpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let uri: http::Uri = text.parse().map_err(|_| NotAnEndpoint)?;
        let authority = uri.authority().ok_or(NotAnEndpoint)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(NotAnEndpoint);
        }
        Ok(Self(uri.to_string()))
    }
}

/// A text that names no collector.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be http://host:port or https://host:port")]
pub struct NotAnEndpoint;

/// A part of all.
#[derive(Debug, Clone, Copy, Default)]
pub struct SampleRatio(f64);

impl FromStr for SampleRatio {
    type Err = NotARatio;

    fn from_str(text: &str) -> Result<Self, NotARatio> {
        let ratio: f64 = text.parse().map_err(|_| NotARatio)?;
        if (0.0..=1.0).contains(&ratio) { Ok(Self(ratio)) } else { Err(NotARatio) }
    }
}

/// A text that is no part of all.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be a number from 0 to 1, such as 0.01")]
pub struct NotARatio;

/// Tracing could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to the collector (CONFIGAPI_OTLP_ENDPOINT)")]
pub struct TraceError(#[source] ExporterBuildError);

#[derive(Debug)]
struct Traces {
    tracer: SdkTracer,
    export: Export,
}

/// Sets up traces for the whole process, if a collector is named. It need not be there. Needs a
/// running tokio runtime.
pub fn init(
    settings: &TraceSettings,
    service: &'static str,
    version: &'static str,
    metrics: &Metrics,
) -> Result<(), TraceError> {
    let Some(OtlpEndpoint(endpoint)) = &settings.otlp_endpoint else { return Ok(()) };
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.as_str())
        .with_timeout(export::EXPORT_MAX);
    if endpoint.starts_with(TLS) {
        // By itself it would trust nobody.
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    let mut exporter = exporter.build().map_err(TraceError)?;
    let attributes = [KeyValue::new("service.version", version)];
    let resource =
        Resource::builder().with_service_name(service).with_attributes(attributes).build();
    exporter.set_resource(&resource);
    let (queue, export) = Queue::start(exporter, metrics);
    let root = Sampler::TraceIdRatioBased(settings.otlp_sample_ratio.0);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_resource(resource)
        .build();
    // A second set-up in one process changes nothing.
    let _ = TRACES.set(Traces { tracer: provider.tracer(SCOPE), export });
    Ok(())
}

/// Sends what is left, for a bounded time; the last thing that a process does.
pub async fn finish() {
    if let Some(traces) = TRACES.get() {
        traces.export.finish().await;
    }
}

/// Whether spans are made at all.
pub fn is_on() -> bool {
    TRACES.get().is_some()
}

/// A span of a request that came in, under what it came with. None if traces are off.
pub fn server(name: impl FnOnce() -> String, parent: Option<&str>) -> Option<Span> {
    begin(SpanKind::Server, name, parent)
}

/// A span of a request that goes out.
pub fn client(name: impl FnOnce() -> String, parent: Option<&str>) -> Option<Span> {
    begin(SpanKind::Client, name, parent)
}

/// A span of something within a request; none if the request is in no trace.
pub fn within(name: &'static str, parent: Option<&str>) -> Option<Span> {
    parent.and_then(|parent| begin(SpanKind::Internal, || name.to_owned(), Some(parent)))
}

fn begin(kind: SpanKind, name: impl FnOnce() -> String, parent: Option<&str>) -> Option<Span> {
    let traces = TRACES.get()?;
    let parent = match parent.and_then(traceparent::parse) {
        Some(parent) => Context::new().with_remote_span_context(parent),
        None => Context::new(),
    };
    let builder = SpanBuilder::from_name(name()).with_kind(kind);
    Some(Span::new(traces.tracer.build_with_context(builder, &parent)))
}

/// How long the last export may take at the end of a process.
const FINISH_MAX: Duration = Duration::from_secs(3);
