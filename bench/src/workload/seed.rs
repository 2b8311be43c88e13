//! Fills a store with what the workloads read.

use std::{future::poll_fn, net::SocketAddr, ops::Range};

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use configapi_proto::v1::{SetManyRequest, SetManyResponse, SetRequest};
use h2::SendStream;

use super::{Target, configapi::SET_MANY, etcd, method};
use crate::{
    etcd::{RequestOp, TxnRequest, request_op::Request},
    keys::{Dice, Keys, VERSIONED_KEYS, VERSIONS, Values},
    wire::{Channel, Frames, frame, frame_into},
};

/// etcd takes no more than 128 by default.
const PUTS_PER_TRANSACTION: u64 = 100;
const SETS_PER_CHUNK: usize = 64;

/// What to fill a store with.
#[derive(Debug, Clone)]
pub struct Fill {
    /// The numbers of the configs to set once.
    pub keys: Range<u64>,
    /// Whether to set those with a history too.
    pub histories: bool,
    /// How many versions to give to each of the configs that have very many.
    pub depths: &'static [u64],
    /// How large the values are.
    pub value_bytes: usize,
}

/// Fills the store behind a target.
pub async fn seed(target: Target, fill: Fill) -> anyhow::Result<()> {
    let mut values = Values::new(fill.value_bytes, Dice::new(fill.keys.start));
    let versions = if fill.histories { VERSIONS } else { 0 };
    let versioned = (0..versions).flat_map(|_version| (0..VERSIONED_KEYS).map(Keys::versioned));
    let deep = fill.depths.iter().flat_map(|&versions| (0..versions).map(move |_| versions));
    let names = fill.keys.map(Keys::name).chain(versioned).chain(deep.map(Keys::deep));
    let pairs = names.map(move |name| (name, values.next_value().to_owned()));
    match target {
        Target::Configapi { command, .. } => by_stream(command, pairs).await,
        Target::Etcd(server) => by_transactions(server, pairs).await,
        Target::Rest(_) => bail!("the store behind REST is filled through its command server"),
    }
}

async fn by_stream(
    server: SocketAddr,
    pairs: impl Iterator<Item = (String, String)> + Send + 'static,
) -> anyhow::Result<()> {
    let mut channel = Channel::connect(server).await.context("no command server")?;
    let set_many = method(server, SET_MANY)?;
    let (requests, responses) = channel.stream(&set_many, Bytes::new(), false).await?;
    let sending = tokio::spawn(send_all(requests, pairs));
    let settled = settled(responses).await;
    let sent = sending.await?;
    match settled? {
        settled if settled == sent => Ok(()),
        settled => bail!("{settled} of {sent} sets were acknowledged"),
    }
}

async fn send_all(
    mut requests: SendStream<Bytes>,
    mut pairs: impl Iterator<Item = (String, String)>,
) -> u64 {
    let mut sent = 0;
    loop {
        let mut chunk = BytesMut::new();
        for (name, value) in pairs.by_ref().take(SETS_PER_CHUNK) {
            let item = SetRequest { name, value, ..SetRequest::default() };
            frame_into(&mut chunk, &SetManyRequest { set: Some(item) });
            sent += 1;
        }
        let is_last = chunk.is_empty();
        let mut chunk = chunk.freeze();
        while !chunk.is_empty() {
            requests.reserve_capacity(chunk.len());
            // The responses tell why.
            let Some(Ok(room)) = poll_fn(|context| requests.poll_capacity(context)).await else {
                return sent;
            };
            if requests.send_data(chunk.split_to(room.min(chunk.len())), false).is_err() {
                return sent;
            }
        }
        if is_last {
            let _ = requests.send_data(Bytes::new(), true);
            return sent;
        }
    }
}

async fn settled(mut responses: Frames) -> anyhow::Result<u64> {
    let mut settled = 0;
    while let Some(response) = responses.next::<SetManyResponse>().await? {
        if let Some(failure) = response.failures.first() {
            bail!("a set was refused: {}", failure.reason);
        }
        settled = response.settled_items;
    }
    Ok(settled)
}

async fn by_transactions(
    server: SocketAddr,
    mut pairs: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<()> {
    let mut channel = Channel::connect(server).await.context("no etcd")?;
    let transact = method(server, etcd::TXN)?;
    let mut seen = std::collections::HashSet::new();
    loop {
        seen.clear();
        let mut success = Vec::new();
        for (name, value) in pairs.by_ref().take(usize::try_from(PUTS_PER_TRANSACTION)?) {
            // etcd refuses two puts on one key in one transaction.
            if seen.insert(name.clone()) {
                let put = Request::RequestPut(etcd::messages::put(name, value));
                success.push(RequestOp { request: Some(put) });
            }
        }
        if success.is_empty() {
            return Ok(());
        }
        channel.count(&transact, frame(&TxnRequest { success })).await?;
    }
}
