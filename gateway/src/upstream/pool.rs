//! The query servers: reads go to the less busy of two that are up, or else of two that are slow. One
//! that fails is left out until a probe finds it well again; if none is there, one is tried all the
//! same. One that could not become as fresh as was wished, for it is cut off from its store, comes
//! last for a while.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::query_service_server::QueryService;
use configapi_proto::{ApiError, Reason, key};
use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::shutdown::Lifecycle;
use futures_util::TryFutureExt as _;
use tokio::sync::Notify;
use tonic::Code;

use super::monitor::State;
use super::queries::{Query, QueryMethods, QueryWay};
use super::transport::Transport;
use super::way::{Local, Way};
use super::ways::Ways;
use super::{Along, MAX_ANSWER_BYTES, Ready, monitor};

/// A read is tried on at most this many servers.
const MAX_ATTEMPTS: usize = 2;
/// How long a server that was not as fresh as wished comes last.
const LAST_FOR: Duration = Duration::from_secs(5);

/// All query servers.
#[derive(Default)]
pub(crate) struct Pool {
    members: Vec<Arc<Member>>,
    /// Those that are elsewhere, and over which way they are asked how they are.
    probed: Vec<(Arc<Member>, Transport)>,
    /// What the one that is here says of itself.
    known: Option<Ready>,
    next: AtomicUsize,
}

/// One query server.
pub(super) struct Member {
    way: QueryWay,
    /// The `State` that it is in.
    state: AtomicU8,
    /// Until when it comes last, in milliseconds since `born`; 0 if it does not.
    last_until: AtomicU64,
    born: Instant,
    /// Calls that are under way, and streams that are open: the one says nothing of the other.
    calls: AtomicUsize,
    streams: AtomicUsize,
    /// Asks for a probe at once.
    pub doubt: Notify,
}

/// An answer, and the server that it came from, which counts as busy for as long as this is held.
pub(crate) struct Held<T> {
    pub answer: T,
    busy: Busy,
}

impl<T> Held<T> {
    /// The answer, and what keeps its server busy.
    pub fn split(self) -> (T, Busy) {
        (self.answer, self.busy)
    }
}

/// Counts as load on a server.
pub(crate) struct Busy {
    member: Arc<Member>,
    lasting: bool,
}

impl Pool {
    /// Each server over transports for calls, and others for streams.
    pub fn remote<F>(transports: impl IntoIterator<Item = (F, F)>) -> Self
    where
        F: Fn() -> Transport + Send + Sync + 'static,
    {
        let client = |transport| {
            QueryServiceClient::new(transport).max_decoding_message_size(MAX_ANSWER_BYTES)
        };
        let ways = |first, make: F| Ways::new(client(first), move || client(make()));
        let mut pool = Self::default();
        for (calls, streams) in transports {
            let (first, of_streams) = (calls(), streams());
            let (calls, streams) = (ways(first.clone(), calls), ways(of_streams, streams));
            let member = Arc::new(Member::new(Way::Remote { calls, streams }));
            pool.probed.push((Arc::clone(&member), first));
            pool.members.push(member);
        }
        pool
    }

    pub fn local(service: impl QueryService, ready: Ready, edge: &EdgeLayer) -> Self {
        let service: Arc<dyn QueryMethods> = Arc::new(service);
        let way = Way::Local(Local::new(service, edge.clone()));
        let members = vec![Arc::new(Member::new(way))];
        Self { members, known: Some(ready), ..Self::default() }
    }

    pub fn watch_over(&self, life: &Lifecycle) {
        for (member, transport) in &self.probed {
            let (member, transport) = (Arc::clone(member), transport.clone());
            life.spawn(monitor::watch_over(member, transport, life.soft().clone()));
        }
    }

    /// Whether at least one server is thought to be there, or why none is: the one that is here says
    /// so itself.
    pub fn readiness(&self) -> Result<(), String> {
        match &self.known {
            Some(ready) => ready(),
            None => match self.members.iter().map(|member| member.state()).min() {
                Some(state) if state.is_there() => Ok(()),
                best => Err(best.unwrap_or(State::Away).of_the_best().to_owned()),
            },
        }
    }

    /// Sends a query to a server, and to another one if the first cannot be reached, does not become as
    /// fresh as wished, or has no room for a stream.
    pub async fn ask<Q: Query>(&self, along: &Along, query: Q) -> Result<Q::Answer, ApiError> {
        self.ask_and_hold(along, query).await.map(|held| held.answer)
    }

    /// As `ask`, and keeps the server busy until the answer is dropped.
    pub async fn ask_and_hold<Q: Query>(
        &self,
        along: &Along,
        query: Q,
    ) -> Result<Held<Q::Answer>, ApiError> {
        let attempts = self.members.len().min(MAX_ATTEMPTS);
        let mut tried: Option<Arc<Member>> = None;
        for _ in 1..attempts {
            let member = self.pick(Q::LASTING, None)?;
            // One that is cut off from its store would wait until the time is over.
            let half = query.may_wait().then(|| along.for_half_the_time());
            match member.ask(half.as_ref().unwrap_or(along), query.clone()).await {
                Err(error) if is_away(&error) || Q::LASTING && is_full(&error) => {
                    tried = Some(member);
                }
                Err(error) if is_behind(&error, half.is_some()) => {
                    member.comes_last();
                    tried = Some(member);
                }
                other => return other,
            }
        }
        self.pick(Q::LASTING, tried.as_ref())?.ask(along, query).await
    }

    /// The less busy of the next two that are up and not behind, or else the next one that is up; or
    /// else the same of those that are slow; or else just the next one. `not` is only picked if there
    /// is no other.
    fn pick(&self, lasting: bool, not: Option<&Arc<Member>>) -> Result<Arc<Member>, ApiError> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.members.len();
        let in_turn = || (0..count).map(|step| &self.members[start.wrapping_add(step) % count]);
        let other = |member: &&Arc<Member>| not.is_none_or(|not| !Arc::ptr_eq(not, member));
        let busyness = |member: &&Arc<Member>| member.load(lasting).load(Ordering::Relaxed);
        let best = |worst: State| {
            let are_well = || in_turn().filter(move |member| member.state() <= worst).filter(other);
            let two = are_well().filter(|member| !member.is_last()).take(2);
            two.min_by_key(busyness).or_else(|| are_well().next())
        };
        best(State::Up)
            .or_else(|| best(State::Slow))
            .or_else(|| in_turn().find(other))
            .or_else(|| in_turn().next())
            .cloned()
            .ok_or_else(|| Reason::Unavailable.into())
    }
}

impl Member {
    fn new(way: QueryWay) -> Self {
        Self {
            way,
            state: AtomicU8::new(State::Up as u8),
            last_until: AtomicU64::new(0),
            born: Instant::now(),
            calls: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            doubt: Notify::new(),
        }
    }

    async fn ask<Q: Query>(
        self: &Arc<Self>,
        along: &Along,
        query: Q,
    ) -> Result<Held<Q::Answer>, ApiError> {
        let busy = Busy::new(self, Q::LASTING);
        // Whoever knows no such call is no query server, and has done nothing.
        let call = Q::send(&self.way, along, query).inspect_err(|status| {
            if status.code() == Code::Unimplemented && self.way.is_remote() {
                self.is_now(State::Another);
            }
        });
        let result =
            along.wait(call, ApiError::from_status, || Reason::DeadlineExceeded.into()).await;
        if let Err(error) = &result
            && self.way.is_remote()
        {
            if is_away(error) {
                if self.state() != State::Another {
                    self.is_now(State::Away);
                }
                self.doubt.notify_one();
            } else if error.reason == Reason::DeadlineExceeded {
                self.doubt.notify_one();
            }
        }
        result.map(|answer| Held { answer, busy })
    }

    fn load(&self, lasting: bool) -> &AtomicUsize {
        if lasting { &self.streams } else { &self.calls }
    }

    pub fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Whether others are to be asked rather.
    fn is_last(&self) -> bool {
        match self.last_until.load(Ordering::Relaxed) {
            0 => false,
            until if self.born.elapsed() < Duration::from_millis(until) => true,
            _ => {
                self.last_until.store(0, Ordering::Relaxed);
                false
            }
        }
    }

    fn comes_last(&self) {
        let until = (self.born.elapsed() + LAST_FOR).as_millis();
        self.last_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn is_now(&self, state: State) {
        if self.state.swap(state as u8, Ordering::Relaxed) != state as u8 {
            tracing::info!(up = state.is_there(), %state, "a query server's state changed");
        }
    }
}

/// How far a server is that refuses with this error; older ones say it as their only token.
pub(crate) fn reached(error: &ApiError) -> Option<&str> {
    let reached = error.metadata.get(key::REACHED_TOKEN);
    reached.or_else(|| error.metadata.get(key::TOKEN)).map(String::as_str)
}

/// Whether a server cannot be reached, and counts as down. One that is not as fresh as wished, or does
/// not serve, says how fresh it is.
fn is_away(error: &ApiError) -> bool {
    error.reason == Reason::Unavailable && reached(error).is_none()
}

/// Whether a server has no room for one more. Where a stream is to begin there, it has so for as long as
/// others go on, and is asked first all the same: it has the fewest.
fn is_full(error: &ApiError) -> bool {
    error.reason == Reason::LimitExceeded
}

/// Whether a server did not become as fresh as wished in the half of the time that it had, or did not
/// answer at all, or does not serve.
fn is_behind(error: &ApiError, had_half: bool) -> bool {
    error.reason == Reason::Unavailable || had_half && error.reason == Reason::DeadlineExceeded
}

impl Busy {
    fn new(member: &Arc<Member>, lasting: bool) -> Self {
        member.load(lasting).fetch_add(1, Ordering::Relaxed);
        Self { member: Arc::clone(member), lasting }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.member.load(self.lasting).fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = self.members.iter().filter(|member| member.state().is_there()).count();
        f.debug_struct("Pool")
            .field("members", &self.members.len())
            .field("up", &up)
            .finish_non_exhaustive()
    }
}
