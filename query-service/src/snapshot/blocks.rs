//! A file as a chain of blocks: each checksum covers its block and the checksum before it, so that
//! no bit can change, and no block be lost, added or moved, without the file being refused.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};

use super::SnapshotError;

/// What every snapshot begins with.
const MAGIC: &[u8; 8] = b"CFGAPISN";
/// The largest block that is read. One event fits into a block in any case.
const MAX_BLOCK_BYTES: usize = 8 << 20;
const CHECKSUM_BYTES: usize = 32;
/// The kind and the length.
const HEAD_BYTES: usize = 1 + 4;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    Keys = 2,
    Events = 3,
    Footer = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Header, Self::Keys, Self::Events, Self::Footer]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

fn checksum(before: &[u8; CHECKSUM_BYTES], head: &[u8], payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    Sha256::new().chain_update(before).chain_update(head).chain_update(payload).finalize().into()
}

/// Writes blocks.
#[derive(Debug)]
pub(super) struct BlockWriter<W> {
    to: W,
    chain: [u8; CHECKSUM_BYTES],
    bytes: u64,
}

impl<W: Write> BlockWriter<W> {
    pub fn new(mut to: W) -> Result<Self, SnapshotError> {
        to.write_all(MAGIC)?;
        Ok(Self { to, chain: [0; CHECKSUM_BYTES], bytes: MAGIC.len() as u64 })
    }

    pub fn write(&mut self, kind: Kind, payload: &[u8]) -> Result<(), SnapshotError> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length as usize <= MAX_BLOCK_BYTES)
            .ok_or(SnapshotError::Damaged("a block would be too large"))?;
        let mut head = [kind as u8; HEAD_BYTES];
        head[1..].copy_from_slice(&length.to_be_bytes());
        self.chain = checksum(&self.chain, &head, payload);
        self.to.write_all(&head)?;
        self.to.write_all(payload)?;
        self.to.write_all(&self.chain)?;
        self.bytes += (HEAD_BYTES + payload.len() + CHECKSUM_BYTES) as u64;
        Ok(())
    }

    /// What was written to, and how many bytes.
    pub fn finish(self) -> (W, u64) {
        (self.to, self.bytes)
    }
}

/// Reads blocks, and refuses the first that is not as it was written.
#[derive(Debug)]
pub(super) struct BlockReader<R> {
    from: R,
    chain: [u8; CHECKSUM_BYTES],
    payload: Vec<u8>,
}

impl<R: Read> BlockReader<R> {
    pub fn new(mut from: R) -> Result<Self, SnapshotError> {
        let mut magic = [0; MAGIC.len()];
        fill(&mut from, &mut magic)?;
        if &magic != MAGIC {
            return Err(SnapshotError::Damaged("it does not begin like a snapshot"));
        }
        Ok(Self { from, chain: [0; CHECKSUM_BYTES], payload: Vec::new() })
    }

    /// The next block.
    pub fn next(&mut self) -> Result<(Kind, &[u8]), SnapshotError> {
        let mut head = [0; HEAD_BYTES];
        fill(&mut self.from, &mut head)?;
        let [byte, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let kind = Kind::from_byte(byte).filter(|_| length <= MAX_BLOCK_BYTES);
        let kind = kind.ok_or(SnapshotError::Damaged("a block is not one"))?;
        self.payload.resize(length, 0);
        fill(&mut self.from, &mut self.payload)?;
        let mut found = [0; CHECKSUM_BYTES];
        fill(&mut self.from, &mut found)?;
        self.chain = checksum(&self.chain, &head, &self.payload);
        if found != self.chain {
            return Err(SnapshotError::Damaged("a checksum does not fit"));
        }
        Ok((kind, &self.payload))
    }

    /// Refuses what comes after the last block.
    pub fn end(mut self) -> Result<(), SnapshotError> {
        match self.from.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(SnapshotError::Damaged("something follows its end")),
        }
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<(), SnapshotError> {
    from.read_exact(buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => SnapshotError::Damaged("it ends too early"),
        _ => SnapshotError::Io(error),
    })
}
