//! What the tests share: a writer that keeps the rules, a log that can be broken, a server on it.

mod faulty;
mod server;
mod writer;

pub use faulty::FaultyLog;
pub use server::{Frames, Server, at_least, eventually, linearizable, quick, reason_of, token_of};
pub use writer::{Op, Writer, key, memory_log};
