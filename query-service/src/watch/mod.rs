//! Watch: the exact slice of the log that matches, as a stream. Every watcher reads from the log
//! behind a cursor of its own, and only when its client takes the next frame: a slow one holds back
//! nobody and nothing is kept for it.

mod request;
mod scan;
mod seat;
mod watcher;

pub(crate) use self::watcher::FrameStream;
