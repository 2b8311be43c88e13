//! What the system says of the file before SQLite is asked to open it: whatever keeps it from that,
//! SQLite calls it "unable to open database file". Nothing is opened here: SQLite forgets its locks on a
//! file that is closed under it.

use std::io::{self, ErrorKind};
use std::path::Path;

use configapi_event_log::LogError;
use rustix::fs::{Access, access};

use crate::file::beside;

const READ: Access = Access::READ_OK;
const WRITE: Access = Access::READ_OK.union(Access::WRITE_OK);
/// Of a directory: to make files in it.
const MAKE: Access = Access::WRITE_OK.union(Access::EXEC_OK);

/// For who will write: that the file can be written, or made, and so can those beside it.
pub(crate) fn to_write(path: &Path) -> Result<(), LogError> {
    if !is_file(path)? {
        // Of a link that leads nowhere, SQLite makes what it leads to.
        if path.is_symlink() {
            return Ok(());
        }
        return may("make files in", directory_of(path), MAKE);
    }
    may("write", path, WRITE)?;
    for file in beside(path).map_err(|error| told("look at", path, &error))? {
        if is_file(&file)? {
            may("write", &file, WRITE)?;
        } else {
            may("make files in", directory_of(&file), MAKE)?;
        }
    }
    Ok(())
}

/// For who will read; whether there is a file.
pub(crate) fn to_read(path: &Path) -> Result<bool, LogError> {
    if !is_file(path)? {
        return Ok(false);
    }
    may("read", path, READ)?;
    Ok(true)
}

/// What keeps SQLite from reading a file that nobody has open, if that is a right of ours: it makes two
/// files beside it, in which those who have it open tell each other what they do.
pub(crate) fn missing_to_read(path: &Path) -> Option<String> {
    let beside = beside(path).ok()?;
    let missing = beside.iter().find(|file| !matches!(file.try_exists(), Ok(true)))?;
    let Err(error) = may("make files in", directory_of(missing), MAKE) else { return None };
    Some(format!(
        "{error}; SQLite needs that to read a file that nobody has open: run this as the user whose \
         file it is, or read a copy of it with its -wal, if there is one"
    ))
}

fn is_file(path: &Path) -> Result<bool, LogError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(LogError::Unusable(format!("{} is a directory", path.display())))
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(told("look at", path, &error)),
    }
}

fn may(what: &str, path: &Path, rights: Access) -> Result<(), LogError> {
    access(path, rights).map_err(|errno| told(what, path, &errno.into()))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Whoever is refused will be again; what else there is may pass.
fn told(what: &str, path: &Path, error: &io::Error) -> LogError {
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidFilename => LogError::Unusable(text),
        _ => LogError::Unavailable(text),
    }
}
