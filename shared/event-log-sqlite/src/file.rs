//! Whether the files that are open still are those that their paths name: the database's own, and the
//! write-ahead log and its index beside it, where SQLite keeps what was committed last. Any that was
//! removed, or that another one took the place of, takes writes as ever, and all of them are lost with
//! the process.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use configapi_event_log::LogError;

/// The files that were opened.
#[derive(Debug)]
pub(crate) struct OpenFile {
    files: [Named; 3],
    /// Set if it is read as one that nobody writes.
    still: Option<Still>,
}

/// A file that nobody has open, as it was then. Whoever writes it makes a write-ahead log first, which
/// stays until all of it is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Still {
    bytes: u64,
    modified: SystemTime,
}

impl Still {
    /// None if somebody may have the file at this path open, or had it open and did not end well.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let still = Self { bytes: file.len(), modified: file.modified().ok()? };
        let is_missing = |path: &PathBuf| matches!(path.try_exists(), Ok(false));
        beside(path).is_ok_and(|beside| beside.iter().all(is_missing)).then_some(still)
    }
}

/// A file, by the name that it was opened under.
#[derive(Debug)]
struct Named {
    path: PathBuf,
    /// Known from when there was such a file.
    number: OnceLock<Number>,
}

/// What makes a file that one, whatever its name. Its number is not given to another one as long as
/// it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    device: u64,
    inode: u64,
}

impl Number {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Where files have no such numbers, one that is open cannot be removed either.
    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self { device: 0, inode: 0 })
    }
}

impl OpenFile {
    /// For the database at this path, once a connection has read from it: that is when SQLite makes
    /// the other two, if they are not there, and they stay until the last connection of any process is
    /// closed. A copy that `VACUUM INTO` made has none until its first writer comes.
    pub(crate) fn at(path: &Path, still: Option<Still>) -> Result<Self, LogError> {
        let [write_ahead_log, index] =
            beside(path).map_err(|error| cannot_look_at(path, &error))?;
        let open = Self { files: [path.to_owned(), write_ahead_log, index].map(Named::at), still };
        open.check()?;
        Ok(open)
    }

    /// Looks whether the paths name them still. Costs a few microseconds, so it is asked before each
    /// use, and before a commit is told of.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        self.files.iter().try_for_each(Named::check)
    }

    /// For what was just read of it: that nobody wrote the file meanwhile, if it is read as one that
    /// nobody writes.
    pub(crate) fn check_still(&self) -> Result<(), LogError> {
        let (Some(_), [file, ..]) = (self.still, &self.files) else { return Ok(()) };
        if Still::at(&file.path) == self.still {
            return Ok(());
        }
        let path = file.path.display();
        Err(LogError::Unavailable(format!("{path} was opened to be written while it was read")))
    }

    /// Whether SQLite may close the last connection, for which it moves the write-ahead log that it has
    /// open into the file, and removes what has the log's name. It does so only if no other process has
    /// the file open; whatever took a name may be what such a process left behind.
    pub(crate) fn may_be_closed(&self) -> bool {
        let [file, beside @ ..] = &self.files;
        file.check().is_ok() && beside.iter().all(|it| it.check().is_ok() || it.is_missing())
    }
}

/// Whether there is more than nothing in the file at this path, and nothing in a write-ahead log beside
/// it. Nothing is opened: SQLite forgets its locks on a file that is closed under it.
pub(crate) fn stands_alone(path: &Path) -> bool {
    holds_bytes(path)
        && !beside(path).is_ok_and(|[write_ahead_log, _]| holds_bytes(&write_ahead_log))
}

/// Makes a file for its owner alone, where there is none: it will hold all values. SQLite takes one that
/// is empty for its own, and gives those beside it the same rights. Made without being opened, for the
/// reason above; what hinders it SQLite will find and tell.
pub(crate) fn make_private(path: &Path) {
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let _ = mknodat(CWD, path, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0);
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    let _ = path;
}

fn holds_bytes(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

/// The write-ahead log and its index. They are beside the file itself, not beside a link to it.
pub(crate) fn beside(path: &Path) -> io::Result<[PathBuf; 2]> {
    let path = std::fs::canonicalize(path)?;
    Ok(["-wal", "-shm"].map(|end| with_end(&path, end)))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// A file beside one that is about to be made, until a log has begun in it. A database that SQLite has
/// just made is empty, and so is one whose write-ahead log was left behind: this tells which it is, if
/// whoever makes it is killed in between.
#[derive(Debug)]
pub(crate) struct Mark(PathBuf);

impl Mark {
    pub(crate) fn beside(path: &Path) -> Self {
        Self(with_end(path, "-begun"))
    }

    pub(crate) fn is_there(&self) -> bool {
        matches!(self.0.try_exists(), Ok(true))
    }

    /// Says that there is nothing at the path, if so, and that whoever comes may begin there.
    pub(crate) fn set_if_empty(&self, path: &Path) -> Result<(), LogError> {
        if holds_bytes(path) {
            return Ok(());
        }
        let made = std::fs::File::create(&self.0);
        made.map(drop).map_err(|error| self.cannot("make", &error))
    }

    /// For when a log has begun. Several may have been about to begin it.
    pub(crate) fn remove(&self) -> Result<(), LogError> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.cannot("remove", &error)),
            _ => Ok(()),
        }
    }

    fn cannot(&self, what: &str, error: &io::Error) -> LogError {
        LogError::Unavailable(format!("cannot {what} the file {}: {error}", self.0.display()))
    }
}

impl Named {
    fn at(path: PathBuf) -> Self {
        Self { path, number: OnceLock::new() }
    }

    fn is_missing(&self) -> bool {
        matches!(self.path.try_exists(), Ok(false))
    }

    fn check(&self) -> Result<(), LogError> {
        match Number::of(&self.path) {
            Ok(number) if number == *self.number.get_or_init(|| number) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && self.number.get().is_none() => {
                Ok(())
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(cannot_look_at(&self.path, &error))
            }
            Ok(_) | Err(_) => Err(LogError::Unusable(format!(
                "the file {} was removed or replaced while it was open; restart the server",
                self.path.display()
            ))),
        }
    }
}

fn cannot_look_at(path: &Path, error: &io::Error) -> LogError {
    LogError::Unavailable(format!("cannot look at the file {}: {error}", path.display()))
}
