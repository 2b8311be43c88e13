//! What the load asks for, and of whom. Every workload is made of slots that the load runs without
//! knowing what they do.

mod bulk;
mod configapi;
mod etcd;
mod rest;
mod seed;
mod slot;
mod watch;

use std::{fmt, net::SocketAddr};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

pub use self::{
    seed::{Fill, seed},
    slot::{Done, Slot},
    watch::{NumberedSets, Watcher, numbered_sets, watchers},
};
use crate::{
    keys::Dice,
    load::{Part, Spec},
};

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// One config, whatever state the server has.
    Get,
    /// One config, at or after everything acknowledged before.
    GetLinearizable,
    /// The 1,000 configs of a prefix.
    List,
    /// One config as it was at a time in the past.
    AtTime,
    /// The config with 10 versions, as it was at one of them.
    #[serde(rename = "past-of-10")]
    #[value(name = "past-of-10")]
    PastOf10,
    /// The config with 1,000 versions, as it was at one of them.
    #[serde(rename = "past-of-1k")]
    #[value(name = "past-of-1k")]
    PastOf1k,
    /// The config with 100,000 versions, as it was at one of them.
    #[serde(rename = "past-of-100k")]
    #[value(name = "past-of-100k")]
    PastOf100k,
    /// The 10 events of one config.
    History,
    /// Sets, no two in flight on the same config.
    Set,
    /// The same, each with a request id made by chance.
    SetKeyed,
    /// Sets, all on the same config.
    SetHot,
    /// Sets that state the version they expect.
    SetCas,
    /// 100 sets as one; counted as events.
    Apply,
    /// Sets over one stream; counted as events.
    Bulk,
    /// Nine gets for each set.
    Mixed,
    /// From a set until a watch tells of it.
    SetWatch,
    /// A set, then a get of what was set.
    SetGet,
    /// From a set until each of many watchers is told of it.
    FanOut,
    /// One config over REST.
    RestGet,
    /// A set over REST.
    RestPut,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::GetLinearizable => "get-linearizable",
            Self::List => "list",
            Self::AtTime => "at-time",
            Self::PastOf10 => "past-of-10",
            Self::PastOf1k => "past-of-1k",
            Self::PastOf100k => "past-of-100k",
            Self::History => "history",
            Self::Set => "set",
            Self::SetKeyed => "set-keyed",
            Self::SetHot => "set-hot",
            Self::SetCas => "set-cas",
            Self::Apply => "apply",
            Self::Bulk => "bulk",
            Self::Mixed => "mixed",
            Self::SetWatch => "set-watch",
            Self::SetGet => "set-get",
            Self::FanOut => "fan-out",
            Self::RestGet => "rest-get",
            Self::RestPut => "rest-put",
        })
    }
}

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `ConfigApi`, or the echo server that looks like it.
    Configapi {
        /// The command server.
        command: SocketAddr,
        /// The query server.
        query: SocketAddr,
    },
    /// etcd.
    Etcd(SocketAddr),
    /// The REST gateway.
    Rest(SocketAddr),
}

/// The slots of one thread: so many connections, so many slots on each.
pub(crate) async fn slots(spec: &Spec, part: Part) -> anyhow::Result<Vec<Slot>> {
    let of_all = spec.connections * spec.in_flight;
    let mut slots = Vec::new();
    for connection in part.share(spec.connections) {
        let first = connection * spec.in_flight;
        let places =
            (first..first + spec.in_flight).map(|slot| Place { slot, of_all, round: spec.round });
        slots.extend(match spec.target {
            Target::Configapi { command, query } => {
                configapi::slots(spec, command, query, places).await
            }
            Target::Etcd(server) => etcd::slots(spec, server, places).await,
            Target::Rest(server) => rest::slots(spec, server, places).await,
        }?);
    }
    Ok(slots)
}

/// Which slot it is, of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    slot: usize,
    of_all: usize,
    round: u64,
}

impl Place {
    fn dice(self) -> Dice {
        Dice::of_slot(self.slot(), self.round)
    }

    fn slot(self) -> u64 {
        u64::try_from(self.slot).unwrap_or(u64::MAX)
    }

    fn of_all(self) -> u64 {
        u64::try_from(self.of_all).unwrap_or(u64::MAX)
    }
}

fn unknown<T>(spec: &Spec) -> anyhow::Result<T> {
    bail!("{} is nothing that {:?} can be asked for", spec.workload, spec.target)
}

fn method(server: SocketAddr, path: &'static str) -> anyhow::Result<crate::wire::Method> {
    crate::wire::Method::new(server, path).with_context(|| format!("{path} is no method"))
}
