//! The command bus: every command travels one tower stack into its handler — traced, counted,
//! bounded by its deadline, shed under overload, validated, made repeatable, committed. A new
//! command is one handler and one line of registration.

mod commit;
mod context;
mod deadline;
mod idempotency;
mod metrics;
mod shed;
mod trace;
mod validation;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use configapi_proto::{ApiError, Reason};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use crate::committer::{CommitQueue, Receipt, Submission};

pub use context::{Call, Context};
pub use metrics::BusMetrics;

use commit::Commit;
use deadline::DeadlineLayer;
use idempotency::IdempotencyLayer;
use metrics::MetricsLayer;
use shed::ShedLayer;
use trace::TraceLayer;
use validation::ValidationLayer;

/// One kind of command: what a request asks for, and how its receipts are answered. Handlers only
/// translate; the rules are the domain's, the writing is the committer's.
pub trait Handler: Send + Sync + 'static {
    /// The request as it comes in.
    type Request: Send + 'static;
    /// The answer as it goes out.
    type Response: Send + 'static;
    /// What the command is called in traces and metrics.
    const NAME: &'static str;
    /// Whether the caller sends many commands as one, even if they are one, and must learn which of them
    /// was refused.
    const IS_GROUP: bool = false;

    /// What the request asks for; an error names the field that is wrong.
    fn submission(request: Self::Request) -> Result<Submission, ApiError>;

    /// The answer to the request.
    fn response(receipts: Vec<Receipt>) -> Self::Response;
}

type Stack<H> =
    BoxCloneSyncService<Call<<H as Handler>::Request>, <H as Handler>::Response, ApiError>;

/// All commands, by the type of their requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    stacks: Arc<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
}

/// A bus under construction.
#[derive(Debug)]
pub struct BusBuilder {
    queue: CommitQueue,
    metrics: BusMetrics,
    shed: ShedLayer,
    stacks: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl BusBuilder {
    /// A bus without commands that puts up with so many at once.
    pub fn new(queue: CommitQueue, metrics: BusMetrics, in_flight_max: usize) -> Self {
        Self { queue, metrics, shed: ShedLayer::new(in_flight_max), stacks: HashMap::new() }
    }

    /// Adds a command.
    #[must_use]
    pub fn register<H: Handler>(mut self) -> Self {
        let stack = ServiceBuilder::new()
            .layer(TraceLayer::new(H::NAME))
            .layer(MetricsLayer::new(H::NAME, &self.metrics))
            .layer(DeadlineLayer)
            .layer(self.shed.clone())
            .layer(ValidationLayer::<H>::new())
            .layer(IdempotencyLayer)
            .service(Commit::new(self.queue.clone(), H::IS_GROUP));
        let stack: Stack<H> = BoxCloneSyncService::new(stack);
        self.stacks.insert(TypeId::of::<H>(), Box::new(stack));
        self
    }

    /// The finished bus.
    pub fn build(self) -> Bus {
        Bus { stacks: Arc::new(self.stacks) }
    }
}

impl Bus {
    /// Sends a request on its way and waits for the answer.
    pub async fn dispatch<H: Handler>(
        &self,
        request: H::Request,
        context: Context,
    ) -> Result<H::Response, ApiError> {
        let stack = self.stacks.get(&TypeId::of::<H>());
        let Some(stack) = stack.and_then(|stack| stack.downcast_ref::<Stack<H>>()) else {
            tracing::error!(command = H::NAME, "the command is not registered");
            return Err(Reason::Internal.into());
        };
        stack.clone().oneshot(Call { request, context }).await
    }
}
