//! What is read from the file before it can be sent: some changes at a time, bounded by what they weigh.

use configapi_proto::v1::SetRequest;
use tokio::sync::mpsc;

/// Changes that are handed over together.
pub type Batch = Vec<SetRequest>;

/// Most changes in a batch, and how many bytes of values make it full. One value may lie over that.
const MAX_BATCH: usize = 64;
const FULL_BYTES: usize = 256 << 10;
/// Batches that may wait to be sent.
const BATCHES_AHEAD: usize = 4;

/// Where batches are read from, and how they come there.
pub fn channel() -> (Ahead, mpsc::Receiver<Batch>) {
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    (Ahead { sender, batch: Batch::new(), bytes: 0 }, batches)
}

/// Gathers changes to batches.
#[derive(Debug)]
pub struct Ahead {
    sender: mpsc::Sender<Batch>,
    batch: Batch,
    bytes: usize,
}

impl Ahead {
    /// Takes one more; waits if too much was read already. Says whether more is wanted.
    pub fn push(&mut self, change: SetRequest) -> bool {
        self.bytes += change.value.len();
        self.batch.push(change);
        let is_full = self.batch.len() >= MAX_BATCH || self.bytes >= FULL_BYTES;
        !is_full || self.flush()
    }

    /// Hands over what there is.
    pub fn flush(&mut self) -> bool {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        batch.is_empty() || self.sender.blocking_send(batch).is_ok()
    }
}
