//! Records into what is no regular file: a pipe with a name, or a device. Delivered once they are handed over
//! to whoever reads. It is opened to be written only: who could read from it too would be its own reader,
//! and what nobody else has read would be gone with this process.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::board::Board;
use super::{Delivery, Lines, Sink};
use crate::failure::Failure;

/// A reader that is there so soon needs not be waited for aloud.
const SOON: Duration = Duration::from_millis(200);

/// A pipe with a name, or a device.
#[derive(Debug)]
pub struct PipeSink {
    path: PathBuf,
    board: Board,
    /// None until somebody reads.
    pipe: Option<File>,
}

impl PipeSink {
    /// What lies there. It is opened for the first records: it may keep us waiting for its reader.
    pub fn new(path: &Path, board: Board) -> Self {
        Self { path: path.to_owned(), board, pipe: None }
    }

    /// Opens it, which waits until somebody reads; none if the worker was asked to stop before.
    async fn opened(&self, stop: &CancellationToken) -> io::Result<Option<File>> {
        let path = self.path.clone();
        let mut opening = spawn_blocking(move || File::options().write(true).open(path));
        if let Ok(opened) = timeout(SOON, &mut opening).await {
            return done(opened).map(Some);
        }
        let path = self.path.display();
        self.board.not_taken(&format!("nobody reads from {path}"));
        tracing::warn!(%path, "nobody reads from the pipe yet; the records wait for that");
        stop.run_until_cancelled(opening).await.map(done).transpose()
    }

    fn cannot(&self, error: &io::Error) -> Failure {
        if error.kind() == ErrorKind::BrokenPipe {
            return Failure::try_again("whoever read the records has gone");
        }
        Failure::io(&format!("cannot write {}", self.path.display()), error)
            .with_hint("nothing is skipped: start it again once that is well")
    }
}

#[async_trait]
impl Sink for PipeSink {
    async fn deliver(
        &mut self,
        lines: &Lines,
        stop: &CancellationToken,
    ) -> Result<Delivery, Failure> {
        let pipe = match self.pipe.take() {
            Some(pipe) => Some(pipe),
            None => self.opened(stop).await.map_err(|error| self.cannot(&error))?,
        };
        let Some(mut pipe) = pipe else { return Ok(Delivery::GivenUp) };
        let bytes = lines.bytes.clone();
        // A reader that does not read must not keep this process from hearing signals.
        let written = spawn_blocking(move || pipe.write_all(&bytes).map(|()| pipe)).await;
        self.pipe = Some(done(written).map_err(|error| self.cannot(&error))?);
        Ok(Delivery::Done)
    }
}

fn done<T>(outcome: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    outcome.unwrap_or_else(|_| Err(io::Error::other("the writing of the records panicked")))
}
