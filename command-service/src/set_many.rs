//! Bulk writes over one stream: items travel the bus side by side, within a bounded window and the share
//! that all streams have of the server, and are acknowledged in the order sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use configapi_proto::v1::{SetManyRequest, SetManyResponse, SetResponse};
use configapi_proto::{ApiError, Reason, Token};
use configapi_runtime::shutdown::Lifecycle;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::bulk_seats::{MAX_STREAMS, Seat, Seats};
use crate::bulk_share::{BulkShare, Places};
use crate::bus::{Bus, Context};
use crate::committer::Limits;
use crate::handlers::SetHandler;

/// Items of one stream that may be under way at once.
const WINDOW_ITEMS: usize = 1_024;
/// Bytes of one stream's items that may be under way at once.
const WINDOW_BYTES: usize = 4 << 20;
/// A response is due when so many items are settled, or when none is left under way.
const ITEMS_PER_RESPONSE: u64 = 256;
/// Failures of one response: what they say is bounded, and so is the response.
const FAILURES_PER_RESPONSE: usize = 256;
/// Responses that may wait for the client to read them.
const RESPONSES_AHEAD: usize = 4;
/// How long one item may take.
const ITEM_TIMEOUT: Duration = Duration::from_secs(30);

/// The answers of one stream.
pub type SetManyAnswers = ReceiverStream<Result<SetManyResponse, Status>>;

/// Begins bulk streams. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SetMany {
    life: Lifecycle,
    seats: Seats,
    share: BulkShare,
}

impl SetMany {
    /// Streams end when this life does.
    pub fn new(life: Lifecycle, limits: &Limits) -> Self {
        Self { life, seats: Seats::new(limits.bulk_idle), share: BulkShare::new(limits) }
    }

    /// Begins a stream.
    pub fn begin(
        &self,
        items: Streaming<SetManyRequest>,
        bus: Bus,
        context: Context,
    ) -> Result<SetManyAnswers, ApiError> {
        let seat = self.seats.take().ok_or_else(|| {
            let problem = format!(
                "{MAX_STREAMS} SetMany streams are open on this server, as many as it takes; end those that \
                 have nothing to send, or use Set or Apply"
            );
            ApiError::new(Reason::LimitExceeded, problem)
        })?;
        let (answers, receiver) = mpsc::channel(RESPONSES_AHEAD);
        let progress = Progress::default();
        let share = self.share.clone();
        let stream = BulkStream { seat, items, bus, context, answers, share, progress };
        let life = self.life.clone();
        self.life.spawn(async move { stream.run(&life).await });
        Ok(ReceiverStream::new(receiver))
    }
}

struct BulkStream {
    /// Given back first: whoever hears that a stream has ended can begin another.
    seat: Seat,
    items: Streaming<SetManyRequest>,
    bus: Bus,
    context: Context,
    answers: mpsc::Sender<Result<SetManyResponse, Status>>,
    share: BulkShare,
    progress: Progress,
}

/// How far a stream has come.
#[derive(Debug, Default)]
struct Progress {
    response: SetManyResponse,
    /// The newest place in the log of all that was written. Repeats have older ones.
    token: Option<Token>,
    settled_when_told: u64,
}

/// An item that was read and for which there is no room yet. No other is read before it.
struct Waiting {
    item: SetManyRequest,
    places: BoxFuture<'static, Option<Places>>,
}

/// What became of one item, and what it weighed while it was under way.
type Settled = (usize, Result<SetResponse, ApiError>);

impl BulkStream {
    async fn run(mut self, life: &Lifecycle) {
        let mut under_way = FuturesOrdered::new();
        let mut under_way_bytes = 0;
        // What is done and not told of yet. A client that reads no answers finds its items done all the
        // same: they take up room that others wait for.
        let mut done = VecDeque::new();
        let mut waiting: Option<Waiting> = None;
        // Why no more items are read, once that is so.
        let mut ended: Option<Result<(), Status>> = None;
        loop {
            while !self.progress.is_due()
                && let Some(outcome) = done.pop_front()
            {
                self.progress.settle(outcome);
            }
            let has_work = !under_way.is_empty() || waiting.is_some();
            self.seat.set_idle(!has_work);
            let has_to_tell = under_way.is_empty() && self.progress.has_news();
            let has_room = waiting.is_none()
                && under_way.len() + done.len() < WINDOW_ITEMS
                && under_way_bytes < WINDOW_BYTES;
            tokio::select! {
                biased;
                room = self.answers.reserve(), if self.progress.is_due() || has_to_tell => match room {
                    Ok(room) => room.send(Ok(self.progress.take_response())),
                    Err(_) => return,
                },
                Some((bytes, outcome)) = under_way.next(), if !under_way.is_empty() => {
                    under_way_bytes -= bytes;
                    done.push_back(outcome);
                }
                () = life.soft().cancelled(), if ended.is_none() => {
                    let error = ApiError::new(
                        Reason::Unavailable,
                        "the server is shutting down; send on what is not settled elsewhere",
                    );
                    ended = Some(Err(error.into()));
                    waiting = None;
                }
                () = self.seat.given_away(), if ended.is_none() => {
                    let error = given_away(self.seat.patience());
                    ended = Some(Err(error.into()));
                    waiting = None;
                }
                Some((item, places)) = first_in_line(&mut waiting) => {
                    waiting = None;
                    under_way_bytes += weight_bytes(&item);
                    under_way.push_back(self.start(item, places));
                }
                item = self.items.message(), if has_room && ended.is_none() => match item {
                    Ok(Some(item)) => {
                        let bytes = weight_bytes(&item);
                        if let Some(places) = self.share.try_take(bytes) {
                            under_way_bytes += bytes;
                            under_way.push_back(self.start(item, Some(places)));
                        } else {
                            let places = Box::pin(self.share.take(bytes));
                            waiting = Some(Waiting { item, places });
                        }
                    }
                    Ok(None) => ended = Some(Ok(())),
                    Err(status) => ended = Some(Err(status)),
                },
                else => break,
            }
        }
        self.finish(ended.unwrap_or(Ok(()))).await;
    }

    fn start(
        &self,
        item: SetManyRequest,
        places: Option<Places>,
    ) -> impl Future<Output = Settled> + Send + use<> {
        let bytes = weight_bytes(&item);
        let bus = self.bus.clone();
        let deadline = Some(Instant::now() + ITEM_TIMEOUT);
        let context = Context { deadline, ..self.context.clone() };
        async move {
            let outcome = match item.set {
                Some(set) => bus.dispatch::<SetHandler>(set, context).await,
                None => Err(ApiError::invalid("set", "is required")),
            };
            drop(places);
            (bytes, outcome)
        }
    }

    async fn finish(mut self, end: Result<(), Status>) {
        // A client that left hears neither; nothing is lost by that.
        if self.answers.send(Ok(self.progress.take_response())).await.is_ok()
            && let Err(status) = end
        {
            let _ = self.answers.send(Err(status)).await;
        }
    }
}

/// The stream had nothing to do. What it was sent meanwhile, and was not read, is not written.
fn given_away(patience: Duration) -> ApiError {
    let problem = format!(
        "{MAX_STREAMS} SetMany streams are open on this server, as many as it takes, and another needed the \
         place of this one, whose client had sent nothing for {} s or took no answers; send what is not \
         settled over another stream",
        patience.as_secs()
    );
    ApiError::new(Reason::LimitExceeded, problem)
}

/// What an item weighs.
fn weight_bytes(item: &SetManyRequest) -> usize {
    item.set.as_ref().map_or(0, |set| set.value.len() + set.name.len())
}

/// The item that waits, once there is room for it; none if no item waits.
async fn first_in_line(waiting: &mut Option<Waiting>) -> Option<(SetManyRequest, Option<Places>)> {
    let waiting = waiting.as_mut()?;
    let places = waiting.places.as_mut().await;
    Some((std::mem::take(&mut waiting.item), places))
}

impl Progress {
    fn settle(&mut self, outcome: Result<SetResponse, ApiError>) {
        let index = self.response.settled_items;
        self.response.settled_items += 1;
        match outcome {
            Ok(response) => {
                self.response.durable_items += 1;
                let receipt = response.receipt;
                let token = receipt.and_then(|receipt| receipt.token.parse::<Token>().ok());
                self.token = self.token.max(token);
            }
            Err(error) => self.response.failures.push(error.into_set_many_failure(index)),
        }
    }

    fn has_news(&self) -> bool {
        self.response.settled_items > self.settled_when_told
    }

    fn is_due(&self) -> bool {
        self.response.settled_items - self.settled_when_told >= ITEMS_PER_RESPONSE
            || self.response.failures.len() >= FAILURES_PER_RESPONSE
    }

    /// The response that is due; its failures are told once, all else again and again.
    fn take_response(&mut self) -> SetManyResponse {
        let failures = std::mem::take(&mut self.response.failures);
        self.settled_when_told = self.response.settled_items;
        let token = self.token.map(|token| token.to_string()).unwrap_or_default();
        SetManyResponse { failures, token, ..self.response }
    }
}
