//! A file that is only good as a whole: under its name when it is complete and on the disk, and not
//! before. What is no regular file, such as a pipe with a name, is written into as it comes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};

use configapi_runtime::shutdown::Lifecycle;
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// The most links that lead from one to the other.
const MAX_LINKS: usize = 40;
/// What a database of SQLite begins with.
const DATABASE: &[u8] = b"SQLite format 3\0";
/// What the log beside one begins with, which holds its newest changes.
const WRITE_AHEAD_LOGS: [&[u8]; 2] = [&[0x37, 0x7f, 0x06, 0x82], &[0x37, 0x7f, 0x06, 0x83]];

/// Whether two paths lead to one file, which need not be there yet.
pub fn is_one_place(one: &Path, other: &Path) -> bool {
    place(one) == place(other)
}

/// A file that is only good as a whole.
#[derive(Debug)]
pub struct WholeFile(Kind);

#[derive(Debug)]
enum Kind {
    /// It takes the place of the file at the path when it is complete; until then it goes away with
    /// this, also when the process is told to end.
    Draft { draft: NamedTempFile<File>, path: PathBuf, life: Lifecycle },
    /// A pipe or a device, which cannot be replaced.
    Stream(File),
}

impl WholeFile {
    /// Opens what the path leads to. Drafts have names that begin like this.
    pub fn open(path: &Path, draft_prefix: &str) -> io::Result<Self> {
        let path = match fs::metadata(path) {
            Ok(found) if found.is_file() => {
                must_be_no_database(&mut File::open(path)?)?;
                fs::canonicalize(path)?
            }
            // It may keep us waiting for its reader, so nobody listens to signals instead of the
            // system yet.
            Ok(_) => return File::options().write(true).open(path).map(Kind::Stream).map(Self),
            Err(error) if error.kind() == ErrorKind::NotFound => end_of_links(path)?,
            Err(error) => return Err(error),
        };
        // Before there is a draft that they could leave behind.
        let life = Lifecycle::default();
        life.watch_signals()?;
        let draft = tempfile::Builder::new().prefix(draft_prefix).tempfile_in(directory(&path))?;
        Ok(Self(Kind::Draft { draft, path, life }))
    }

    /// Does the work that fills the file, unless the process is told to end before it is done. What
    /// is dropped with the work leaves no draft behind.
    pub async fn fill<T, W>(self, work: W) -> Result<T, Failure>
    where
        W: AsyncFnOnce(Self) -> Result<T, Failure>,
    {
        let end = match &self.0 {
            Kind::Draft { life, .. } => life.soft().clone(),
            Kind::Stream(_) => return work(self).await,
        };
        end.run_until_cancelled(work(self)).await.unwrap_or_else(|| {
            Err(Failure::try_again("it was told to end before the file was complete")
                .with_hint("nothing was kept of it, and nothing was replaced"))
        })
    }

    /// All is written: gives it its name. A new file is for its owner alone: values may be secret.
    /// One that was there stays as open.
    pub fn complete(self) -> io::Result<()> {
        let Kind::Draft { draft, path, life: _ } = self.0 else { return Ok(()) };
        if let Ok(before) = fs::metadata(&path) {
            draft.as_file().set_permissions(before.permissions())?;
        }
        draft.as_file().sync_all()?;
        draft.persist(&path).map_err(|error| error.error)?;
        File::open(directory(&path))?.sync_all()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Draft { draft, .. } => draft.write(bytes),
            Kind::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Draft { draft, .. } => draft.flush(),
            Kind::Stream(stream) => stream.flush(),
        }
    }
}

/// Refuses a file that holds a database: somebody's store may be in it, and what is asked for is a file
/// to write over.
pub fn must_be_no_database(file: &mut File) -> io::Result<()> {
    let mut start = Vec::new();
    file.take(DATABASE.len() as u64).read_to_end(&mut start)?;
    if start == DATABASE || WRITE_AHEAD_LOGS.iter().any(|log| start.starts_with(log)) {
        return Err(io::Error::other("it is a database, which is not written over"));
    }
    Ok(())
}

/// Where a path leads, whether or not there is anything yet, as far as that can be told.
pub fn place(path: &Path) -> PathBuf {
    let end = || {
        let end = end_of_links(path).ok()?;
        Some(fs::canonicalize(directory(&end)).ok()?.join(end.file_name()?))
    };
    fs::canonicalize(path).ok().or_else(end).unwrap_or_else(|| path.to_owned())
}

/// Where a path leads that leads to nothing yet: links stay, and what they name is made.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = directory(&path).join(target),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links lead from one to the other"))
}

/// The same path with something after it.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Where a file of this path lies.
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
