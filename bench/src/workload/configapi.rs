//! What is asked of `ConfigApi`, and of the echo server that looks like it.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bytes::Bytes;
use configapi_proto::v1::{
    ApplyRequest, AtTimeRequest, Command, Consistency, GetRequest, GetResponse, HistoryRequest,
    HistoryResponse, ListRequest, PointInTime, SetAction, SetRequest, SetResponse,
    at_time_request::Selection,
    command::Action,
    consistency::{Linearizable, Wish},
    point_in_time::Moment,
};

use super::{
    Done, Place, Slot, Workload,
    bulk::BulkStream,
    method,
    slot::{NextRequest, Unary, receipt_of},
    unknown,
    watch::SetThenWatch,
};
use crate::{
    keys::{Dice, GROUP, Keys, Share, VERSIONED_KEYS, VERSIONS, Values},
    load::Spec,
    wire::{CallError, Channel, Method, frame},
};

pub(super) const SET: &str = "/configapi.v1.CommandService/Set";
pub(super) const SET_MANY: &str = "/configapi.v1.CommandService/SetMany";
const APPLY: &str = "/configapi.v1.CommandService/Apply";
const GET: &str = "/configapi.v1.QueryService/Get";
const LIST: &str = "/configapi.v1.QueryService/List";
const AT_TIME: &str = "/configapi.v1.QueryService/AtTime";
const HISTORY: &str = "/configapi.v1.QueryService/History";
pub(super) const WATCH: &str = "/configapi.v1.QueryService/Watch";

/// How many sets one Apply has.
const APPLY_SIZE: u64 = 100;

/// The slots of one connection.
pub(super) async fn slots(
    spec: &Spec,
    command: SocketAddr,
    query: SocketAddr,
    places: impl Iterator<Item = Place>,
) -> anyhow::Result<Vec<Slot>> {
    let connection = Connection::open(spec, command, query).await?;
    let mut slots = Vec::new();
    for place in places {
        slots.push(connection.slot(spec, place).await?);
    }
    Ok(slots)
}

/// One connection to each of the two servers.
struct Connection {
    command: Channel,
    query: Channel,
    command_address: SocketAddr,
    query_address: SocketAddr,
    /// A time by which all configs with a history had about half of it.
    past: Option<PointInTime>,
    deep: Deep,
}

/// A config whose versions lie one after the other in the log.
#[derive(Debug, Clone, Default)]
struct Deep {
    name: String,
    versions: u64,
    newest: u64,
}

impl Connection {
    async fn open(
        spec: &Spec,
        command_address: SocketAddr,
        query_address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let command = Channel::connect(command_address).await.context("no command server")?;
        let mut query = Channel::connect(query_address).await.context("no query server")?;
        let past = match spec.workload {
            Workload::AtTime => Some(past(&mut query, query_address).await?),
            _ => None,
        };
        let deep = match spec.workload {
            Workload::PastOf10 => Deep::of(10, &mut query, query_address).await?,
            Workload::PastOf1k => Deep::of(1_000, &mut query, query_address).await?,
            Workload::PastOf100k => Deep::of(100_000, &mut query, query_address).await?,
            _ => Deep::default(),
        };
        Ok(Self { command, query, command_address, query_address, past, deep })
    }

    async fn slot(&self, spec: &Spec, place: Place) -> anyhow::Result<Slot> {
        let query = |path, requests| -> anyhow::Result<Unary> {
            Ok(Unary::new(&self.query, &method(self.query_address, path)?, 1, requests))
        };
        let command = |path, operations, requests| -> anyhow::Result<Unary> {
            let method = method(self.command_address, path)?;
            Ok(Unary::new(&self.command, &method, operations, requests))
        };
        Ok(match spec.workload {
            Workload::Get => Slot::Unary(query(GET, gets(spec, place, None))?),
            Workload::GetLinearizable => {
                let wish = Wish::Linearizable(Linearizable {});
                let consistency = Consistency { wish: Some(wish) };
                Slot::Unary(query(GET, gets(spec, place, Some(consistency)))?)
            }
            Workload::List => Slot::Unary(query(LIST, lists(spec, place))?),
            Workload::AtTime => {
                let past = self.past.clone();
                Slot::Unary(query(AT_TIME, looks_back(place, past))?)
            }
            Workload::PastOf10 | Workload::PastOf1k | Workload::PastOf100k => {
                Slot::Unary(query(AT_TIME, looks_deep(place, self.deep.clone()))?)
            }
            Workload::History => Slot::Unary(query(HISTORY, histories(place))?),
            Workload::Set => Slot::Unary(command(SET, 1, sets(spec, place))?),
            Workload::SetKeyed => Slot::Unary(command(SET, 1, keyed_sets(spec, place))?),
            Workload::SetHot => Slot::Unary(command(SET, 1, hot_sets(spec, place))?),
            Workload::Apply => Slot::Unary(command(APPLY, APPLY_SIZE, applies(spec, place))?),
            Workload::Mixed => Slot::Mixed {
                often: query(GET, gets(spec, place, None))?,
                seldom: command(SET, 1, sets(spec, place))?,
                dice: place.dice(),
            },
            Workload::SetCas => {
                let set = method(self.command_address, SET)?;
                Slot::CompareAndSet(CompareAndSet::new(spec, place, self.command.clone(), set))
            }
            Workload::SetGet => Slot::SetThenGet(SetThenGet {
                command: self.command.clone(),
                query: self.query.clone(),
                set: method(self.command_address, SET)?,
                get: method(self.query_address, GET)?,
                share: share(spec, place),
                values: values(spec, place),
            }),
            Workload::SetWatch => {
                let (command, mut query) = (self.command.clone(), self.query.clone());
                let set = method(self.command_address, SET)?;
                let watch = method(self.query_address, WATCH)?;
                let watching =
                    SetThenWatch::configapi(spec, place, command, set, &mut query, &watch);
                Slot::SetThenWatch(Box::new(watching.await?))
            }
            Workload::Bulk => {
                let method = method(self.command_address, SET_MANY)?;
                let mut channel = self.command.clone();
                Slot::Bulk(BulkStream::open(spec, place, &mut channel, &method).await?)
            }
            Workload::FanOut | Workload::RestGet | Workload::RestPut => {
                return unknown(spec);
            }
        })
    }
}

pub(super) fn share(spec: &Spec, place: Place) -> Share {
    Share::new(Keys { count: spec.keys }, place.slot(), place.of_all(), place.dice())
}

pub(super) fn values(spec: &Spec, place: Place) -> Values {
    Values::new(spec.value_bytes, place.dice())
}

fn gets(spec: &Spec, place: Place, consistency: Option<Consistency>) -> NextRequest {
    let (keys, mut dice) = (spec.keys, place.dice());
    let mut request = GetRequest { consistency, ..GetRequest::default() };
    Box::new(move || {
        Keys::write_name(&mut request.name, dice.below(keys));
        frame(&request)
    })
}

fn lists(spec: &Spec, place: Place) -> NextRequest {
    let keys = Keys { count: spec.keys };
    let mut dice = place.dice();
    let page_size = u32::try_from(GROUP).unwrap_or(u32::MAX);
    Box::new(move || {
        let prefix = Keys::prefix(dice.below(keys.groups()));
        frame(&ListRequest { prefix, page_size, ..ListRequest::default() })
    })
}

fn looks_back(place: Place, at: Option<PointInTime>) -> NextRequest {
    let mut dice = place.dice();
    let mut request = AtTimeRequest { at, ..AtTimeRequest::default() };
    Box::new(move || {
        let name = Keys::versioned(dice.below(VERSIONED_KEYS));
        request.selection = Some(Selection::Name(name));
        frame(&request)
    })
}

fn looks_deep(place: Place, deep: Deep) -> NextRequest {
    let mut dice = place.dice();
    let Deep { name, versions, newest } = deep;
    let selection = Some(Selection::Name(name));
    let mut request = AtTimeRequest { selection, ..AtTimeRequest::default() };
    Box::new(move || {
        let position = newest.saturating_sub(dice.below(versions));
        request.at = Some(PointInTime { moment: Some(Moment::Position(position)) });
        frame(&request)
    })
}

fn histories(place: Place) -> NextRequest {
    let mut dice = place.dice();
    let page_size = u32::try_from(VERSIONS).unwrap_or(u32::MAX);
    Box::new(move || {
        let name = Keys::versioned(dice.below(VERSIONED_KEYS));
        frame(&HistoryRequest { name, page_size, ..HistoryRequest::default() })
    })
}

fn sets(spec: &Spec, place: Place) -> NextRequest {
    let (mut share, mut values) = (share(spec, place), values(spec, place));
    let mut request = SetRequest::default();
    Box::new(move || {
        Keys::write_name(&mut request.name, share.next_index());
        values.next_value().clone_into(&mut request.value);
        frame(&request)
    })
}

/// With ids that no other run has, as random UUIDs would be: they come in no order.
fn keyed_sets(spec: &Spec, place: Place) -> NextRequest {
    let (mut share, mut values) = (share(spec, place), values(spec, place));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut ids = Dice::new(place.dice().roll() ^ now.as_secs().rotate_left(32));
    let mut request = SetRequest::default();
    Box::new(move || {
        Keys::write_name(&mut request.name, share.next_index());
        values.next_value().clone_into(&mut request.value);
        request.request_id = format!("{:016x}{:016x}", ids.roll(), ids.roll());
        frame(&request)
    })
}

fn hot_sets(spec: &Spec, place: Place) -> NextRequest {
    let mut values = values(spec, place);
    let mut request = SetRequest { name: Keys::name(0), ..SetRequest::default() };
    Box::new(move || {
        values.next_value().clone_into(&mut request.value);
        frame(&request)
    })
}

fn applies(spec: &Spec, place: Place) -> NextRequest {
    let (mut share, mut values) = (share(spec, place), values(spec, place));
    Box::new(move || {
        let commands = (0..APPLY_SIZE).map(|_index| {
            let value = values.next_value().to_owned();
            let action = Action::Set(SetAction { value, ..SetAction::default() });
            let name = Keys::name(share.next_index());
            Command { name, action: Some(action), ..Command::default() }
        });
        frame(&ApplyRequest { commands: commands.collect(), ..ApplyRequest::default() })
    })
}

impl Deep {
    async fn of(versions: u64, query: &mut Channel, server: SocketAddr) -> anyhow::Result<Self> {
        let name = Keys::deep(versions);
        let request = frame(&GetRequest { name: name.clone(), ..GetRequest::default() });
        let response: GetResponse = query.unary(&method(server, GET)?, request).await?;
        let config = response.config.context("the config with many versions is not there")?;
        Ok(Self { name, versions, newest: config.position })
    }
}

/// The time of the middle version of a config with a history.
async fn past(query: &mut Channel, server: SocketAddr) -> anyhow::Result<PointInTime> {
    let name = Keys::versioned(VERSIONED_KEYS - 1);
    let request = frame(&HistoryRequest { name, ..HistoryRequest::default() });
    let history: HistoryResponse = query.unary(&method(server, HISTORY)?, request).await?;
    let middle = history.events.get(history.events.len() / 2);
    let time = middle.and_then(|event| event.recorded_at).context("there is no history yet")?;
    Ok(PointInTime { moment: Some(Moment::Time(time)) })
}

/// A set that states the version it expects: that of the set before, on a config of its own.
#[derive(Debug)]
pub struct CompareAndSet {
    channel: Channel,
    method: Method,
    request: SetRequest,
    values: Values,
}

impl CompareAndSet {
    fn new(spec: &Spec, place: Place, channel: Channel, method: Method) -> Self {
        let name = Keys::name(place.slot());
        let request = SetRequest { name, ..SetRequest::default() };
        Self { channel, method, request, values: values(spec, place) }
    }

    pub(super) async fn perform(&mut self) -> Result<Done, CallError> {
        self.values.next_value().clone_into(&mut self.request.value);
        let request = frame(&self.request);
        let response: SetResponse = self.channel.unary(&self.method, request).await?;
        let (version, _token) = receipt_of(response)?;
        self.request.expected_version = Some(version);
        Ok(Done::now(1))
    }
}

/// A set on the command server, then a get on the query server that must see it.
#[derive(Debug)]
pub struct SetThenGet {
    command: Channel,
    query: Channel,
    set: Method,
    get: Method,
    share: Share,
    values: Values,
}

impl SetThenGet {
    pub(super) async fn perform(&mut self) -> Result<Done, CallError> {
        let name = Keys::name(self.share.next_index());
        let value = self.values.next_value().to_owned();
        let request: Bytes = frame(&SetRequest { name: name.clone(), value, ..Default::default() });
        let response: SetResponse = self.command.unary(&self.set, request).await?;
        let (version, token) = receipt_of(response)?;
        let consistency = Some(Consistency { wish: Some(Wish::AtLeastToken(token)) });
        let request = frame(&GetRequest { name, consistency, ..GetRequest::default() });
        let response: GetResponse = self.query.unary(&self.get, request).await?;
        match response.config {
            Some(config) if config.version >= version => Ok(Done::now(1)),
            _ => Err(CallError::Wrong("a get with a token did not see the set")),
        }
    }
}
