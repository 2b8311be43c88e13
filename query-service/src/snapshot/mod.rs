//! Snapshots of the projection on the local disk, so that a start does not have to read the whole
//! log. A snapshot is a cache: it is used only if every byte of it is as written and the log itself
//! confirms where it stands.

mod blocks;
mod dir;
mod event;
mod file;
mod keeper;
mod texts;

use std::io;
use std::path::{Path, PathBuf};

use configapi_domain::{Position, Timestamp};
use configapi_event_log::{Epoch, Hash, LogId};

pub use self::dir::is_named_as_one;
pub(crate) use self::dir::{Candidate, Listing, SnapshotDir, Unseen};
pub(crate) use self::file::load;
pub(crate) use self::keeper::{Keeper, KeeperSettings};

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("the file cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// The file is there and cannot be opened, so that nothing is known of it: it may well be whole.
    #[error("the file cannot be opened: {0}")]
    Unopened(#[source] io::Error),
    /// The file is not a snapshot, or not as it was written.
    #[error("the file is not a whole snapshot: {0}")]
    Damaged(&'static str),
    /// Another server writes its snapshots to this directory.
    #[error("another server writes its snapshots to {0}; each needs a directory of its own")]
    Taken(PathBuf),
    /// The file was written by a program of another version.
    #[error("the snapshot has the form {0}, which this program does not read")]
    OtherForm(u32),
}

/// What a snapshot says about itself, after all of it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The version of its form.
    pub form: u32,
    /// The log that it is of.
    pub log_id: LogId,
    /// The epoch that the log was in.
    pub epoch: Epoch,
    /// The last position that it holds.
    pub position: Position,
    /// The hash of the event at that position.
    pub hash: Hash,
    /// When that event was recorded.
    pub recorded_at: Timestamp,
    /// How many configs it holds, deleted ones included.
    pub configs: u64,
    /// How many events it holds.
    pub events: u64,
}

/// Reads a whole snapshot, checks every byte of it, and tells what it says about itself.
pub fn inspect(path: &Path) -> Result<SnapshotInfo, SnapshotError> {
    let header = file::read_header(path)?;
    let counts = load(path)?.state().counts();
    Ok(SnapshotInfo {
        path: path.to_owned(),
        bytes: std::fs::metadata(path)?.len(),
        form: file::FORM,
        log_id: header.log_id,
        epoch: header.epoch,
        position: header.anchor.position,
        hash: header.anchor.hash,
        recorded_at: header.anchor.recorded_at,
        configs: counts.live + counts.deleted,
        events: counts.versions,
    })
}
