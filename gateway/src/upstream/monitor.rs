//! The probe of one server elsewhere, by gRPC health: steady while it is up, with growing pauses
//! while it is down, at once when a call gave reason to doubt. A server that answers late is asked
//! only if no other is quick, but it is there: a long way to it is no reason to serve nothing.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use configapi_proto::v1::query_service_server::SERVICE_NAME as QUERY_SERVICE;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::pool::Member;
use super::transport::Transport;

/// The pause between probes of a server that is up.
const STEADY_PAUSE: Duration = Duration::from_secs(1);
/// The first and the longest pause between probes of a server that is down.
const DOWN_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// A server that takes longer than this for a probe comes after those that do not. The sentences about
/// states name this limit, and this and the next one together.
const QUICK_LIMIT: Duration = Duration::from_secs(1);
/// How much longer a probe may take before its server is down.
const SLOW_LIMIT: Duration = Duration::from_secs(2);

/// How a server is, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum State {
    /// It answers quickly.
    Up,
    /// It answers, but late.
    Slow,
    /// It does not answer.
    Silent,
    /// It says that it does not serve.
    NotServing,
    /// There is no way to it.
    Away,
    /// It is a gRPC server, and not the one that is meant.
    Another,
}

impl State {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Up, Self::Slow, Self::Silent, Self::NotServing, Self::Away, Self::Another];

    /// Whether it answers.
    pub fn is_there(self) -> bool {
        self <= Self::Slow
    }

    /// What there is to say of query servers if the best of them is so.
    pub const fn of_the_best(self) -> &'static str {
        match self {
            Self::Up => "a query server is up",
            Self::Slow => "a query server is slow",
            Self::Silent => "no query server answers within 3 s",
            Self::NotServing => "no query server serves",
            Self::Away => "no query server can be reached",
            Self::Another => "what answers is no query server",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "is up",
            Self::Slow => "does not answer within 1 s",
            Self::Silent => "does not answer within 3 s",
            Self::NotServing => "says that it does not serve",
            Self::Away => "cannot be reached",
            Self::Another => "is one of another kind",
        })
    }
}

pub(super) async fn watch_over(member: Arc<Member>, transport: Transport, end: CancellationToken) {
    end.run_until_cancelled(probe_for_ever(&member, transport)).await;
}

async fn probe_for_ever(member: &Member, transport: Transport) {
    let mut down_pause = DOWN_PAUSES.0;
    loop {
        let state = probe(member, transport.clone()).await;
        member.is_now(state);
        if state.is_there() {
            down_pause = DOWN_PAUSES.0;
            // A doubt is looked into soon, but not in a busy loop.
            tokio::select! {
                () = sleep(STEADY_PAUSE) => {}
                () = member.doubt.notified() => sleep(DOWN_PAUSES.0).await,
            }
        } else {
            sleep(down_pause).await;
            down_pause = (down_pause * 2).min(DOWN_PAUSES.1);
        }
    }
}

/// Asks a server how it is. Others are asked rather as soon as it is late.
async fn probe(member: &Member, transport: Transport) -> State {
    let mut asking = pin!(is_serving(transport, QUERY_SERVICE));
    if let Ok(answer) = timeout(QUICK_LIMIT, &mut asking).await {
        return answer.err().unwrap_or(State::Up);
    }
    if member.state().is_there() {
        member.is_now(State::Slow);
    }
    match timeout(SLOW_LIMIT, asking).await {
        Ok(answer) => answer.err().unwrap_or(State::Slow),
        Err(_elapsed) => State::Silent,
    }
}

/// Asks a server whether it serves this, and not only whether it serves: the address may be that of
/// another one. Says how it is if it does not.
pub(super) async fn is_serving(transport: Transport, service: &str) -> Result<(), State> {
    let request = HealthCheckRequest { service: service.to_owned() };
    match HealthClient::new(transport).check(request).await {
        Ok(response) if response.get_ref().status() == ServingStatus::Serving => Ok(()),
        Ok(_) => Err(State::NotServing),
        Err(status) if status.code() == Code::NotFound => Err(State::Another),
        Err(_) => Err(State::Away),
    }
}
