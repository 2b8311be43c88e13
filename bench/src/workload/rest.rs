//! What is asked of the REST gateway. One connection has one request in flight, as HTTP/1.1 has it.

use std::{fmt::Write as _, net::SocketAddr};

use anyhow::Context as _;

use super::{
    Done, Place, Slot, Workload,
    configapi::{share, values},
    unknown,
};
use crate::{
    keys::{Dice, Keys, Share, Values},
    load::Spec,
    wire::{CallError, HttpConnection},
};

/// The slots of as many connections as are asked for.
pub(super) async fn slots(
    spec: &Spec,
    server: SocketAddr,
    places: impl Iterator<Item = Place>,
) -> anyhow::Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for place in places {
        let what = match spec.workload {
            Workload::RestGet => What::Get { keys: spec.keys, dice: place.dice() },
            Workload::RestPut => {
                What::Put { share: share(spec, place), values: values(spec, place) }
            }
            _ => return unknown(spec),
        };
        let connection = HttpConnection::connect(server).await.context("no gateway")?;
        let (name, request) = (String::new(), String::new());
        slots.push(Slot::Rest(RestCall { connection, server, what, name, request }));
    }
    Ok(slots)
}

/// One call on a connection of its own.
#[derive(Debug)]
pub struct RestCall {
    connection: HttpConnection,
    server: SocketAddr,
    what: What,
    name: String,
    request: String,
}

#[derive(Debug)]
enum What {
    Get { keys: u64, dice: Dice },
    Put { share: Share, values: Values },
}

impl RestCall {
    pub(super) async fn perform(&mut self) -> Result<Done, CallError> {
        self.request.clear();
        // Writing to a string cannot fail.
        let _ = self.write_request();
        self.connection.exchange(self.request.as_bytes()).await?;
        Ok(Done::now(1))
    }

    fn write_request(&mut self) -> std::fmt::Result {
        let Self { server, what, name, request, .. } = self;
        match what {
            What::Get { keys, dice } => {
                Keys::write_name(name, dice.below(*keys));
                let path = name.replace('/', "%2F");
                write!(request, "GET /v1/config/{path} HTTP/1.1\r\nhost: {server}\r\n\r\n")
            }
            What::Put { share, values } => {
                Keys::write_name(name, share.next_index());
                let path = name.replace('/', "%2F");
                let value = values.next_value();
                // {"value":""} around the value, which needs no escaping.
                let length = value.len() + 12;
                write!(
                    request,
                    "PUT /v1/config/{path} HTTP/1.1\r\nhost: {server}\r\n\
                     content-type: application/json\r\ncontent-length: {length}\r\n\r\n\
                     {{\"value\":\"{value}\"}}"
                )
            }
        }
    }
}
