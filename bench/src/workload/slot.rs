//! A slot does one thing over and over. A closed set of kinds, so that a load needs no allocation to
//! run them.

use std::{fmt, time::Instant};

use bytes::Bytes;
use configapi_proto::v1::SetResponse;

use super::watch::SetThenWatch;
use super::{bulk::BulkStream, configapi::CompareAndSet, configapi::SetThenGet, rest::RestCall};
use crate::{
    keys::Dice,
    wire::{CallError, Channel, Method},
};

/// What came of doing it once.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// How many operations it was.
    pub operations: u64,
    /// When it was done.
    pub ended: Instant,
}

impl Done {
    /// These operations, done now.
    pub fn now(operations: u64) -> Self {
        Self { operations, ended: Instant::now() }
    }
}

/// Something that is done over and over.
#[derive(Debug)]
pub enum Slot {
    /// One call.
    Unary(Unary),
    /// Nine calls of one kind for each call of another.
    Mixed {
        /// The frequent calls.
        often: Unary,
        /// The rare calls.
        seldom: Unary,
        /// Which one is next.
        dice: Dice,
    },
    /// A set with the version expected.
    CompareAndSet(CompareAndSet),
    /// A set, then a get that must see it.
    SetThenGet(SetThenGet),
    /// A set, and the watch that tells of it.
    SetThenWatch(Box<SetThenWatch>),
    /// The next acknowledgement of a stream of sets.
    Bulk(BulkStream),
    /// One REST call.
    Rest(RestCall),
}

impl Slot {
    /// Does it once.
    pub async fn perform(&mut self) -> Result<Done, CallError> {
        match self {
            Self::Unary(call) => call.perform().await,
            Self::Mixed { often, seldom, dice } => match dice.below(10) {
                0 => seldom.perform().await,
                _ => often.perform().await,
            },
            Self::CompareAndSet(call) => call.perform().await,
            Self::SetThenGet(calls) => calls.perform().await,
            Self::SetThenWatch(calls) => calls.perform().await,
            Self::Bulk(stream) => stream.perform().await,
            Self::Rest(call) => call.perform().await,
        }
    }
}

/// Makes the next request, framed.
pub(super) type NextRequest = Box<dyn FnMut() -> Bytes + Send>;

/// One call whose answer is only counted: it is measured how fast the server answers, and not how
/// fast this client decodes.
pub struct Unary {
    channel: Channel,
    method: Method,
    next_request: NextRequest,
    operations: u64,
}

impl fmt::Debug for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unary").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Unary {
    /// A call that counts as so many operations.
    pub(super) fn new(
        channel: &Channel,
        method: &Method,
        operations: u64,
        next_request: NextRequest,
    ) -> Self {
        Self { channel: channel.clone(), method: method.clone(), next_request, operations }
    }

    async fn perform(&mut self) -> Result<Done, CallError> {
        let request = (self.next_request)();
        self.channel.count(&self.method, request).await?;
        Ok(Done::now(self.operations))
    }
}

/// The version and the token that a set resulted in.
pub(super) fn receipt_of(response: SetResponse) -> Result<(u64, String), CallError> {
    let receipt = response.receipt.ok_or(CallError::Wrong("a set without a receipt"))?;
    Ok((receipt.version, receipt.token))
}
