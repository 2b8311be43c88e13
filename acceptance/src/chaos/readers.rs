//! Clients that read, with every kind of wish, now and about the past.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::query_client::QueryClient;
use super::recorder::Recorder;
use super::writers::some_key;
use crate::Random;
use crate::checkers::history::{Line, Place, Read, Selection, Wish};

const THINK_MS: u64 = 8;
/// How long a client waits after a read that failed.
const PAUSE_MS: u64 = 20;
/// How far back reads about the past reach, in writes.
const PAST_WRITES: usize = 2_000;

/// A client that reads.
pub struct Reader {
    process: u32,
    /// Whether all that it reads is one session, which never goes back.
    in_session: bool,
    random: Random,
    clients: Vec<QueryClient>,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
    seen: Option<Place>,
}

impl Reader {
    /// A client with a number of its own. Every other one keeps a session.
    pub fn new(
        process: u32,
        random: Random,
        clients: Vec<QueryClient>,
        recorder: Arc<Recorder>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let in_session = process.is_multiple_of(2);
        Self { process, in_session, random, clients, recorder, stop, seen: None }
    }

    /// Reads until it is stopped.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            let is_answered = self.read().await;
            let think = self.random.below(THINK_MS);
            sleep(Duration::from_millis(if is_answered { think } else { PAUSE_MS })).await;
        }
    }

    async fn read(&mut self) -> bool {
        let selection = self.some_selection();
        let (wish, at) = self.some_wish();
        let at_server = self.random.index(self.clients.len());
        let client = &mut self.clients[at_server];
        let invoked_us = self.recorder.now_us();
        let told = client.read(&selection, wish, at).await;
        let returned_us = self.recorder.now_us();
        let server = client.server.clone();
        let (answer, failure) = match told {
            Ok(answer) => (Some(answer), String::new()),
            Err(failure) => (None, failure),
        };
        if failure == "LOG_CHANGED" {
            self.seen = None;
        }
        let place = answer.as_ref().and_then(|answer| answer.place);
        if self.in_session && place.is_some() {
            self.seen = place;
        }
        let is_answered = answer.is_some();
        self.recorder.note(Line::Read(Read {
            process: self.process,
            server,
            selection,
            wish,
            at,
            in_session: self.in_session,
            invoked_us,
            returned_us,
            answer,
            failure,
        }));
        is_answered
    }

    fn some_selection(&mut self) -> Selection {
        match self.random.below(20) {
            0 => Selection::Prefix("default/hot/".to_owned()),
            1 => Selection::Prefix(format!("default/cold/{:02}", self.random.below(100))),
            _ => Selection::Key(some_key(&mut self.random)),
        }
    }

    fn some_wish(&mut self) -> (Wish, Option<u64>) {
        if self.in_session {
            return (self.seen.map_or(Wish::Any, Wish::AtLeast), None);
        }
        match self.random.below(10) {
            0 | 1 => (Wish::Any, None),
            2 | 3 => {
                let back = self.random.index(4);
                (self.recorder.place_before(back).map_or(Wish::Any, Wish::AtLeast), None)
            }
            4 => {
                let back = self.random.index(PAST_WRITES);
                (Wish::Any, self.recorder.place_before(back).map(|place| place.position))
            }
            _ => (Wish::Linearizable, None),
        }
    }
}
