//! Calls within a process come through the same edge as all others.

use std::time::Duration;

use configapi_proto::{ApiError, FILE_DESCRIPTOR_SET, Reason};
use configapi_runtime::{
    grpc::{CallLimits, edge::EdgeLayer, methods},
    metrics::Metrics,
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use super::support::{GET, Probe, WATCH, soon, until};

const SERVICE: &str = "configapi.v1.QueryService";

/// A probe that is called without a network in between.
struct Within {
    edge: EdgeLayer,
    probe: Probe,
    metrics: Metrics,
}

impl Within {
    fn new() -> Self {
        Self::with(CallLimits::default())
    }

    fn with(limits: CallLimits) -> Self {
        let metrics = Metrics::new("test", "0");
        let methods = methods(FILE_DESCRIPTOR_SET, &[SERVICE]).expect("they are described");
        Self { edge: EdgeLayer::new(limits, &methods, &metrics), probe: Probe::default(), metrics }
    }

    async fn ask_until(&self, deadline: Option<Instant>, request: Request<String>) -> Answer {
        let ask = |request| self.probe.clone().ask(request);
        soon(self.edge.within(GET, request, deadline, ask)).await.map(tonic::Response::into_inner)
    }

    async fn ask(&self, text: &str) -> Answer {
        self.ask_until(None, Request::new(text.to_owned())).await
    }

    /// All that a stream says.
    async fn listen(&self, text: &str) -> Vec<Answer> {
        let listen = |request| std::future::ready(Ok(self.probe.listen(request)));
        let opening = self.edge.stream_within(WATCH, Request::new(text.to_owned()), None, listen);
        let stream = opening.await.expect("it opens").into_inner();
        soon(stream.collect()).await
    }

    fn handled(&self, method: &str, code: &str) -> Option<f64> {
        let labels =
            format!(r#"grpc_service="{SERVICE}",grpc_method="{method}",grpc_code="{code}""#);
        self.metric(&format!("grpc_server_handled_total{{{labels}}}"))
    }

    fn in_flight(&self, method: &str) -> Option<f64> {
        let labels = format!(r#"grpc_service="{SERVICE}",grpc_method="{method}""#);
        self.metric(&format!("grpc_server_in_flight{{{labels}}}"))
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let page = self.metrics.render().expect("renders");
        page.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    }
}

type Answer = Result<String, Status>;

fn soon_after_now() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

fn reason(answer: &Answer) -> Option<Reason> {
    answer.as_ref().err().map(|status| ApiError::from_status(status).reason)
}

#[tokio::test]
async fn the_answer_is_that_of_the_method_and_is_counted_under_its_name() {
    let within = Within::new();
    assert_eq!(within.ask("hello").await.expect("an answer"), "hello");
    assert_eq!(within.ask("hello").await.expect("an answer"), "hello");
    let failed = within.ask("fail").await.expect_err("it was asked to");
    assert_eq!((failed.code(), failed.message()), (Code::NotFound, "asked to"));
    assert_eq!(within.handled("Get", "OK"), Some(2.0));
    assert_eq!(within.handled("Get", "NOT_FOUND"), Some(1.0));
    assert_eq!(within.in_flight("Get"), Some(0.0));
}

#[tokio::test]
async fn the_method_knows_the_name_and_the_trace_of_its_call() {
    let within = Within::new();
    let with = |text: &str| {
        let mut request = Request::new(text.to_owned());
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (name, value) in [("x-request-id", "my-own:42"), ("traceparent", trace)] {
            request.metadata_mut().insert(name, value.parse().expect("a value"));
        }
        request
    };
    assert_eq!(within.ask_until(None, with("name")).await.expect("an answer"), "my-own:42");
    let trace = within.ask_until(None, with("trace")).await.expect("an answer");
    assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_panic_fails_its_own_call_only() {
    let within = Within::new();
    let answer = within.ask("panic with a secret").await;
    assert_eq!(reason(&answer), Some(Reason::Internal));
    assert!(!format!("{answer:?}").contains("secret"), "{answer:?}");
    assert_eq!(within.handled("Get", "INTERNAL"), Some(1.0));
    assert_eq!(within.ask("hello").await.expect("an answer"), "hello");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_or_at_the_default_one() {
    let within = Within::new();
    let hang = || Request::new("hang".to_owned());
    let answer = within.ask_until(Some(soon_after_now()), hang()).await;
    assert_eq!(reason(&answer), Some(Reason::DeadlineExceeded));
    let at_its_deadline = Request::new("wait for the deadline".to_owned());
    within.ask_until(Some(soon_after_now()), at_its_deadline).await.expect("the method goes first");

    let short = Duration::from_secs(1);
    let within = Within::with(CallLimits { default_timeout: short, ..CallLimits::default() });
    assert_eq!(reason(&within.ask_until(None, hang()).await), Some(Reason::DeadlineExceeded));
    let within = Within::with(CallLimits { max_timeout: short, ..CallLimits::default() });
    let far = Some(Instant::now() + Duration::from_hours(1));
    assert_eq!(reason(&within.ask_until(far, hang()).await), Some(Reason::DeadlineExceeded));
}

#[tokio::test]
async fn a_call_whose_deadline_is_over_does_not_reach_the_method() {
    let within = Within::new();
    let answer = within.ask_until(Some(Instant::now()), Request::new("hello".to_owned())).await;
    assert_eq!(reason(&answer), Some(Reason::DeadlineExceeded));
    assert_eq!(within.probe.calls(), 0);
}

#[tokio::test]
async fn more_waiting_calls_than_allowed_are_refused_at_once() {
    let within = Within::with(CallLimits { max_waiting_calls: 1, ..CallLimits::default() });
    let mut first = std::pin::pin!(within.ask("wait at the gate"));
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(reason(&within.ask("hello").await), Some(Reason::LimitExceeded));
    within.probe.open_gate();
    first.await.expect("it was let in");
    within.ask("hello").await.expect("there is a place again");
}

#[tokio::test]
async fn a_call_that_is_given_up_is_counted_as_cancelled() {
    let within = Within::new();
    assert!(within.ask("hang").now_or_never().is_none());
    assert_eq!(within.handled("Get", "CANCELLED"), Some(1.0));
    assert_eq!(within.in_flight("Get"), Some(0.0));
}

#[tokio::test]
async fn a_stream_counts_until_it_ends() {
    let within = Within::new();
    let both = async {
        until(|| within.in_flight("Watch") == Some(1.0)).await;
        within.probe.open_gate();
    };
    let (said, ()) = tokio::join!(within.listen("first"), both);
    let said: Vec<_> = said.into_iter().map(|item| item.expect("no failure")).collect();
    assert_eq!(said, ["first", "last"]);
    assert_eq!(within.handled("Watch", "OK"), Some(1.0));
    assert_eq!(within.in_flight("Watch"), Some(0.0));
}

#[tokio::test]
async fn a_panic_in_a_stream_is_its_last_word() {
    let within = Within::new();
    within.probe.open_gate();
    let said = within.listen("panic").await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(reason(&said[1]), Some(Reason::Internal));
    assert_eq!(within.handled("Watch", "INTERNAL"), Some(1.0));
}
