//! What is counted and logged of every call. All handles are made at the start, or once per code
//! and method; names that a client sends never become labels.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
use tonic::Code;

use super::{Call, LAST_WORD_GRACE};
use crate::{
    answers::{Taken, tracked},
    budget::{Budget, Full},
    calls,
    due::{Due, LAST_FRAME_GRACE},
    grpc::{CallLimits, reflection::Method},
    metrics::{CallFamilies, CodeLabels, MethodLabels, seconds},
    trace::{self, Span},
};

const OTHER: &str = "other";
const HEALTH: &str = "grpc.health.v1.Health";
/// The services whose calls are in traces: not those that probes and tools call all the time.
const TRACED: &str = "configapi.";

/// The meters of all methods, found by path.
#[derive(Debug)]
pub(super) struct Meters {
    by_path: HashMap<Box<str>, Arc<Meter>>,
    other: Arc<Meter>,
}

impl Meters {
    pub fn new(methods: &[Method], limits: &CallLimits, families: &CallFamilies) -> Self {
        let answers = limits.max_answer_bytes.map(Budget::new);
        let meter = |method: &Method, is_of_method| {
            let meter = Meter::new(method, limits, answers.clone(), families);
            Arc::new(Meter { is_of_method, ..meter })
        };
        let by_path = methods
            .iter()
            .map(|method| {
                let path = format!("/{}/{}", method.service, method.name).into_boxed_str();
                (path, meter(method, true))
            })
            .collect();
        let other = Method {
            service: OTHER.to_owned(),
            name: OTHER.to_owned(),
            takes_stream: false,
            gives_stream: false,
        };
        let other = meter(&other, false);
        Self { by_path, other }
    }

    pub fn of(&self, path: &str) -> &Arc<Meter> {
        self.by_path.get(path).unwrap_or(&self.other)
    }
}

/// The handles of one method.
#[derive(Debug)]
pub(super) struct Meter {
    labels: MethodLabels,
    /// Not of all the calls of methods that are not served.
    is_of_method: bool,
    takes_stream: bool,
    /// Unless it is a stream, how long its answer may take beyond its beginning.
    answer_timeout: Option<Duration>,
    /// If it is a stream, how long its client may take to take a message.
    message_timeout: Option<Duration>,
    answers: Option<Budget>,
    families: CallFamilies,
    in_flight: Gauge,
    ended: [OnceLock<Ended>; 17],
}

/// What is told of the calls that ended with one code.
#[derive(Debug)]
struct Ended {
    handled: Counter,
    latency: Histogram,
}

impl Meter {
    fn new(
        method: &Method,
        limits: &CallLimits,
        answers: Option<Budget>,
        families: &CallFamilies,
    ) -> Self {
        let labels = MethodLabels {
            grpc_service: method.service.as_str().into(),
            grpc_method: method.name.as_str().into(),
        };
        let message_timeout =
            if method.takes_stream { limits.answer_timeout } else { limits.message_timeout };
        let this = Self {
            in_flight: families.in_flight.get_or_create_owned(&labels),
            ended: [const { OnceLock::new() }; 17],
            families: families.clone(),
            is_of_method: true,
            takes_stream: method.takes_stream,
            answer_timeout: (!method.gives_stream).then_some(limits.answer_timeout),
            message_timeout: method.gives_stream.then_some(message_timeout),
            answers: answers.filter(|_| !method.gives_stream),
            labels,
        };
        // Told from the start: an alert on what it grew by would miss the refusal that it began with.
        this.ended(Code::ResourceExhausted);
        this
    }

    /// Whether there is a method of its calls.
    pub fn is_of_method(&self) -> bool {
        self.is_of_method
    }

    /// Whether there is a stream of requests to it.
    pub fn takes_stream(&self) -> bool {
        self.takes_stream
    }

    /// Whether those ask who decide whether the server lives.
    pub fn is_of_probes(&self) -> bool {
        &*self.labels.grpc_service == HEALTH
    }

    /// A span of a call with these headers, if traces are on and the method is in them.
    pub fn begin_span(&self, headers: &HeaderMap) -> Option<Span> {
        let MethodLabels { grpc_service: service, grpc_method: method } = &self.labels;
        if !trace::is_on() || !service.starts_with(TRACED) {
            return None;
        }
        let parent = trace::sent_in(headers).and_then(|sent| sent.to_str().ok());
        let mut span = trace::server(|| format!("{service}/{method}"), parent)?;
        span.set("rpc.system", "grpc");
        span.set("rpc.service", Arc::clone(service));
        span.set("rpc.method", Arc::clone(method));
        Some(span)
    }

    fn ended(&self, code: Code) -> Option<&Ended> {
        let slot = self.ended.get(usize::try_from(i32::from(code)).ok()?)?;
        Some(slot.get_or_init(|| {
            let labels = CodeLabels {
                grpc_service: Arc::clone(&self.labels.grpc_service),
                grpc_method: Arc::clone(&self.labels.grpc_method),
                grpc_code: name(code),
            };
            Ended {
                handled: self.families.handled.get_or_create_owned(&labels),
                latency: self.families.latency.get_or_create_owned(&labels),
            }
        }))
    }
}

/// Watches one call from its arrival to its end, and tells of it exactly once.
#[derive(Debug)]
pub(super) struct Watched {
    meter: Arc<Meter>,
    call: Call,
    started: Instant,
    ended: bool,
    span: Option<Span>,
}

impl Watched {
    pub fn new(meter: Arc<Meter>, call: Call, started: Instant, span: Option<Span>) -> Self {
        meter.in_flight.inc();
        Self { meter, call, started, ended: false, span }
    }

    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Whether what is refused beneath the handler may be a request after the first.
    pub fn takes_stream(&self) -> bool {
        self.meter.takes_stream()
    }

    /// When the answer must have been taken, if ever.
    pub fn answer_end(&self) -> Option<tokio::time::Instant> {
        let client = self.call.client_deadline();
        let own = self.meter.answer_timeout.map(|timeout| self.call.deadline() + timeout);
        let end = client.into_iter().chain(own).min()?;
        Some(end + LAST_WORD_GRACE)
    }

    /// A message of a stream goes out: the call ends if the client does not take it.
    pub fn message_begins(&self) {
        if let Some(timeout) = self.meter.message_timeout {
            let end = tokio::time::Instant::now() + timeout;
            calls::end_by(self.answer_end().map_or(end, |answer_end| answer_end.min(end)));
        }
    }

    /// More is asked for of a stream: all before it was taken, and the next may take its time.
    pub fn messages_were_taken(&self) {
        if self.meter.message_timeout.is_some() {
            calls::end_never();
        }
    }

    /// The bytes of an answer that are large, which are counted until the client has taken them. Those
    /// of streams are not: how much a stream has ready is bounded, and it cannot be refused any more.
    pub fn large(&self, bytes: Bytes) -> Result<(Bytes, Taken), Full> {
        let answers = self.meter.answers.as_ref();
        let place = answers.map(|answers| answers.place_for(bytes.len())).transpose()?;
        let due = self.answer_end().map(|end| Due::by(end + LAST_FRAME_GRACE));
        Ok(tracked(bytes, place, due))
    }

    /// The call has ended with this code; only the first word counts.
    pub fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.meter.in_flight.dec();
        if let Some(Ended { handled, latency }) = self.meter.ended(code) {
            latency.observe(seconds(self.started.elapsed()));
            handled.inc();
        }
        if let Some(span) = self.span.take() {
            span.end_call(code, true);
        }
        self.log(code);
    }

    fn log(&self, code: Code) {
        macro_rules! line {
            ($level:ident) => {
                line!($level, "call failed")
            };
            ($level:ident, $what:literal) => {
                tracing::$level!(
                    service = &*self.meter.labels.grpc_service,
                    method = &*self.meter.labels.grpc_method,
                    code = name(code),
                    duration_ms = seconds(self.started.elapsed()) * 1_000.0,
                    request_id = self.call.request_id(),
                    trace_id = self.call.trace_id(),
                    peer = %self.call.peer(),
                    $what
                )
            };
        }
        match code {
            Code::Ok => line!(trace, "call answered"),
            Code::Internal | Code::DataLoss | Code::Unknown => line!(error),
            Code::Unavailable => line!(warn),
            _ => line!(debug),
        }
    }
}

impl Drop for Watched {
    /// Dropped in the middle: the client went away, or the server had no more time.
    fn drop(&mut self) {
        self.call.end_waiting();
        self.end(Code::Cancelled);
    }
}

/// A code as the gRPC specification writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
