//! Where an audit worker stands, in a file that is whole at any moment: it is written beside, synced
//! and renamed. Its form is a stored form: what was released is read for ever.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Hash, LogId, Tail};
use serde::{Deserialize, Serialize};

use super::earlier::Earlier;
use crate::failure::Failure;
use crate::operator::verify::parse_hash;
use crate::output::file::{beside, directory, place};

/// What the file calls itself.
const FORM: &str = "configapi-audit-checkpoint";
/// The version of the form: 2 has the events before the last one. Programs that know no more than 1, which
/// has none, refuse it: they would drop them.
const VERSION: u32 = 2;

/// What a checkpoint's file is held by, beside it.
const LOCK: &str = ".lock";
/// What the next one is written to, beside it.
const DRAFT: &str = ".draft";

/// Where a checkpoint is kept: a link stays, and what it names is replaced.
pub fn place_of(path: &Path) -> PathBuf {
    if path.is_symlink() { place(path) } else { path.to_owned() }
}

/// All files of a checkpoint that is kept at this place.
pub fn files_of(path: &Path) -> [PathBuf; 3] {
    [path.to_owned(), beside(path, LOCK), beside(path, DRAFT)]
}

/// The event that was written last, some before it, and whose log they are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's id, as it is written.
    pub log_id: String,
    /// The epoch that the log was in.
    pub epoch: Epoch,
    /// The place after the event.
    pub tail: Tail,
    /// The places after some of those before it; none in a checkpoint of version 1.
    pub earlier: Earlier,
}

impl Checkpoint {
    /// Whether it stands in this log.
    pub fn is_of(&self, log_id: LogId) -> bool {
        self.log_id == log_id.to_string()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    form: String,
    version: u32,
    log_id: String,
    epoch: u64,
    position: u64,
    hash: String,
    earlier: Option<Vec<(u64, String)>>,
}

/// The file, for one worker at a time.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    draft: PathBuf,
    directory: PathBuf,
    /// Held until the process ends, however it ends.
    _lock: File,
}

impl CheckpointFile {
    /// Takes the checkpoint for this process.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |error| Failure::io(&format!("cannot use {}", path.display()), &error);
        let directory = directory(path).to_owned();
        // Whatever is there is somebody's, so nothing in it is touched.
        let mut untouched = File::options();
        untouched.write(true).create(true).truncate(false);
        let lock = untouched.open(beside(path, LOCK)).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("another worker uses {}", path.display());
                return Err(Failure::refused(message)
                    .with_hint("one checkpoint serves one worker; give each its own"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let draft = beside(path, DRAFT);
        Ok(Self { path: path.to_owned(), draft, directory, _lock: lock })
    }

    /// What was saved last; none if nothing ever was.
    pub fn load(&self) -> Result<Option<Checkpoint>, Failure> {
        let shown = self.path.display();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(&format!("cannot read {shown}"), &error)),
        };
        let checkpoint = parse(&text).ok_or_else(|| {
            Failure::refused(format!("{shown} is not a checkpoint that this program reads"))
        })?;
        Ok(Some(checkpoint))
    }

    /// Whether any was ever saved.
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Saves it, durably.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        let cannot = |error| Failure::io(&format!("cannot write {}", self.path.display()), &error);
        self.write(&text_of(checkpoint)).map_err(cannot)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut draft = File::create(&self.draft)?;
        draft.write_all(text.as_bytes())?;
        draft.sync_all()?;
        fs::rename(&self.draft, &self.path)?;
        File::open(&self.directory)?.sync_all()
    }
}

fn text_of(checkpoint: &Checkpoint) -> String {
    let earlier = checkpoint.earlier.places().iter();
    let earlier: Vec<_> =
        earlier.map(|place| (place.position().0, place.hash().to_string())).collect();
    let stored = serde_json::json!({
        "form": FORM,
        "version": VERSION,
        "log_id": checkpoint.log_id,
        "epoch": checkpoint.epoch.0,
        "position": checkpoint.tail.position().0,
        "hash": checkpoint.tail.hash().to_string(),
        "earlier": earlier,
    });
    format!("{stored}\n")
}

fn parse(text: &str) -> Option<Checkpoint> {
    let stored: Stored = serde_json::from_str(text).ok()?;
    let Stored { form, version, log_id, epoch, position, hash, earlier } = stored;
    let earlier = match (version, earlier) {
        (1, None) => Vec::new(),
        (VERSION, Some(earlier)) => earlier,
        _ => return None,
    };
    let place = |(position, hash): (u64, String)| {
        let hash: Hash = parse_hash(&hash)?;
        Some(Tail::after(Position(position), hash))
    };
    let tail = place((position, hash)).filter(|_| form == FORM)?;
    let earlier = earlier.into_iter().map(place).collect::<Option<_>>()?;
    let earlier = Earlier::before(tail.position(), earlier)?;
    Some(Checkpoint { log_id, epoch: Epoch(epoch), tail, earlier })
}
