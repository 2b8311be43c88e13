//! Many changes over one stream. What is not acknowledged is kept, within bounds, and sent again
//! when the stream breaks: under the same request ids, so nothing can happen twice.

use std::collections::VecDeque;
use std::time::Duration;

use configapi_proto::v1::{SetManyFailure, SetManyRequest, SetManyResponse, SetRequest};
use configapi_proto::{ApiError, Reason, Token};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::ahead::Batch;
use super::conflicts::{Conflict, MAX_CONFLICTS};
use super::report::{Outcome, Refusal};
use crate::client::{Backoff, Commands, speaks_otherwise};
use crate::failure::Failure;

/// Changes that may be held, on their way or to be sent again: more than the server has in work at once.
const MAX_HELD: usize = 4_096;
/// Bytes of values that may be held. One batch more is taken on as long as there is room.
const MAX_HELD_BYTES: usize = 16 << 20;
/// Changes that may wait for the connection.
const SENDS_AHEAD: usize = 64;
/// How long a server may take to acknowledge anything at all.
const MAX_SILENCE: Duration = Duration::from_mins(1);
/// Streams that may fail in a row without any progress.
const MAX_FRUITLESS_STREAMS: usize = 10;
/// How often one change is sent again because the server could not take it just then.
const MAX_TRIES: u8 = 8;
/// How long to let the server be, for each time that it could not take a change.
const REST: Duration = Duration::from_millis(200);

/// A change on its way.
#[derive(Debug, Clone)]
struct Item {
    request: SetRequest,
    tries: u8,
}

/// Many changes on their way.
#[derive(Debug)]
pub struct Bulk<'a> {
    commands: &'a Commands,
    /// Sent or to be sent, and not acknowledged, in order.
    unsettled: VecDeque<Item>,
    /// To be sent once more, after the others.
    again: VecDeque<Item>,
    /// Of both.
    held_bytes: usize,
    /// When the others may be sent once more.
    rest_until: Instant,
    all_read: bool,
    outcome: Outcome,
    conflicts: Vec<Conflict>,
    backoff: Backoff,
    progress: ProgressBar,
}

/// Why a stream ended.
enum Ended {
    Done,
    Broken(Status),
}

impl<'a> Bulk<'a> {
    /// So many changes are expected.
    pub fn new(commands: &'a Commands, expected: u64) -> Self {
        Self {
            commands,
            unsettled: VecDeque::new(),
            again: VecDeque::new(),
            held_bytes: 0,
            rest_until: Instant::now(),
            all_read: false,
            outcome: Outcome::default(),
            conflicts: Vec::new(),
            backoff: Backoff::default(),
            progress: ProgressBar::new(expected).with_style(style()),
        }
    }

    /// Sends all changes, over as many streams as it takes. What met a config that is not as it was
    /// compared with is not decided here.
    pub async fn run(
        mut self,
        mut changes: mpsc::Receiver<Batch>,
    ) -> Result<(Outcome, Vec<Conflict>), Failure> {
        loop {
            let (settled, attempt) = (self.settled(), self.backoff.failures());
            let status = match self.stream(&mut changes).await? {
                Ended::Done => break,
                Ended::Broken(status) => status,
            };
            if self.settled() > settled {
                self.backoff.reset();
            }
            let error = ApiError::from_command_status(&status);
            let wait = self.backoff.next_wait(error.retry_after);
            let is_fruitless =
                speaks_otherwise(&status) || self.backoff.failures() > MAX_FRUITLESS_STREAMS;
            if is_fruitless || !error.reason.worth_repeating() {
                self.progress.abandon();
                let failure = match ApiError::of_our_server(&status) {
                    // Its advice is about one command.
                    Some(error) if error.reason == Reason::OutcomeUnknown => {
                        unacknowledged().into()
                    }
                    _ => self.commands.failure_of(&status, attempt),
                };
                return Err(failure.with_hint(self.outcome.so_far()));
            }
            sleep(wait).await;
        }
        self.progress.finish_and_clear();
        Ok((self.outcome, self.conflicts))
    }

    /// Sends over one stream until all is done or the stream breaks.
    async fn stream(&mut self, changes: &mut mpsc::Receiver<Batch>) -> Result<Ended, Failure> {
        let Some(mut client) = self.commands.client(self.backoff.failures()) else {
            return Err(Failure::usage("no server is named"));
        };
        let (sender, sent) = mpsc::channel(SENDS_AHEAD);
        let mut sender = Some(sender);
        let request = Request::new(ReceiverStream::new(sent));
        let mut answers = match timeout(self.commands.timeout(), client.set_many(request)).await {
            Ok(Ok(answers)) => answers.into_inner(),
            Ok(Err(status)) => return Ok(Ended::Broken(status)),
            Err(_) => return Ok(Ended::Broken(silent())),
        };
        // How many of the unsettled were sent, and how many were settled, over this stream.
        let (mut sent, mut settled) = (0, 0);
        let mut is_gone = false;
        loop {
            let to_send = self.unsettled.get(sent).map(|item| &item.request);
            if is_gone || self.is_done() {
                // Without a sender the server ends the stream.
                sender = None;
            }
            tokio::select! {
                answer = next_answer(&mut answers), if sent > 0 || sender.is_none() => match answer {
                    Ok(Some(answer)) => {
                        let newly = self.settle(&answer, settled);
                        settled = answer.settled_items;
                        sent = sent.saturating_sub(newly);
                    }
                    Ok(None) if self.is_done() => return Ok(Ended::Done),
                    Ok(None) => return Ok(Ended::Broken(silent())),
                    Err(status) => return Ok(Ended::Broken(status)),
                },
                permit = reserve(sender.as_ref()), if to_send.is_some() => {
                    if let (Some(permit), Some(request)) = (permit, to_send) {
                        permit.send(SetManyRequest { set: Some(request.clone()) });
                        sent += 1;
                    } else {
                        // The stream is gone; its end tells why.
                        is_gone = true;
                    }
                },
                batch = changes.recv(), if to_send.is_none() && self.has_room() && !self.all_read => {
                    match batch {
                        Some(batch) => self.take(batch),
                        None => self.all_read = true,
                    }
                },
                () = sleep_until(self.rest_until), if to_send.is_none() && !self.again.is_empty() => {
                    self.unsettled.extend(self.again.pop_front());
                },
            }
        }
    }

    fn settled(&self) -> u64 {
        let conflicts = u64::try_from(self.conflicts.len()).unwrap_or(u64::MAX);
        self.outcome.written + self.outcome.refused + conflicts
    }

    fn is_done(&self) -> bool {
        self.all_read && self.unsettled.is_empty() && self.again.is_empty()
    }

    fn has_room(&self) -> bool {
        self.unsettled.len() + self.again.len() < MAX_HELD && self.held_bytes < MAX_HELD_BYTES
    }

    fn take(&mut self, batch: Batch) {
        for request in batch {
            self.held_bytes += request.value.len();
            self.unsettled.push_back(Item { request, tries: 0 });
        }
    }

    /// Notes what was settled since the answer before, and says how many that were.
    fn settle(&mut self, answer: &SetManyResponse, settled_before: u64) -> usize {
        let mut failures = answer.failures.iter().peekable();
        let mut newly = 0;
        for index in settled_before..answer.settled_items {
            let Some(item) = self.unsettled.pop_front() else { break };
            newly += 1;
            let failure = failures.next_if(|failure| failure.index == index);
            if failure.is_some_and(|failure| is_worth_another_try(&item, failure)) {
                self.try_again(item);
                continue;
            }
            self.held_bytes -= item.request.value.len();
            match failure {
                Some(failure) => self.failed(item, failure),
                None => self.outcome.written += 1,
            }
        }
        // A stream that begins with repeats tells of older places than the one before did.
        if answer.token.parse::<Token>().ok() > self.outcome.token.parse().ok() {
            self.outcome.token.clone_from(&answer.token);
        }
        self.progress.set_position(self.settled());
        newly
    }

    fn try_again(&mut self, mut item: Item) {
        item.tries += 1;
        self.rest_until = Instant::now() + REST * u32::from(item.tries);
        self.again.push_back(item);
    }

    fn failed(&mut self, item: Item, failure: &SetManyFailure) {
        let content = Conflict::content_of(&item.request.value, &item.request.content_type);
        let refusal = Refusal {
            name: item.request.name,
            reason: failure.reason.clone(),
            message: failure.message.clone(),
        };
        if reason_of(failure) == Some(Reason::VersionConflict)
            && self.conflicts.len() < MAX_CONFLICTS
        {
            self.conflicts.push(Conflict { refusal, content });
        } else {
            self.outcome.refuse(refusal);
        }
    }
}

fn is_worth_another_try(item: &Item, failure: &SetManyFailure) -> bool {
    item.tries < MAX_TRIES && reason_of(failure).is_some_and(Reason::worth_repeating)
}

fn reason_of(failure: &SetManyFailure) -> Option<Reason> {
    failure.reason.parse().ok()
}

async fn next_answer(
    answers: &mut Streaming<SetManyResponse>,
) -> Result<Option<SetManyResponse>, Status> {
    timeout(MAX_SILENCE, answers.message()).await.unwrap_or_else(|_| Err(silent()))
}

/// Room for one more; none if the stream is gone.
async fn reserve(
    sender: Option<&mpsc::Sender<SetManyRequest>>,
) -> Option<mpsc::Permit<'_, SetManyRequest>> {
    sender?.reserve().await.ok()
}

fn silent() -> Status {
    unacknowledged().into()
}

fn unacknowledged() -> ApiError {
    ApiError::new(Reason::OutcomeUnknown, "the server has stopped to acknowledge changes")
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} changes ({per_sec}, {eta} left)")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
