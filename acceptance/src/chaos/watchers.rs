//! Clients that watch: from somewhere around the head, over any number of streams, each resumed
//! from the last safe token of the one before, on whichever server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use configapi_proto::v1::{self, watch_request, watch_response};
use configapi_proto::{ApiError, Reason, key};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use super::command_client::place;
use super::query_client::{QueryClient, found, reason, token};
use super::recorder::Recorder;
use crate::Random;
use crate::checkers::history::{Answer, Delivered, Frame, Line, Place, Selection, WatchFrame};
use crate::checkers::log::hexadecimal;

const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// A stream that shows no life for so long is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);
const OPEN_LIMIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(30);
/// How many writes before the head a watch begins at most.
const BEGIN_BEFORE: usize = 200;
/// How many of a thousand frames make a client leave and come back.
const LEAVES_PER_MILLE: u64 = 20;

/// A client that watches.
pub struct Watcher {
    watch: u32,
    selection: Selection,
    random: Random,
    clients: Vec<QueryClient>,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
    safe: Option<Place>,
    /// The position that it is complete up to, for those who wait for it to catch up.
    reached: Arc<AtomicU64>,
    begun: Vec<v1::Config>,
}

impl Watcher {
    /// A client with a number of its own.
    pub fn new(
        watch: u32,
        random: Random,
        clients: Vec<QueryClient>,
        recorder: Arc<Recorder>,
        stop: watch::Receiver<bool>,
        reached: Arc<AtomicU64>,
    ) -> Self {
        let selection = match watch % 4 {
            0 => Selection::Prefix("default/".to_owned()),
            1 => Selection::Prefix("default/hot/".to_owned()),
            2 => Selection::Key(format!("default/hot/{watch}")),
            _ => Selection::Prefix("default/cold/1".to_owned()),
        };
        let (safe, begun) = (None, Vec::new());
        Self { watch, selection, random, clients, recorder, stop, safe, reached, begun }
    }

    /// Watches until it is stopped.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            let server = self.random.index(self.clients.len());
            let ended = self.watch_once(server).await;
            let name = self.clients[server].server.clone();
            if ended == "LOG_CHANGED" {
                self.safe = None;
            }
            let is_pausing = ended != "left";
            self.note(&name, Frame::Ended { reason: ended });
            if is_pausing {
                sleep(PAUSE).await;
            }
        }
    }

    fn note(&self, server: &str, frame: Frame) {
        self.recorder.note(Line::Watch(WatchFrame {
            watch: self.watch,
            server: server.to_owned(),
            selection: self.selection.clone(),
            received_us: self.recorder.now_us(),
            frame,
        }));
    }

    /// One stream, from its beginning to its end. Tells why it ended.
    async fn watch_once(&mut self, server: usize) -> String {
        let request = self.request(server);
        let name = self.clients[server].server.clone();
        let opening = timeout(OPEN_LIMIT, self.clients[server].grpc.watch(request));
        let mut stream = match opening.await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return reason(&status),
            Err(_) => return "no answer".to_owned(),
        };
        let mut stop = self.stop.clone();
        loop {
            let next = tokio::select! {
                next = next(&mut stream) => next,
                _ = stop.wait_for(|is_over| *is_over) => return "left".to_owned(),
            };
            match next {
                Ok(frame) => {
                    if let Err(why) = self.take(&name, frame) {
                        return why;
                    }
                }
                Err(end) => {
                    self.believe(&name, end.safe);
                    return end.reason;
                }
            }
            if self.random.below(1_000) < LEAVES_PER_MILLE {
                return "left".to_owned();
            }
        }
    }

    /// Goes on from where a server says that it got to, as if that had been told in the stream.
    fn believe(&mut self, server: &str, safe: Option<Place>) {
        if let Some(complete) = safe {
            self.safe = safe;
            self.reached.store(complete.position, Ordering::Relaxed);
            self.note(server, Frame::Progress { complete });
        }
    }

    fn request(&mut self, server: usize) -> v1::WatchRequest {
        self.begun.clear();
        if self.safe.is_none() && self.random.percent(50) {
            let back = self.random.index(BEGIN_BEFORE);
            self.safe = self.recorder.place_before(back);
        }
        let start = match self.safe {
            Some(after) => {
                let name = self.clients[server].server.clone();
                self.note(&name, Frame::Resumed { after });
                watch_request::Start::AfterToken(token(after))
            }
            None => watch_request::Start::InitialState(v1::watch_request::InitialState::default()),
        };
        let of = |key: &str| key.split_once('/').map_or(key, |(_, name)| name).to_owned();
        let selection = match &self.selection {
            Selection::Key(key) => watch_request::Selection::Name(of(key)),
            Selection::Prefix(key) => watch_request::Selection::Prefix(of(key)),
        };
        v1::WatchRequest {
            namespace: "default".to_owned(),
            selection: Some(selection),
            start: Some(start),
            progress_interval: PROGRESS_EVERY.try_into().ok(),
            ..Default::default()
        }
    }

    /// Writes a frame down.
    fn take(&mut self, server: &str, response: v1::WatchResponse) -> Result<(), String> {
        use watch_response::Frame as Wire;
        let complete = place(&response.token);
        let frame = match response.frame.ok_or("a frame without content")? {
            Wire::Started(_) => return Ok(()),
            Wire::InitialConfigs(part) => {
                self.begun.extend(part.configs);
                return Ok(());
            }
            Wire::InitialStateComplete(_) => {
                let found = self.begun.drain(..).map(found).collect();
                Frame::State(Answer { place: complete, found })
            }
            Wire::Events(part) => {
                let complete = complete.ok_or("events without a token")?;
                Frame::Events { complete, events: part.events.iter().map(delivered).collect() }
            }
            Wire::Progress(_) => {
                Frame::Progress { complete: complete.ok_or("progress without a token")? }
            }
        };
        self.safe = complete;
        self.reached.store(complete.map_or(0, |place| place.position), Ordering::Relaxed);
        self.note(server, frame);
        Ok(())
    }
}

/// How a stream ended.
struct End {
    reason: String,
    /// Where the server says that it can be resumed; none if it does not.
    safe: Option<Place>,
}

impl End {
    fn without_a_word(reason: &str) -> Self {
        Self { reason: reason.to_owned(), safe: None }
    }

    fn told(status: &Status) -> Self {
        let error = ApiError::from_status(status);
        let token = error.metadata.get(key::TOKEN).filter(|_| error.reason != Reason::LogChanged);
        Self { reason: error.reason.to_string(), safe: token.and_then(|token| place(token)) }
    }
}

async fn next(stream: &mut Streaming<v1::WatchResponse>) -> Result<v1::WatchResponse, End> {
    match timeout(SILENCE_LIMIT, stream.message()).await {
        Ok(Ok(Some(frame))) => Ok(frame),
        Ok(Ok(None)) => Err(End::without_a_word("the stream ended")),
        Ok(Err(status)) => Err(End::told(&status)),
        Err(_) => Err(End::without_a_word("silence")),
    }
}

fn delivered(event: &v1::Event) -> Delivered {
    Delivered {
        key: format!("{}/{}", event.namespace, event.name),
        position: event.position,
        version: event.version,
        hash: hexadecimal(&event.hash),
    }
}
