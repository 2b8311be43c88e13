//! What is measured, on whom, in which shape. The whole of it has to fit into ten minutes.

use serde::{Deserialize, Serialize};

use super::subjects::Subject::{self, Echo, Etcd, Postgres, PostgresFew, Sqlite};
use crate::workload::Workload;

/// What a measurement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests.
    Requests,
    /// Events, where one request writes many.
    Events,
    /// Events that reached a watcher.
    Deliveries,
}

/// One measurement, on several subjects side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub id: &'static str,
    pub title: &'static str,
    pub workload: Workload,
    pub connections: usize,
    pub in_flight: usize,
    pub rate_per_second: Option<f64>,
    pub unit: Unit,
    pub subjects: &'static [Subject],
}

const fn closed(
    id: &'static str,
    title: &'static str,
    workload: Workload,
    (connections, in_flight): (usize, usize),
    subjects: &'static [Subject],
) -> Measurement {
    let unit = match workload {
        Workload::Apply | Workload::Bulk => Unit::Events,
        Workload::FanOut => Unit::Deliveries,
        _ => Unit::Requests,
    };
    let rate_per_second = None;
    Measurement { id, title, workload, connections, in_flight, rate_per_second, unit, subjects }
}

const WIDE: (usize, usize) = (8, 32);
const ONE: (usize, usize) = (1, 1);

/// How many configs the store has that is small, for the figures that show how cost grows.
pub(super) const FEW_KEYS: u64 = 1_000;
/// How many it has for most of the measurements.
pub(super) const KEYS: u64 = 100_000;

impl Measurement {
    /// What it is called, with the number of configs if that is its point.
    pub fn title(&self, keys: u64) -> String {
        if self.id.ends_with("-growth") {
            format!("{}, {} configs", self.title, crate::report::grouped(keys))
        } else {
            self.title.to_owned()
        }
    }
}

/// With as many configs as a large installation has.
pub(super) const MAIN: &[Measurement] = &[
    closed("get", "get", Workload::Get, WIDE, &[Echo, Postgres, Sqlite, Etcd]),
    closed("get-one", "get, one at a time", Workload::Get, ONE, &[Echo, Postgres, Etcd]),
    closed(
        "get-linearizable",
        "linearizable get",
        Workload::GetLinearizable,
        WIDE,
        &[Postgres, Sqlite, Etcd],
    ),
    closed("list", "list of 1,000", Workload::List, ONE, &[Echo, Postgres, Etcd]),
    closed("at-time", "at a time in the past", Workload::AtTime, WIDE, &[Echo, Postgres]),
    closed("past-of-10", "in the past, 10 versions", Workload::PastOf10, WIDE, &[Echo, Postgres]),
    closed("past-of-1k", "in the past, 1,000 versions", Workload::PastOf1k, WIDE, &[Postgres]),
    closed(
        "past-of-100k",
        "in the past, 100,000 versions",
        Workload::PastOf100k,
        WIDE,
        &[Postgres],
    ),
    closed("history", "history of 10 events", Workload::History, WIDE, &[Echo, Postgres]),
    closed("set", "set", Workload::Set, WIDE, &[Echo, Postgres, Sqlite, Etcd]),
    closed("set-8x8", "set, fewer at once", Workload::Set, (8, 8), &[Postgres, Etcd]),
    closed("set-one", "set, one at a time", Workload::Set, ONE, &[Postgres, Etcd]),
    closed("set-hot", "set on one config", Workload::SetHot, WIDE, &[Postgres, Etcd]),
    closed("set-cas", "set with expected version", Workload::SetCas, WIDE, &[Postgres]),
    closed("apply", "apply of 100 sets", Workload::Apply, (4, 4), &[Echo, Postgres]),
    closed("bulk", "one stream of sets", Workload::Bulk, ONE, &[Echo, Postgres, Sqlite]),
    closed("mixed", "9 gets for 1 set", Workload::Mixed, WIDE, &[Echo, Postgres, Etcd]),
    closed("set-watch", "set until watched", Workload::SetWatch, ONE, &[Echo, Postgres, Etcd]),
    closed("set-get", "set, then get of it", Workload::SetGet, ONE, &[Echo, Postgres]),
    Measurement {
        rate_per_second: Some(100.0),
        ..closed(
            "fan-out",
            "1,000 watchers, 100 sets/s",
            Workload::FanOut,
            (8, 1),
            &[Echo, Postgres, Etcd],
        )
    },
    closed("rest-get", "REST get", Workload::RestGet, (64, 1), &[Echo, Sqlite]),
    closed("rest-put", "REST put", Workload::RestPut, (64, 1), &[Echo, Sqlite]),
];

/// How cost grows: with few configs and with very many, side by side.
pub(super) const GROWTH: &[Measurement] = &[
    closed("get-growth", "get", Workload::Get, WIDE, &[Echo, PostgresFew, Postgres]),
    closed("list-growth", "list of 1,000", Workload::List, ONE, &[Echo, PostgresFew, Postgres]),
    closed("set-growth", "set", Workload::Set, WIDE, &[Echo, PostgresFew, Postgres]),
];
