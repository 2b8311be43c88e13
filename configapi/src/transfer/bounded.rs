//! A file of which only so much is read from one config to the next. Whoever reads it keeps at most that
//! in memory, also of a file that is none of configs.

use std::cell::Cell;
use std::io::{self, BufRead, ErrorKind, Read};
use std::rc::Rc;

/// The most bytes from one config to the next: the largest value, each character of it escaped in as many
/// as any form has for one, and room for comments.
const MAX_BYTES: usize = 32 << 20;

/// How much may be read before the next config. Clones are the same.
#[derive(Debug, Clone)]
pub struct Allowance(Rc<Cell<usize>>);

impl Allowance {
    /// A config was read.
    pub fn renew(&self) {
        self.0.set(MAX_BYTES);
    }
}

/// A file that is read within an allowance.
#[derive(Debug)]
pub struct Bounded<R> {
    input: R,
    left: Allowance,
}

impl<R> Bounded<R> {
    /// From the beginning.
    pub fn new(input: R) -> Self {
        Self { input, left: Allowance(Rc::new(Cell::new(MAX_BYTES))) }
    }

    /// What bounds it.
    pub fn allowance(&self) -> Allowance {
        self.left.clone()
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.input.fill_buf()?;
        let left = self.left.0.get();
        if left == 0 && !bytes.is_empty() {
            let why = format!(
                "more than {} MiB of it come to no config; a single line of YAML is read as a whole",
                MAX_BYTES >> 20
            );
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        Ok(&bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left.0.set(self.left.0.get().saturating_sub(amount));
        self.input.consume(amount);
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
