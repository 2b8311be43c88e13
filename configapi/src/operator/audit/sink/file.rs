//! Records in a file: delivered once they are synced, and the file is still at its path. A file that
//! would get too large is renamed and a new one begun, between two records and never within one; one
//! that somebody else renames or deletes is begun anew as well.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::super::record::BEGINNING;
use super::{Delivery, Lines, Sink};
use crate::failure::Failure;
use crate::output::file::{beside, directory as directory_of, must_be_no_database, place};

/// How much is read at once when the last whole line is looked for.
const LOOK_BACK_BYTES: u64 = 64 << 10;
/// How many digits the number of a renamed file has at least.
const DIGITS: usize = 6;
/// The last number that a renamed file gets. Longer ones are somebody else's: days and times look so.
const MAX_NUMBER: u64 = 9_999_999;

/// How often the file may be taken away under one batch.
const MAX_MOVES: usize = 8;

/// A file that is appended to, by one worker at a time.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    rotate_bytes: u64,
    keep: Option<usize>,
    file: File,
    bytes: u64,
}

impl FileSink {
    /// Opens the file, and cuts off what a crash left of a record. `keep` limits how many renamed
    /// files there are; none keeps them all.
    pub fn open(path: &Path, rotate_bytes: u64, keep: Option<usize>) -> Result<Self, Failure> {
        let opened = open_at_last_line(path).and_then(|opened| {
            sync_directory_of(path)?;
            Ok(opened)
        });
        let (file, bytes) = opened.map_err(|error| cannot("use", path, &error))?;
        Ok(Self { path: path.to_owned(), rotate_bytes, keep, file, bytes })
    }

    /// Writes lines to the file at the path. If it was taken away meanwhile, by `mv` or `rm`, nobody
    /// can say who has read it since, and so they are written again where it should be.
    fn deliver(&mut self, lines: &Lines) -> io::Result<()> {
        for _ in 0..MAX_MOVES {
            if !self.is_at_path()? {
                tracing::info!(path = %self.path.display(), "the file was taken away; a new one");
                self.begin_anew()?;
            }
            if self.write(lines)? && self.is_at_path()? {
                return Ok(());
            }
        }
        Err(io::Error::other("somebody takes it away again and again"))
    }

    /// Whether the file is still what is found at its path; it may have been cut there.
    fn is_at_path(&mut self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        self.bytes = ours.len();
        match fs::metadata(&self.path) {
            Ok(found) => Ok(is_same_file(&ours, &found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        (self.file, self.bytes) = open_at_last_line(&self.path)?;
        sync_directory_of(&self.path)
    }

    /// Whether nobody has taken away a file with some of the lines before it was full.
    fn write(&mut self, lines: &Lines) -> io::Result<bool> {
        for line in lines.bytes.split_inclusive(|byte| *byte == b'\n') {
            let length = line.len() as u64;
            let is_full = self.bytes > 0 && self.bytes + length > self.rotate_bytes;
            if is_full && !self.rotate()? {
                return Ok(false);
            }
            self.file.write_all(line)?;
            self.bytes += length;
        }
        self.file.sync_all()?;
        Ok(true)
    }

    /// Renames the file and begins a new one, unless somebody has taken it away.
    fn rotate(&mut self) -> io::Result<bool> {
        if !self.is_at_path()? {
            return Ok(false);
        }
        // A link stays; what it names is renamed, beside itself.
        let path = place(&self.path);
        let renamed = renamed_files(directory_of(&path), &path)?;
        let next = renamed.last().map_or(1, |(number, _)| number + 1);
        if next > MAX_NUMBER {
            return Err(io::Error::other(
                "there is no number left to rename it to; move the others",
            ));
        }
        let full = beside(&path, &format!(".{next:0DIGITS$}"));
        match fs::rename(&path, &full) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            renamed => renamed?,
        }
        self.begin_anew()?;
        if let Some(keep) = self.keep {
            // The one that was renamed just now is not in the list.
            let surplus = (renamed.len() + 1).saturating_sub(keep);
            for (_, old) in renamed.iter().take(surplus) {
                remove(old)?;
            }
            if keep == 0 {
                remove(&full)?;
            }
        }
        Ok(true)
    }
}

/// Removes a file that nobody is to keep. Somebody else may have been faster.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[async_trait]
impl Sink for FileSink {
    /// Blocks while the disk does: this process has nothing else to do meanwhile.
    async fn deliver(&mut self, lines: &Lines, _: &CancellationToken) -> Result<Delivery, Failure> {
        FileSink::deliver(self, lines).map_err(|error| {
            cannot("write", &self.path, &error)
                .with_hint("nothing is skipped: start it again once the disk is well")
        })?;
        Ok(Delivery::Done)
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    if error.kind() == ErrorKind::WouldBlock {
        return Failure::refused(format!("another worker writes {path}"))
            .with_hint("one file serves one worker; give each its own");
    }
    Failure::io(&format!("cannot {what} {path}"), error)
}

/// Opens a file for appending, after its last whole line, and takes it for this process. A file that is
/// not one of records is left as it is: what follows its last line may be all that it holds.
fn open_at_last_line(path: &Path) -> io::Result<(File, u64)> {
    let mut options = File::options();
    options.read(true).append(true).create(true);
    // A new one is for its owner alone: values may be asked for. One that is there stays as open.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let found = file.metadata()?;
    // Whoever put a pipe there may never read what it is given.
    if !found.is_file() {
        return Err(io::Error::other("something else has taken the place of the file"));
    }
    lock(&file)?;
    must_be_no_database(&mut file)?;
    let length = found.len();
    let mut end = length;
    let mut chunk = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(LOOK_BACK_BYTES);
        file.seek(SeekFrom::Start(from))?;
        chunk.clear();
        (&mut file).take(end - from).read_to_end(&mut chunk)?;
        if let Some(last) = chunk.iter().rposition(|byte| *byte == b'\n') {
            end = from + last as u64 + 1;
            break;
        }
        end = from;
    }
    if end < length {
        let mut start = Vec::new();
        file.seek(SeekFrom::Start(end))?;
        (&mut file).take(BEGINNING.len() as u64).read_to_end(&mut start)?;
        if !BEGINNING.starts_with(&start) {
            return Err(io::Error::other("its last line is unfinished, and is no audit record"));
        }
        tracing::warn!(bytes = length - end, "cutting off a line that a crash left unfinished");
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok((file, end))
}

/// Takes the file until it is closed, however the process ends.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// An open file cannot be taken away here.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// The files that were renamed, oldest first.
fn renamed_files(directory: &Path, path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let Some(name) = path.file_name() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(number) = number_of(&entry.file_name(), name) {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn number_of(found: &OsStr, name: &OsStr) -> Option<u64> {
    let digits = found.to_str()?.strip_prefix(name.to_str()?)?.strip_prefix('.')?;
    let number: u64 = digits.parse().ok()?;
    let is_ours = (1..=MAX_NUMBER).contains(&number) && digits == format!("{number:0DIGITS$}");
    is_ours.then_some(number)
}

/// That what the path leads to is found there after a crash.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(&place(path)))?.sync_all()
}
