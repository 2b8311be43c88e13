//! From ended spans to the collector: a bounded queue that whoever ends a span never waits for, and
//! one task that sends batches. What does not fit, and what the collector does not take, is dropped
//! and counted.

use std::{mem, sync::Mutex, sync::PoisonError, time::Duration};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::FINISH_MAX;
use crate::{metrics::Metrics, telemetry::chain};

/// Spans that wait to be sent.
const QUEUE_SPANS: usize = 4_096;
/// Spans that are sent together.
const BATCH_SPANS: usize = 512;
/// How long a span waits for others to be sent with.
const BATCH_WAIT: Duration = Duration::from_millis(500);
/// How long the collector may take to answer.
pub(super) const EXPORT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabel {
    reason: &'static str,
}

#[derive(Debug, Clone)]
struct Counters {
    exported: Counter,
    queue_full: Counter,
    not_taken: Counter,
}

impl Counters {
    fn register(metrics: &Metrics) -> Self {
        let exported = Counter::default();
        let dropped = Family::<DropLabel, Counter>::default();
        metrics.register(|registry| {
            let help = "Spans that the trace collector took";
            registry.register("configapi_trace_spans_exported", help, exported.clone());
            let help = "Spans that were dropped, because the queue was full or nobody took them";
            registry.register("configapi_trace_spans_dropped", help, dropped.clone());
        });
        let of = |reason| dropped.get_or_create_owned(&DropLabel { reason });
        Self { exported, queue_full: of("queue_full"), not_taken: of("not_taken") }
    }
}

/// Where ended spans go.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    counters: Counters,
}

/// The task that sends them.
#[derive(Debug)]
pub(super) struct Export {
    end: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    /// Both ends, for this exporter.
    pub fn start(exporter: impl SpanExporter + 'static, metrics: &Metrics) -> (Self, Export) {
        let counters = Counters::register(metrics);
        let (sender, spans) = mpsc::channel(QUEUE_SPANS);
        let end = CancellationToken::new();
        let sending = Sending {
            exporter,
            spans,
            batch: Vec::with_capacity(BATCH_SPANS),
            counters: counters.clone(),
            is_troubled: false,
        };
        let task = Mutex::new(Some(tokio::spawn(sending.run(end.clone()))));
        (Self { sender, counters }, Export { end, task })
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.counters.queue_full.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Export {
    /// Sends what is left, for a bounded time.
    pub async fn finish(&self) {
        self.end.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && timeout(FINISH_MAX, task).await.is_err()
        {
            tracing::warn!("the last traces were not sent: the collector does not answer");
        }
    }
}

struct Sending<E> {
    exporter: E,
    spans: mpsc::Receiver<SpanData>,
    batch: Vec<SpanData>,
    counters: Counters,
    is_troubled: bool,
}

impl<E: SpanExporter> Sending<E> {
    async fn run(mut self, end: CancellationToken) {
        let mut due = interval(BATCH_WAIT);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = BATCH_SPANS - self.batch.len();
            tokio::select! {
                () = end.cancelled() => break,
                _ = due.tick() => self.send().await,
                _ = self.spans.recv_many(&mut self.batch, room) => {
                    if self.batch.len() >= BATCH_SPANS {
                        self.send().await;
                    }
                }
            }
        }
        self.spans.close();
        loop {
            let room = BATCH_SPANS - self.batch.len();
            let is_last = self.spans.recv_many(&mut self.batch, room).await == 0;
            if is_last || self.batch.len() >= BATCH_SPANS {
                self.send().await;
            }
            if is_last {
                return;
            }
        }
    }

    async fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let spans = mem::replace(&mut self.batch, Vec::with_capacity(BATCH_SPANS));
        let count = spans.len() as u64;
        // A connection that is being made obeys no deadline of the call.
        let sent = timeout(EXPORT_MAX, self.exporter.export(spans)).await;
        let trouble = match sent {
            Ok(Ok(())) => None,
            // The code and what broke beneath it, but not what the collector said.
            Ok(Err(error)) => Some(chain(&error).to_string()),
            Err(_) => Some(format!("no answer in {} s", EXPORT_MAX.as_secs())),
        };
        match &trouble {
            None => self.counters.exported.inc_by(count),
            Some(_) => self.counters.not_taken.inc_by(count),
        };
        let was_troubled = mem::replace(&mut self.is_troubled, trouble.is_some());
        match trouble {
            Some(why) if !was_troubled => {
                let text = "the trace collector takes no spans; they are dropped until it does";
                tracing::warn!(why, "{text}");
            }
            None if was_troubled => tracing::info!("the trace collector takes spans again"),
            _ => {}
        }
    }
}
