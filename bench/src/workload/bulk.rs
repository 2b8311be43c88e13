//! A stream of sets that never pauses. What is measured is how many of them the server acknowledges.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use configapi_proto::v1::{SetManyRequest, SetManyResponse, SetRequest};
use h2::SendStream;
use tokio::task::JoinHandle;

use super::{
    Done, Place,
    configapi::{share, values},
};
use crate::{
    keys::{Keys, Share, Values},
    load::Spec,
    wire::{CallError, Channel, Frames, Method, frame_into},
};

/// How many sets are put together before they are handed to the connection.
const SETS_PER_CHUNK: u64 = 64;

/// An open stream of sets.
#[derive(Debug)]
pub struct BulkStream {
    responses: Frames,
    settled: u64,
    sending: JoinHandle<()>,
}

impl BulkStream {
    pub(super) async fn open(
        spec: &Spec,
        place: Place,
        channel: &mut Channel,
        method: &Method,
    ) -> Result<Self, CallError> {
        let mut sets = Sets { share: share(spec, place), values: values(spec, place) };
        let (requests, responses) = channel.stream(method, sets.chunk(), false).await?;
        let sending = tokio::spawn(send(requests, sets));
        Ok(Self { responses, settled: 0, sending })
    }

    /// Waits for the next acknowledgement.
    pub(super) async fn perform(&mut self) -> Result<Done, CallError> {
        let response: SetManyResponse =
            self.responses.next().await?.ok_or(CallError::Wrong("the server ended the stream"))?;
        if !response.failures.is_empty() {
            return Err(CallError::Wrong("a set of the stream was refused"));
        }
        let operations = response.settled_items.saturating_sub(self.settled);
        self.settled = response.settled_items;
        Ok(Done::now(operations))
    }
}

impl Drop for BulkStream {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

/// Sends as fast as the server lets it. Ends when the stream does; the responses tell why.
async fn send(mut requests: SendStream<Bytes>, mut sets: Sets) {
    loop {
        let mut chunk = sets.chunk();
        while !chunk.is_empty() {
            requests.reserve_capacity(chunk.len());
            let Some(Ok(room)) = poll_fn(|context| requests.poll_capacity(context)).await else {
                return;
            };
            if requests.send_data(chunk.split_to(room.min(chunk.len())), false).is_err() {
                return;
            }
        }
    }
}

#[derive(Debug)]
struct Sets {
    share: Share,
    values: Values,
}

impl Sets {
    fn chunk(&mut self) -> Bytes {
        let mut chunk = BytesMut::new();
        for _ in 0..SETS_PER_CHUNK {
            let name = Keys::name(self.share.next_index());
            let value = self.values.next_value().to_owned();
            let set = Some(SetRequest { name, value, ..SetRequest::default() });
            frame_into(&mut chunk, &SetManyRequest { set });
        }
        chunk.freeze()
    }
}
