//! Records on stdout: delivered once they are flushed.

use std::io::{self, ErrorKind, Write as _};

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Delivery, Lines, Sink};
use crate::failure::Failure;

/// The stdout of this process.
#[derive(Debug)]
pub struct StandardOutput;

#[async_trait]
impl Sink for StandardOutput {
    async fn deliver(&mut self, lines: &Lines, _: &CancellationToken) -> Result<Delivery, Failure> {
        let bytes = lines.bytes.clone();
        // A reader that does not read must not keep this process from hearing signals.
        let written = spawn_blocking(move || {
            let mut out = io::stdout().lock();
            out.write_all(&bytes)?;
            out.flush()
        });
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
