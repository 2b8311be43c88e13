//! The directory of snapshots: which ones there are, how a new one comes in whole or not at all,
//! and how old ones go. The files hold values, so only their owner may read them.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use configapi_domain::Position;
use configapi_event_log::{Epoch, LogId};

use super::SnapshotError;
use super::file::{Header, read_header, write};
use crate::failpoints::BEFORE_RENAME;
use crate::projection::Anchor;
use crate::view::View;

/// How many snapshots are kept.
const KEPT: usize = 2;
const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".cfgsnap";
const UNFINISHED: &str = "unfinished.tmp";

/// Whether a file has the name of a snapshot, as those have that were written to their end.
pub fn is_named_as_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Where snapshots lie. Clones are the same directory.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotDir {
    path: PathBuf,
    covered: Arc<Mutex<Covered>>,
    /// The directory itself, locked by the one process that may write here. The system lets go of it
    /// when that ends, however it ends.
    lock: Arc<Mutex<Option<File>>>,
}

/// How much lies in a snapshot that is known to be good.
#[derive(Debug, Clone, Copy, Default)]
struct Covered {
    /// The last position.
    position: Position,
    /// The generation of states that it is one of.
    generation: u64,
}

/// A snapshot that may be used, if the log confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub path: PathBuf,
    pub bytes: u64,
    pub log_id: LogId,
    /// The epoch that the log was in.
    pub epoch: Epoch,
    pub anchor: Anchor,
}

/// What lies in a directory of snapshots.
#[derive(Debug)]
pub(crate) struct Listing {
    /// All whose header is whole, the one that holds most first.
    pub candidates: Vec<Candidate>,
    /// The others, and what is wrong with each.
    pub damaged: Vec<(PathBuf, SnapshotError)>,
}

/// Why it is not known which snapshots there are, or what they are of.
#[derive(Debug)]
pub(crate) enum Unseen {
    /// They cannot be listed.
    All(io::Error),
    /// This one cannot be opened.
    One(PathBuf, io::Error),
}

impl SnapshotDir {
    /// This directory; it is made if it is not there. Whoever finds another server in it reads what is
    /// there, and writes once that one has ended.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        let dir = Self { path: path.to_owned(), covered: Arc::default(), lock: Arc::default() };
        if let Err(error) = dir.take_lock() {
            tracing::warn!(%error, "no snapshots are written for now");
        }
        Ok(dir)
    }

    /// The last position in a snapshot that is known to be good.
    pub fn covered(&self) -> Position {
        self.lock_covered().position
    }

    /// Remembers that a snapshot up to here is good. One that was begun before such states were dropped
    /// says nothing about those that came after.
    pub fn cover(&self, generation: u64, position: Position) {
        let mut covered = self.lock_covered();
        if generation >= covered.generation {
            *covered = Covered { position, generation };
        }
    }

    fn lock_covered(&self) -> MutexGuard<'_, Covered> {
        self.covered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that no other process writes here, for as long as this one does.
    fn take_lock(&self) -> Result<(), SnapshotError> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            let directory = File::open(&self.path)?;
            match directory.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    return Err(SnapshotError::Taken(self.path.clone()));
                }
                // Where directories cannot be locked, there is none to be had.
                Ok(()) | Err(TryLockError::Error(_)) => *lock = Some(directory),
            }
            // Of a process that was killed.
            drop(Unfinished(self.path.join(UNFINISHED)));
        }
        Ok(())
    }

    /// All snapshots.
    pub fn list(&self) -> Result<Listing, Unseen> {
        let (mut candidates, mut damaged) = (Vec::new(), Vec::new());
        for (path, about) in self.files().map_err(Unseen::All)? {
            match read_header(&path) {
                Ok(header) => {
                    let Header { log_id, epoch, anchor, .. } = header;
                    let bytes = about.len();
                    candidates.push(Candidate { path, bytes, log_id, epoch, anchor });
                }
                Err(SnapshotError::Unopened(error)) => return Err(Unseen::One(path, error)),
                Err(error) => damaged.push((path, error)),
            }
        }
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.anchor.position));
        Ok(Listing { candidates, damaged })
    }

    /// Writes a snapshot of a view and lets go of old ones. Answers how many bytes.
    pub fn write(&self, view: &View) -> Result<u64, SnapshotError> {
        let View { state, log, .. } = view;
        let log_id = log.log_id.ok_or(SnapshotError::Damaged("the log is not known"))?;
        let epoch = log.lineage.current();
        self.take_lock()?;
        let unfinished = Unfinished(self.path.join(UNFINISHED));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&unfinished.0)?;
        let bytes = write(&file, log_id, epoch, state)?;
        file.sync_all()?;
        let position = state.position();
        let name = format!("{PREFIX}{:06}-{:020}{SUFFIX}", epoch.0, position.0);
        let path = self.path.join(name);
        BEFORE_RENAME.pass_blocking().map_err(io::Error::other)?;
        fs::rename(&unfinished.0, &path)?;
        File::open(&self.path)?.sync_all()?;
        self.cover(view.generation, position);
        self.let_go(&path)?;
        Ok(bytes)
    }

    /// Removes all but the one just written and those written last before it. Not those with the
    /// lowest positions: a log that lost its tail has snapshots that are of no use but higher.
    fn let_go(&self, written: &Path) -> io::Result<()> {
        let mut others = Vec::new();
        for (path, about) in self.files()? {
            if path != written {
                others.push((path, about.modified()?));
            }
        }
        others.sort_by_key(|(_, modified)| std::cmp::Reverse(*modified));
        for (path, _) in others.iter().skip(KEPT - 1) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, Metadata)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !is_named_as_one(&entry.path()) {
                continue;
            }
            match entry.metadata() {
                Ok(about) => files.push((entry.path(), about)),
                // Another server has let go of it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }
}

/// A file that is no snapshot yet. Unless it becomes one it takes no room from those who have more need
/// of it.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing depends on it: the next one is written over what is there.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::LogFacts;

    fn view() -> View {
        let log_id = Some(LogId(uuid::Uuid::nil()));
        let view = View::initial();
        let facts = LogFacts { log_id, ..(*view.log).clone() };
        View { log: Arc::new(facts), ..view }
    }

    #[test]
    fn what_is_no_snapshot_yet_takes_no_room_once_nobody_writes_it() {
        let directory = tempfile::tempdir().unwrap();
        let unfinished = directory.path().join(UNFINISHED);
        fs::write(&unfinished, "of a process that was killed").unwrap();
        let dir = SnapshotDir::open(directory.path()).unwrap();
        assert!(!unfinished.exists());

        let name = format!("{PREFIX}{:06}-{:020}{SUFFIX}", 1, 0);
        let in_its_place = directory.path().join(name);
        fs::create_dir(&in_its_place).unwrap();
        dir.write(&view()).unwrap_err();
        assert!(!unfinished.exists());
        fs::remove_dir(&in_its_place).unwrap();
        dir.write(&view()).unwrap();
        assert!(in_its_place.is_file());
    }

    #[test]
    fn a_snapshot_that_was_under_way_when_its_state_was_dropped_covers_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let dir = SnapshotDir::open(directory.path()).unwrap();
        let view = view();
        dir.cover(view.generation, Position(9));
        assert_eq!(dir.covered(), Position(9));

        dir.cover(view.generation + 1, Position(3));
        dir.write(&view).unwrap();
        dir.cover(view.generation, Position(9));
        assert_eq!(dir.covered(), Position(3));
    }
}
