//! Records to an HTTP endpoint: delivered once it answers 2xx. A batch is sent again, with growing
//! pauses, until somebody takes it; nothing behind it is sent before.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url, redirect};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::board::Board;
use super::{Delivery, Lines, Sink};
use crate::failure::Failure;

/// The media type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(25);
/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long an attempt may still take once the worker shall stop.
const LAST_ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// How long a worker that shall end by itself goes on trying.
const ONCE_MAX: Duration = Duration::from_mins(1);

/// Where to send records.
#[derive(Clone)]
pub struct PostUrl(Url);

/// A text that is no such place.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be http://… or https://… without a user; secrets go into an authorization file")]
pub struct NotAPostUrl;

impl FromStr for PostUrl {
    type Err = NotAPostUrl;

    fn from_str(text: &str) -> Result<Self, NotAPostUrl> {
        let url = Url::parse(text).map_err(|_| NotAPostUrl)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_http && !has_user { Ok(Self(url)) } else { Err(NotAPostUrl) }
    }
}

impl fmt::Display for PostUrl {
    /// Without path and query, which often hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for PostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An endpoint that takes records.
#[derive(Debug)]
pub struct PostSink {
    client: Client,
    url: PostUrl,
    authorization: Option<PathBuf>,
    is_once: bool,
    board: Board,
}

impl PostSink {
    /// An endpoint; `timeout` bounds one attempt.
    pub fn new(
        url: PostUrl,
        timeout: Duration,
        authorization: Option<PathBuf>,
        is_once: bool,
        board: Board,
    ) -> Result<Self, Failure> {
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("configapi-audit/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::usage(format!("cannot speak HTTP: {error}")))?;
        Ok(Self { client, url, authorization, is_once, board })
    }

    /// Sends a batch once. An error says why nobody took it.
    async fn attempt(&self, lines: &Lines) -> Result<(), String> {
        let mut request = self
            .client
            .post(self.url.0.clone())
            .header(CONTENT_TYPE, NDJSON)
            .body(lines.bytes.clone());
        if let Some(authorization) = self.authorization()? {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = request.send().await.map_err(|error| why(&error))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let Some(path) = &self.authorization else { return Ok(None) };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        let mut value = HeaderValue::from_str(text.trim())
            .map_err(|_| format!("{shown} holds what no header may hold"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[async_trait]
impl Sink for PostSink {
    async fn deliver(
        &mut self,
        lines: &Lines,
        stop: &CancellationToken,
    ) -> Result<Delivery, Failure> {
        let began = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut attempts: u64 = 0;
        loop {
            attempts += 1;
            let attempt = tokio::select! {
                attempt = self.attempt(lines) => attempt,
                () = over(stop) => return Ok(Delivery::GivenUp),
            };
            let Err(reason) = attempt else {
                if attempts > 1 {
                    tracing::info!(attempts, "the endpoint takes records again");
                }
                return Ok(Delivery::Done);
            };
            self.board.not_taken(&reason);
            let records = lines.count;
            tracing::warn!(endpoint = %self.url, attempts, records, %reason, "records not taken");
            if self.is_once && began.elapsed() + pause > ONCE_MAX {
                let message = format!("{} takes no records: {reason}", self.url);
                return Err(Failure::try_again(message));
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Delivery::GivenUp),
                () = sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
            }
        }
    }
}

/// Waits until the worker shall stop, and as long as an attempt may take then. Whoever took the
/// records without saying so gets them again.
async fn over(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_ATTEMPT_MAX).await;
}

/// What went wrong, without the URL, and down to the cause: the first sentence only says that
/// something did.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    }
}
