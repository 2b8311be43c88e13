//! Traces: what a collector gets of a request, and what becomes of the servers without one.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::support::Serving;

/// The servers are on this machine, whatever proxy the environment names.
fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

struct Taking(UnboundedSender<ExportTraceServiceRequest>);

struct Refusing;

#[tonic::async_trait]
impl TraceService for Refusing {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Err(Status::permission_denied("the-words-of-the-collector"))
    }
}

#[tonic::async_trait]
impl TraceService for Taking {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let _ = self.0.send(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector that takes everything, and an HTTP client.
struct Collector {
    runtime: Runtime,
    address: SocketAddr,
    got: UnboundedReceiver<ExportTraceServiceRequest>,
    http: reqwest::Client,
}

impl Collector {
    fn start() -> Self {
        let (sender, got) = unbounded_channel();
        Self::answering(Taking(sender), got, Server::builder())
    }

    fn refusing() -> Self {
        Self::answering(Refusing, unbounded_channel().1, Server::builder())
    }

    /// One that is known by this certificate.
    fn behind_tls(identity: Identity) -> Self {
        let (sender, got) = unbounded_channel();
        let tls = ServerTlsConfig::new().identity(identity);
        Self::answering(Taking(sender), got, Server::builder().tls_config(tls).unwrap())
    }

    fn answering(
        service: impl TraceService,
        got: UnboundedReceiver<ExportTraceServiceRequest>,
        mut server: Server,
    ) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(
            server
                .add_service(TraceServiceServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self { runtime, address, got, http: http() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn put(&self, serving: &Serving, traceparent: Option<&str>) {
        let url = format!("{}/v1/config/hidden-name", serving.gateway);
        let mut request = self.http.put(url).json(&json!({"value": "hidden-value"}));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let answer = self.runtime.block_on(request.send()).unwrap();
        assert_eq!(answer.status(), 200);
    }

    fn get(&self, url: String) -> String {
        let asked = async { self.http.get(url).send().await.unwrap().text().await.unwrap() };
        self.runtime.block_on(asked)
    }

    /// The trace that the newest event belongs to.
    fn traceparent(&self, serving: &Serving) -> Option<String> {
        let history = self.get(format!("{}/v1/config/hidden-name/history", serving.gateway));
        let history: Value = serde_json::from_str(&history).unwrap();
        let newest = history.as_array().unwrap().last().unwrap();
        let traceparent = newest["metadata"]["traceparent"].as_str();
        traceparent.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    }

    /// Waits for the spans of a trace, up to the one of this name.
    fn spans(&mut self, trace_id: &str, last: &str) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        while spans.iter().all(|span| span.name != last) {
            let request = self.got.blocking_recv().unwrap();
            let text = format!("{request:?}");
            assert!(!text.contains("hidden"), "{text}");
            assert!(text.contains("service.name") && text.contains("\"configapi\""), "{text}");
            let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
            let new = scopes.flat_map(|scope| scope.spans);
            spans.extend(new.filter(|span| hex(&span.trace_id) == trace_id));
        }
        spans
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// How long to wait before asking a server again.
const PAUSE: Duration = Duration::from_millis(5);
const PUT: &str = "PUT /v1/config/{name}";
const SET: &str = "configapi.v1.CommandService/Set";

/// Fails the test unless these are the spans of one write, each within the one before.
#[track_caller]
fn assert_write(spans: &[Span], event: &str) {
    let chain = [("commit", 1), (SET, 2), (SET, 3), (PUT, 2)];
    let mut inner: Option<&Span> = None;
    for (name, kind) in chain {
        let found = spans.iter().find(|span| {
            let is_around = inner.is_none_or(|inner| inner.parent_span_id == span.span_id);
            span.name == name && span.kind == kind && is_around
        });
        inner = Some(found.unwrap_or_else(|| panic!("no {name} of kind {kind}: {spans:#?}")));
    }
    let handled = spans.iter().find(|span| span.name == SET && span.kind == 2).unwrap();
    assert_eq!(event[36..52], hex(&handled.span_id));
}

#[test]
fn a_write_is_one_trace_from_the_gateway_to_the_event() {
    let mut collector = Collector::start();
    let serving = Serving::start_with("memory:", &["--otlp-endpoint", &collector.url()]);
    collector.put(&serving, None);
    let event = collector.traceparent(&serving).unwrap();
    let spans = collector.spans(&event[3..35], PUT);
    assert_write(&spans, &event);
    assert!(spans.iter().any(|span| span.name == PUT && span.parent_span_id.is_empty()));
    // What is left is sent at the end.
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    collector.put(&serving, Some(given));
    let event = collector.traceparent(&serving).unwrap();
    assert_eq!(serving.ends(), Some(0));
    let spans = collector.spans("0af7651916cd43dd8448eb211c80319c", PUT);
    assert_write(&spans, &event);
    let outermost = spans.iter().find(|span| span.name == PUT).unwrap();
    assert_eq!(hex(&outermost.parent_span_id), "b7ad6b7169203331");
}

#[test]
fn without_a_collector_a_trace_is_passed_on_as_it_came() {
    let collector = Collector::start();
    let serving = Serving::start("memory:");
    collector.put(&serving, None);
    assert_eq!(collector.traceparent(&serving), None);
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    collector.put(&serving, Some(given));
    assert_eq!(collector.traceparent(&serving).as_deref(), Some(given));
}

#[test]
fn only_the_part_that_was_asked_for_is_recorded() {
    let mut collector = Collector::start();
    let url = collector.url();
    let arguments = ["--otlp-endpoint", &url, "--otlp-sample-ratio", "0"];
    let serving = Serving::start_with("memory:", &arguments);
    collector.put(&serving, None);
    let unrecorded = collector.traceparent(&serving).unwrap();
    assert!(unrecorded.ends_with("-00"), "{unrecorded}");
    // Who sends a recorded trace gets it recorded.
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    collector.put(&serving, Some(given));
    assert_eq!(serving.ends(), Some(0));
    let spans = collector.spans("0af7651916cd43dd8448eb211c80319c", PUT);
    assert!(spans.iter().all(|span| hex(&span.trace_id) != unrecorded[3..35]));
}

#[test]
fn a_collector_behind_tls_is_known_by_a_certificate_that_the_system_trusts() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    let identity = Identity::from_pem(&certificate, certified.signing_key.serialize_pem());
    let mut collector = Collector::behind_tls(identity);
    let endpoint = format!("https://localhost:{}", collector.address.port());
    let mut trusted = tempfile::NamedTempFile::new().unwrap();
    trusted.write_all(certificate.as_bytes()).unwrap();
    let path = trusted.path().to_str().unwrap();
    let arguments = ["--otlp-endpoint", &endpoint];
    let serving = Serving::start_within("memory:", &arguments, &[("SSL_CERT_FILE", path)]);
    collector.put(&serving, None);
    let event = collector.traceparent(&serving).unwrap();
    assert_write(&collector.spans(&event[3..35], PUT), &event);
}

#[test]
fn why_a_collector_takes_nothing_stands_in_the_log() {
    let collector = Collector::refusing();
    let serving = Serving::start_with("memory:", &["--otlp-endpoint", &collector.url()]);
    collector.put(&serving, None);
    let line = serving.log_with("the trace collector takes no spans");
    assert!(line.contains("PermissionDenied"), "{line}");
    // What it says may repeat what it was sent.
    assert!(!line.contains("the-words-of-the-collector"), "{line}");
}

#[test]
fn a_collector_that_is_away_or_silent_stops_no_server() {
    let collector = Collector::start();
    // Nobody ever accepts what connects to the one, and nobody is at the other.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let away = {
        let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        gone.local_addr().unwrap()
    };
    let survives = |address: SocketAddr, is_away: bool| {
        let endpoint = format!("http://{address}");
        let serving = Serving::start_with("memory:", &["--otlp-endpoint", &endpoint]);
        for _ in 0..20 {
            collector.put(&serving, None);
        }
        let dropped = "configapi_trace_spans_dropped_total{reason=\"not_taken\"} 0";
        let metrics = || collector.get(format!("{}/metrics", serving.gateway));
        while is_away && metrics().contains(dropped) {
            std::thread::sleep(PAUSE);
        }
        assert!(metrics().contains("configapi_trace_spans_exported_total 0"));
        assert_eq!(serving.ends(), Some(0));
    };
    // Side by side: both take as long as a server waits for its collector.
    std::thread::scope(|both| {
        both.spawn(|| survives(silent.local_addr().unwrap(), false));
        both.spawn(|| survives(away, true));
    });
}

#[test]
fn a_request_that_fails_is_logged_with_the_trace_that_it_came_in() {
    let serving = Serving::start("memory:");
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = http()
        .get(format!("{}/v1/config/a", serving.gateway))
        .header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"))
        .header("configapi-token", "1-999")
        .header("prefer", "wait=0");
    let answer = Runtime::new().unwrap().block_on(request.send()).unwrap();
    assert_eq!(answer.status(), 503);
    let line = serving.log_with("request failed");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["trace_id"], trace_id, "{line}");
}
