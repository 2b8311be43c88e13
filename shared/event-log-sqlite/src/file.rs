//! Whether the file that is open still is the one that its path names. One that was removed, or that
//! another one took the place of, takes writes as ever, and all of them are lost with the process.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use configapi_event_log::LogError;

/// The file that was opened.
#[derive(Debug)]
pub(crate) struct OpenFile {
    path: PathBuf,
    number: Number,
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
    /// For the file at this path, once a connection has opened it.
    pub(crate) fn at(path: &Path) -> Result<Self, LogError> {
        let number = Number::of(path).map_err(|error| cannot_look_at(path, &error))?;
        Ok(Self { path: path.to_owned(), number })
    }

    /// Looks whether the path names it still. Costs a microsecond, so it is asked before each use.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        match Number::of(&self.path) {
            Ok(number) if number == self.number => Ok(()),
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
