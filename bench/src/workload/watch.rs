//! Watches: the latency of one, and many at once.

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;
use configapi_proto::v1::{
    SetRequest, SetResponse, WatchRequest, WatchResponse, event::Change, watch_request::Selection,
    watch_response::Frame,
};
use h2::SendStream;

use super::{
    Done, Place, Target, configapi,
    etcd::{self, messages},
    method,
    slot::receipt_of,
    unknown,
};
use crate::{
    keys::{Dice, Keys, Values},
    load::Spec,
    wire::{CallError, Channel, Frames, Method, frame},
};

/// The prefix that all watchers of a fan-out watch.
const FAN_OUT_PREFIX: &str = "fan-out/";
const FAN_OUT_KEYS: u64 = 100;

/// A watch that has begun.
#[derive(Debug)]
pub struct Watcher {
    frames: Frames,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Configapi,
    /// etcd ends a watch when the client ends its side.
    Etcd {
        _requests: SendStream<Bytes>,
    },
}

impl Watcher {
    /// Watches one config, or all with a prefix.
    async fn configapi(
        channel: &mut Channel,
        watch: &Method,
        selection: Selection,
    ) -> Result<Self, CallError> {
        let request = WatchRequest { selection: Some(selection), ..WatchRequest::default() };
        let (_requests, mut frames) = channel.stream(watch, frame(&request), true).await?;
        match frames.next::<WatchResponse>().await?.and_then(|response| response.frame) {
            Some(Frame::Started(_)) => Ok(Self { frames, kind: Kind::Configapi }),
            _ => Err(CallError::Wrong("a watch did not begin with Started")),
        }
    }

    async fn etcd(
        channel: &mut Channel,
        watch: &Method,
        key: String,
        is_prefix: bool,
    ) -> Result<Self, CallError> {
        let request = frame(&messages::watch(key, is_prefix));
        let (requests, mut frames) = channel.stream(watch, request, false).await?;
        match frames.next::<crate::etcd::WatchResponse>().await? {
            Some(response) if response.created => {
                Ok(Self { frames, kind: Kind::Etcd { _requests: requests } })
            }
            _ => Err(CallError::Wrong("a watch did not begin")),
        }
    }

    /// Waits for the next message and shows the values in it, of which there may be none.
    pub async fn next(&mut self, mut show: impl FnMut(&str)) -> Result<(), CallError> {
        const ENDED: CallError = CallError::Wrong("a watch ended");
        match self.kind {
            Kind::Configapi => {
                let response = self.frames.next::<WatchResponse>().await?.ok_or(ENDED)?;
                if let Some(Frame::Events(events)) = response.frame {
                    for event in &events.events {
                        if let Some(Change::ValueSet(set)) = &event.change {
                            show(&set.value);
                        }
                    }
                }
            }
            Kind::Etcd { .. } => {
                let response =
                    self.frames.next::<crate::etcd::WatchResponse>().await?.ok_or(ENDED)?;
                if response.canceled {
                    return Err(ENDED);
                }
                for pair in response.events.iter().filter_map(|event| event.kv.as_ref()) {
                    show(std::str::from_utf8(&pair.value).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// Waits for this value; returns when it came.
    async fn wait_for(&mut self, number: u64) -> Result<Instant, CallError> {
        loop {
            let mut came = false;
            self.next(|value| came |= Values::number_of(value) == Some(number)).await?;
            if came {
                return Ok(Instant::now());
            }
        }
    }
}

/// A set on a config of its own, and the watch that tells of it. The time counts until the watch
/// has told, even if the answer to the set comes later.
#[derive(Debug)]
pub struct SetThenWatch {
    sets: NumberedSets,
    watcher: Watcher,
    number: u64,
}

impl SetThenWatch {
    pub(super) async fn configapi(
        spec: &Spec,
        place: Place,
        command: Channel,
        set: Method,
        query: &mut Channel,
        watch: &Method,
    ) -> Result<Self, CallError> {
        let name = Keys::name(place.slot());
        let watcher = Watcher::configapi(query, watch, Selection::Name(name.clone())).await?;
        let sets = NumberedSets::new(spec, command, set, SetKind::Configapi, vec![name]);
        Ok(Self { sets, watcher, number: 0 })
    }

    pub(super) async fn etcd(
        spec: &Spec,
        place: Place,
        channel: Channel,
        put: Method,
        watch: &Method,
    ) -> Result<Self, CallError> {
        let name = Keys::name(place.slot());
        let watcher = Watcher::etcd(&mut channel.clone(), watch, name.clone(), false).await?;
        let sets = NumberedSets::new(spec, channel, put, SetKind::Etcd, vec![name]);
        Ok(Self { sets, watcher, number: 0 })
    }

    pub(super) async fn perform(&mut self) -> Result<Done, CallError> {
        self.number += 1;
        let (sets, watcher) = (&mut self.sets, &mut self.watcher);
        let ((), ended) = tokio::try_join!(sets.set(self.number), watcher.wait_for(self.number))?;
        Ok(Done { operations: 1, ended })
    }
}

#[derive(Debug, Clone, Copy)]
enum SetKind {
    Configapi,
    Etcd,
}

/// Sets whose values carry a number, on one config after the other.
#[derive(Debug)]
pub struct NumberedSets {
    channel: Channel,
    method: Method,
    kind: SetKind,
    names: std::iter::Cycle<std::vec::IntoIter<String>>,
    values: Values,
}

impl NumberedSets {
    fn new(
        spec: &Spec,
        channel: Channel,
        method: Method,
        kind: SetKind,
        names: Vec<String>,
    ) -> Self {
        let (names, values) = (
            names.into_iter().cycle(),
            Values::new(spec.value_bytes, Dice::of_slot(0, spec.round)),
        );
        Self { channel, method, kind, names, values }
    }

    /// Sets the next config to a value with this number.
    pub async fn set(&mut self, number: u64) -> Result<(), CallError> {
        let name = self.names.next().unwrap_or_default();
        let value = self.values.with_number(number).to_owned();
        match self.kind {
            SetKind::Configapi => {
                let request = frame(&SetRequest { name, value, ..SetRequest::default() });
                let response: SetResponse = self.channel.unary(&self.method, request).await?;
                receipt_of(response).map(|_receipt| ())
            }
            SetKind::Etcd => {
                let request = frame(&messages::put(name, value));
                self.channel.count(&self.method, request).await.map(|_bytes| ())
            }
        }
    }
}

/// The watchers of a fan-out, spread over the connections.
pub async fn watchers(spec: &Spec) -> anyhow::Result<Vec<Watcher>> {
    let (server, path) = match spec.target {
        Target::Configapi { query, .. } => (query, configapi::WATCH),
        Target::Etcd(server) => (server, etcd::WATCH),
        Target::Rest(_) => return unknown(spec),
    };
    let watch = method(server, path)?;
    let mut channels = Vec::new();
    for _ in 0..spec.connections {
        channels.push(Channel::connect(server).await?);
    }
    let mut watchers = Vec::new();
    for index in 0..spec.watchers {
        let on = index % channels.len().max(1);
        let Some(channel) = channels.get_mut(on) else { break };
        let prefix = FAN_OUT_PREFIX.to_owned();
        watchers.push(match spec.target {
            Target::Etcd(_) => Watcher::etcd(channel, &watch, prefix, true).await?,
            _ => Watcher::configapi(channel, &watch, Selection::Prefix(prefix)).await?,
        });
    }
    Ok(watchers)
}

/// The sets that the watchers of a fan-out are told of.
pub async fn numbered_sets(spec: &Spec) -> anyhow::Result<NumberedSets> {
    let (server, path, kind): (SocketAddr, _, _) = match spec.target {
        Target::Configapi { command, .. } => (command, configapi::SET, SetKind::Configapi),
        Target::Etcd(server) => (server, etcd::PUT, SetKind::Etcd),
        Target::Rest(_) => return unknown(spec),
    };
    let names = (0..FAN_OUT_KEYS).map(|index| format!("{FAN_OUT_PREFIX}{index:03}")).collect();
    let channel = Channel::connect(server).await?;
    Ok(NumberedSets::new(spec, channel, method(server, path)?, kind, names))
}
