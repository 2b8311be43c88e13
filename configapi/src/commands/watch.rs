//! `configapi watch`: changes as they happen. A watch that is interrupted goes on by itself from
//! where it was, so nothing is missed and nothing is told twice.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use configapi_proto::v1::watch_request::{InitialState, Selection, Start};
use configapi_proto::v1::watch_response::Frame;
use configapi_proto::v1::{Consistency, Event, WatchRequest, WatchResponse};
use configapi_proto::{ApiError, Reason, timestamp_from_micros};
use configapi_runtime::settings;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Status, Streaming};

use super::records::{self, EVENT_RAW};
use crate::arguments::{
    FreshnessArguments, Moment, OutputArguments, Patience, QueryServer, ScopeArguments,
};
use crate::client::{Backoff, Queries, no_answer_in_time};
use crate::failure::Failure;
use crate::output::terminal::{Paint, cut, printable, say};
use crate::output::{Printer, Record};

/// A server says something at least every 10 seconds; one that is silent for so long is gone.
const MAX_SILENCE: Duration = Duration::from_secs(35);
/// How long an interrupted watch waits for what it is printing: long enough for a reader that
/// reads, and not felt where one stands still.
const LAST_PRINT: Duration = Duration::from_millis(200);
/// The widest that a value is shown on a terminal, in characters.
const MAX_VALUE_CHARS: usize = 60;
/// What a process that was interrupted exits with.
const EXIT_INTERRUPTED: u8 = 130;

/// Show changes as they happen
///
/// Goes on until it is interrupted. If the connection is lost it goes on by itself from where it
/// was; on Ctrl-C it says how to go on later. A server that is away at the beginning is waited for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi watch
  configapi watch billing/ --output json
  configapi watch --name billing/retry-limit --initial
  configapi watch --all-namespaces --from 1-1042
  configapi watch billing/ --from 1h
  configapi watch --from 0 --count 100 --output json")]
pub struct WatchArguments {
    /// Only configs whose names begin with this
    prefix: Option<String>,

    /// Only this config
    #[arg(long, conflicts_with_all = ["prefix", "all_namespaces"])]
    name: Option<String>,

    /// Begin after this token (1-1042), position (1042; 0 is all of history) or time
    /// (2024-01-15T10:30:00Z), or so long ago (1h) [default: now]
    #[arg(long, value_name = "MOMENT")]
    from: Option<Moment>,

    /// Begin with the configs as they are
    #[arg(long, conflicts_with = "from")]
    initial: bool,

    /// End after so many events
    #[arg(short, long)]
    count: Option<u64>,

    /// Give up when no server could be reached for so long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5m",
        value_parser = settings::duration
    )]
    give_up_after: Duration,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    freshness: FreshnessArguments,

    #[command(flatten)]
    server: QueryServer,

    #[command(flatten)]
    patience: Patience,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: WatchArguments) -> Result<ExitCode, Failure> {
    let queries = Queries::new(&arguments.server, arguments.patience);
    let give_up_after = arguments.give_up_after;
    let mut watch = Watch::new(arguments);
    let ended = tokio::select! {
        ended = watch.follow(&queries, give_up_after) => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    };
    match ended {
        Some(Ok(())) => Ok(ExitCode::SUCCESS),
        Some(Err(failure)) => Err(match &watch.resume_from {
            // The token is of what the log no longer is.
            Some(_) if is_log_changed(&failure) => failure,
            Some(token) => failure.with_hint(format!("go on later with --from {token}")),
            None => failure,
        }),
        None => {
            // What somebody has seen is not shown again to whoever goes on from the token.
            let _ = timeout(LAST_PRINT, watch.printed()).await;
            if let Some(token) = &watch.resume_from {
                say(&format!("interrupted; go on later with --from {token}"));
            }
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
    }
}

fn is_log_changed(failure: &Failure) -> bool {
    failure.error().is_some_and(|error| error.reason == Reason::LogChanged)
}

/// Why one stream ended.
enum Ended {
    /// There were as many events as were asked for.
    Enough,
    /// The connection is gone, or the server does not want to go on.
    Broken(Status),
}

struct Printing {
    task: JoinHandle<io::Result<()>>,
    /// The token after what is printed; empty where the log goes on in the midst of it.
    token: String,
}

struct Watch {
    request: WatchRequest,
    consistency: Option<Consistency>,
    printer: Printer,
    paint: Paint,
    /// What is being printed, if anything is.
    printing: Option<Printing>,
    /// All that was printed is before this.
    resume_from: Option<String>,
    /// Events of an Apply that is not complete yet: at most the 1,000 of one.
    held: VecDeque<Event>,
    left: Option<u64>,
    backoff: Backoff,
    heard_at: Instant,
    /// Whether any server has ever told anything.
    has_begun: bool,
}

impl Watch {
    fn new(arguments: WatchArguments) -> Self {
        let WatchArguments { prefix, name, from, initial, count, scope, freshness, output, .. } =
            arguments;
        let start = match from {
            Some(Moment::Position(position)) => Some(Start::AfterPosition(position)),
            Some(Moment::Token(token)) => Some(Start::AfterToken(token.to_string())),
            Some(Moment::Time(micros)) => Some(Start::AfterTime(timestamp_from_micros(micros))),
            None => initial.then_some(Start::InitialState(InitialState {})),
        };
        let request = WatchRequest {
            namespace: scope.namespace(),
            all_namespaces: scope.all_namespaces,
            selection: name.map(Selection::Name).or(prefix.map(Selection::Prefix)),
            start,
            progress_interval: None,
            consistency: None,
        };
        let printer = Printer::holding(output.format());
        let paint = printer.paint();
        Self {
            request,
            consistency: freshness.consistency(),
            printer,
            paint,
            printing: None,
            resume_from: None,
            held: VecDeque::new(),
            left: count,
            backoff: Backoff::default(),
            heard_at: Instant::now(),
            has_begun: false,
        }
    }

    /// Watches until there were enough events, over as many streams as it takes.
    async fn follow(&mut self, queries: &Queries, give_up_after: Duration) -> Result<(), Failure> {
        loop {
            let attempt = self.backoff.failures();
            let status = match self.stream(queries, attempt).await? {
                Ended::Enough => return Ok(()),
                Ended::Broken(status) => status,
            };
            let error = ApiError::from_status(&status);
            let failure = queries.failure_of(&status, attempt);
            let wait = self.backoff.next_wait(error.retry_after);
            let is_over = self.heard_at.elapsed() >= give_up_after
                || !self.has_begun && queries.is_hopeless(&status, self.backoff.failures());
            if is_over || !error.reason.worth_repeating() {
                return Err(failure);
            }
            self.held.clear();
            if let Some(token) = &self.resume_from {
                self.request.start = Some(Start::AfterToken(token.clone()));
            }
            if self.backoff.failures() == 1 {
                let what = if self.has_begun {
                    "connection lost, trying to go on"
                } else {
                    "not watching yet, trying again"
                };
                say(&format!("{what}: {}", printable(failure.message())));
            }
            sleep(wait).await;
        }
    }

    /// Watches over one stream.
    async fn stream(&mut self, queries: &Queries, attempt: usize) -> Result<Ended, Failure> {
        if self.left == Some(0) {
            return Ok(Ended::Enough);
        }
        let Some(mut client) = queries.client(attempt) else {
            return Err(Failure::usage("no server is named"));
        };
        let mut request = WatchRequest { ..self.request.clone() };
        request.consistency.clone_from(&self.consistency);
        let opened = timeout(queries.timeout(), client.watch(Request::new(request))).await;
        let mut stream = match opened {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Ok(Ended::Broken(status)),
            Err(_) => return Ok(Ended::Broken(no_answer_in_time())),
        };
        loop {
            let frame = match next_frame(&mut stream).await {
                Ok(frame) => frame,
                Err(status) => return Ok(Ended::Broken(status)),
            };
            self.heard_at = Instant::now();
            self.has_begun = true;
            self.backoff.reset();
            let token = self.handle(frame)?;
            self.print(token);
            self.printed().await?;
            if self.left == Some(0) {
                return Ok(Ended::Enough);
            }
        }
    }

    /// Begins to print what was held. A reader that stands still must not keep this process from
    /// hearing Ctrl-C.
    fn print(&mut self, token: String) {
        let bytes = self.printer.take();
        let task = spawn_blocking(move || {
            let mut out = io::stdout().lock();
            out.write_all(&bytes)?;
            out.flush()
        });
        self.printing = Some(Printing { task, token });
    }

    /// Waits until all is printed. Only then is the token noted: whoever goes on from there has
    /// had all that is before it. To stop waiting loses nothing.
    async fn printed(&mut self) -> Result<(), Failure> {
        let Some(printing) = &mut self.printing else { return Ok(()) };
        let printed = (&mut printing.task).await;
        if let Some(Printing { token, .. }) = self.printing.take() {
            printed.map_err(|_| Failure::fault("the printing panicked"))??;
            if !token.is_empty() {
                self.resume_from = Some(token);
            }
        }
        Ok(())
    }

    /// Prints what a frame tells; answers the token after it, if it has one.
    fn handle(&mut self, response: WatchResponse) -> Result<String, Failure> {
        let WatchResponse { position, token, frame } = response;
        match frame {
            Some(Frame::Started(_)) if self.resume_from.is_some() => say("connected again"),
            Some(Frame::Started(_)) => match token.as_str() {
                "" => say("watching"),
                token => say(&format!("watching, from {token} on")),
            },
            Some(Frame::InitialConfigs(initial)) => {
                for config in initial.configs {
                    self.print_config(records::config(config))?;
                }
            }
            Some(Frame::Events(events)) => self.held.extend(events.events),
            Some(Frame::InitialStateComplete(_) | Frame::Progress(_)) | None => {}
        }
        while self.held.front().is_some_and(|event| event.position <= position) {
            if self.left == Some(0) {
                return Ok(String::new());
            }
            if let Some(event) = self.held.pop_front() {
                let record = records::event(event).ok_or_else(records::unknown_event)?;
                self.print_event(&record)?;
            }
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(1);
            }
        }
        Ok(token)
    }

    fn print_config(&mut self, config: Record) -> Result<(), Failure> {
        let name = format!("{}/{}", config.plain("namespace"), config.plain("name"));
        let line = format!(
            "{}  = {} = {}",
            self.paint.faint(&config.plain("updated_at")),
            printable(&name),
            self.shown(&config.plain("value")),
        );
        let record = Record::new().with("event", "InitialConfig").with("config", config);
        Ok(self.printer.event(&record, &["event", "config"], &line)?)
    }

    fn print_event(&mut self, event: &Record) -> Result<(), Failure> {
        let name = format!("{}/{}", event.plain("namespace"), event.plain("name"));
        let name = format!("{} v{}", printable(&name), event.plain("version"));
        let value = self.shown(&event.plain("value"));
        let change = match event.plain("event").as_str() {
            "ConfigValueDeleted" => self.paint.removed(&format!("- {name}")),
            "ConfigValueRestored" => self.paint.changed(&format!("^ {name} = {value}")),
            _ => self.paint.added(&format!("+ {name} = {value}")),
        };
        let by = match (event.plain("actor"), event.plain("reason")) {
            (actor, reason) if actor.is_empty() && reason.is_empty() => String::new(),
            (actor, reason) if reason.is_empty() => format!("  ({actor})"),
            (actor, reason) => format!("  ({actor}: {reason})"),
        };
        let line = format!(
            "{}  {change}{}",
            self.paint.faint(&event.plain("recorded_at")),
            self.paint.faint(&printable(&by)),
        );
        Ok(self.printer.event(event, EVENT_RAW, &line)?)
    }

    fn shown(&self, value: &str) -> String {
        let shown = printable(value);
        if self.printer.is_terminal() {
            cut(&shown, MAX_VALUE_CHARS).into_owned()
        } else {
            shown.into_owned()
        }
    }
}

async fn next_frame(stream: &mut Streaming<WatchResponse>) -> Result<WatchResponse, Status> {
    let ended = || ApiError::new(Reason::Unavailable, "the server has ended the watch");
    match timeout(MAX_SILENCE, stream.message()).await {
        Ok(Ok(Some(frame))) => Ok(frame),
        Ok(Ok(None)) => Err(ended().into()),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(no_answer_in_time()),
    }
}
