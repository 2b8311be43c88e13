//! What is asked of etcd: the same, in its own words.

use std::net::SocketAddr;

use anyhow::Context as _;

use super::{
    Place, Slot, Workload,
    configapi::{share, values},
    method,
    slot::{NextRequest, Unary},
    unknown,
    watch::SetThenWatch,
};
use crate::{
    keys::Keys,
    load::Spec,
    wire::{Channel, frame},
};

pub(super) const PUT: &str = "/etcdserverpb.KV/Put";
pub(super) const TXN: &str = "/etcdserverpb.KV/Txn";
pub(super) const WATCH: &str = "/etcdserverpb.Watch/Watch";
const RANGE: &str = "/etcdserverpb.KV/Range";

/// The slots of one connection.
pub(super) async fn slots(
    spec: &Spec,
    server: SocketAddr,
    places: impl Iterator<Item = Place>,
) -> anyhow::Result<Vec<Slot>> {
    let channel = Channel::connect(server).await.context("no etcd")?;
    let range = method(server, RANGE)?;
    let put = method(server, PUT)?;
    let mut slots = Vec::new();
    for place in places {
        let gets = |serializable| Unary::new(&channel, &range, 1, gets(spec, place, serializable));
        let puts = |requests| Unary::new(&channel, &put, 1, requests);
        slots.push(match spec.workload {
            Workload::Get => Slot::Unary(gets(true)),
            Workload::GetLinearizable => Slot::Unary(gets(false)),
            Workload::List => Slot::Unary(Unary::new(&channel, &range, 1, lists(spec, place))),
            Workload::Set => Slot::Unary(puts(distinct_puts(spec, place))),
            Workload::SetHot => Slot::Unary(puts(hot_puts(spec, place))),
            Workload::Mixed => Slot::Mixed {
                often: gets(true),
                seldom: puts(distinct_puts(spec, place)),
                dice: place.dice(),
            },
            Workload::SetWatch => {
                let watch = method(server, WATCH)?;
                let watching =
                    SetThenWatch::etcd(spec, place, channel.clone(), put.clone(), &watch);
                Slot::SetThenWatch(Box::new(watching.await?))
            }
            _ => return unknown(spec),
        });
    }
    Ok(slots)
}

fn gets(spec: &Spec, place: Place, serializable: bool) -> NextRequest {
    let (keys, mut dice) = (spec.keys, place.dice());
    Box::new(move || {
        let key = Keys::name(dice.below(keys)).into_bytes();
        frame(&crate::etcd::RangeRequest { key, serializable, ..Default::default() })
    })
}

/// Serializable, the cheaper of the two, because our own list asks for no more.
fn lists(spec: &Spec, place: Place) -> NextRequest {
    let (keys, mut dice) = (Keys { count: spec.keys }, place.dice());
    Box::new(move || {
        let prefix = Keys::prefix(dice.below(keys.groups()));
        let (key, range_end) = messages::prefix(prefix);
        let request = crate::etcd::RangeRequest { key, range_end, limit: 0, serializable: true };
        frame(&request)
    })
}

fn distinct_puts(spec: &Spec, place: Place) -> NextRequest {
    let (mut share, mut values) = (share(spec, place), values(spec, place));
    Box::new(move || {
        let name = Keys::name(share.next_index());
        frame(&messages::put(name, values.next_value().to_owned()))
    })
}

fn hot_puts(spec: &Spec, place: Place) -> NextRequest {
    let mut values = values(spec, place);
    Box::new(move || frame(&messages::put(Keys::name(0), values.next_value().to_owned())))
}

/// Messages that more than one place needs.
pub(super) mod messages {
    use crate::etcd::{PutRequest, WatchCreateRequest, WatchRequest, watch_request::RequestUnion};

    pub fn put(key: String, value: String) -> PutRequest {
        PutRequest { key: key.into_bytes(), value: value.into_bytes() }
    }

    pub fn watch(key: String, is_prefix: bool) -> WatchRequest {
        let (key, range_end) = if is_prefix { prefix(key) } else { (key.into_bytes(), Vec::new()) };
        let create = RequestUnion::CreateRequest(WatchCreateRequest { key, range_end });
        WatchRequest { request_union: Some(create) }
    }

    /// The keys with a prefix: from the prefix to the prefix with its last byte raised.
    pub fn prefix(prefix: String) -> (Vec<u8>, Vec<u8>) {
        let key = prefix.into_bytes();
        let mut range_end = key.clone();
        if let Some(last) = range_end.last_mut() {
            *last = last.saturating_add(1);
        }
        (key, range_end)
    }
}
