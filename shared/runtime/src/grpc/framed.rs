//! The one message of an answer, as a handler wrote it for the wire. Among the extensions of a response it
//! takes the place of the message in it, which the library would copy into a buffer of its own: where the
//! call says that it does.

use bytes::Bytes;

/// What stands before a message: whether it is compressed, and how long it is.
pub const FRAME_BYTES: usize = 1 + size_of::<u32>();

/// A message in its frame, not compressed.
#[derive(Debug, Clone)]
pub struct Framed(Bytes);

impl Framed {
    /// Takes a message that lies behind room for its frame. None, and nothing is taken, if there is no
    /// such room or if the message is longer than a frame can say.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let (frame, message) = bytes.split_at_mut_checked(FRAME_BYTES)?;
        let length = u32::try_from(message.len()).ok()?;
        frame[0] = 0;
        frame[1..].copy_from_slice(&length.to_be_bytes());
        // It may wait long for its client, and room that was taken in advance with it.
        if bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to_fit();
        }
        Some(Self(std::mem::take(bytes).into()))
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }
}
