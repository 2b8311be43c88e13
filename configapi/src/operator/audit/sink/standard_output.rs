//! Records on stdout: delivered once they are flushed, and, if a shell or a service manager leads it into
//! a file, synced. Such a file is nobody's whom we know, so nothing in it is cut off.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, StdoutLock, Write as _};

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Delivery, Lines, Sink};
use crate::failure::Failure;

/// Where the stdout of this process can be opened to be read, if it is a file.
const STDOUT: &str = "/dev/stdout";

/// The stdout of this process.
#[derive(Debug, Default)]
pub struct StandardOutput {
    has_begun: bool,
}

#[async_trait]
impl Sink for StandardOutput {
    async fn deliver(&mut self, lines: &Lines, _: &CancellationToken) -> Result<Delivery, Failure> {
        let bytes = lines.bytes.clone();
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        // A reader that does not read must not keep this process from hearing signals.
        let written = spawn_blocking(move || write(&bytes, is_first));
        match written.await {
            Ok(Ok(())) => Ok(Delivery::Done),
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => {
                Err(Failure::try_again("whoever read the records has gone"))
            }
            Ok(Err(error)) => Err(Failure::io("cannot write the records", &error)),
            Err(_) => Err(Failure::fault("the writing of the records panicked")),
        }
    }
}

fn write(lines: &[u8], is_first: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let file = regular_file(&out)?;
    if is_first && file.is_some() && ends_within_a_line().unwrap_or(false) {
        out.write_all(b"\n")?;
    }
    out.write_all(lines)?;
    out.flush()?;
    file.map_or(Ok(()), |file| file.sync_all())
}

/// What stdout leads into, if that is a file.
#[cfg(unix)]
fn regular_file(out: &StdoutLock<'_>) -> io::Result<Option<File>> {
    use std::os::fd::AsFd as _;
    let file = File::from(out.as_fd().try_clone_to_owned()?);
    let is_file = file.metadata()?.is_file();
    Ok(is_file.then_some(file))
}

#[cfg(not(unix))]
fn regular_file(_: &StdoutLock<'_>) -> io::Result<Option<File>> {
    Ok(None)
}

/// Whether a crash, or a disk that was full, left half a record there. The next one would be a part of
/// that line, and nobody could read it.
fn ends_within_a_line() -> io::Result<bool> {
    let mut file = File::open(STDOUT)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
