//! `configapi backup`: a whole log as one file, from any store, beside running servers.

pub mod form;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use configapi_event_log::domain::Position;
use configapi_event_log::{Asking, EventLog, Head, PageLimit, Tail, check_alone};

use self::form::{BackupWriter, Header};
use super::store::{StoreArguments, progress};
use crate::failure::Failure;
use crate::output::file::WholeFile;
use crate::output::terminal::say;

/// Bytes that wait to be written together.
const BUFFER_BYTES: usize = 1 << 20;

/// Write the whole log to one file, from any store
///
/// Up to the head as it is when the backup begins; servers may go on writing. The chain is checked
/// on the way, and the file bears a checksum over all of it. It is JSON lines and holds every value
/// there ever was. A file is replaced when it is complete, never half; what is no regular file, such
/// as a pipe with a name, is written into.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi backup configapi-backup.jsonl
  configapi backup --store postgres://configapi@localhost/configapi backup.jsonl
  configapi backup - | zstd > backup.jsonl.zst")]
pub struct BackupArguments {
    /// The path of the file; - is stdout
    file: PathBuf,

    #[command(flatten)]
    store: StoreArguments,
}

pub async fn run(arguments: BackupArguments) -> Result<(), Failure> {
    let BackupArguments { file, store } = arguments;
    let log = store.open_for_reading().await?;
    // The head first: epochs that begin later are of later positions.
    let head = log.head().await.map_err(|error| store.failure(&error))?;
    let identity = log.identity().await.map_err(|error| store.failure(&error))?;
    let header = Header::new(&identity, &head);
    let lineage = header.lineage();
    if let Some(lost) = lineage.lost_by(head.position) {
        return Err(store.lacks_its_end(&lineage, head.position, lost));
    }
    let task = Backup { log: &*log, store: &store, head, header };
    // What no restore would take is no backup.
    if !task.header.has_sane_epochs() {
        return Err(task.bad("its epochs are none that a log goes through"));
    }
    if file.as_os_str() == "-" {
        drop(task.write(io::stdout().lock(), cannot_write("stdout".to_owned())).await?);
    } else {
        let cannot = cannot_write(file.display().to_string());
        store.must_not_be_kept_in(&file)?;
        let out = WholeFile::open(&file, ".configapi-backup-").map_err(&cannot)?;
        out.fill(async |out| task.write(out, &cannot).await?.complete().map_err(&cannot)).await?;
    }
    say(&format!("backed up {} events, up to {}", head.position, head.hash));
    Ok(())
}

fn cannot_write(place: String) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::not_whole("backup", &place, &error)
}

struct Backup<'a> {
    log: &'a dyn EventLog,
    store: &'a StoreArguments,
    head: Head,
    header: Header,
}

impl Backup<'_> {
    /// Writes it all, and hands on what lies in buffers.
    async fn write<W: Write>(
        &self,
        out: W,
        cannot: impl Fn(io::Error) -> Failure,
    ) -> Result<W, Failure> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, out);
        let mut writer = BackupWriter::new(out, &self.header).map_err(&cannot)?;
        let bar = progress(self.head.position.0);
        let asking = Asking::new(Asking::PATIENCE);
        let mut tail: Option<Tail> = None;
        loop {
            let from = tail.as_ref().map_or(Position::GENESIS, Tail::position);
            if tail.is_some() && from >= self.head.position {
                break;
            }
            let page = asking.page_or_less(self.log, from, PageLimit::REPLAY).await;
            let page = page.map_err(|error| self.store.failure(&error))?;
            if page.epoch != self.head.epoch {
                return Err(Failure::try_again("the log began a new epoch meanwhile"));
            }
            let tail = match (&mut tail, page.events.first()) {
                (Some(tail), _) => tail,
                (None, None) => return Err(self.bad("position 0 is missing")),
                (tail @ None, Some(genesis)) => {
                    writer.write(genesis).map_err(&cannot)?;
                    tail.insert(Tail::after(genesis.position, genesis.hash))
                }
            };
            let rows = tail.advance(page).map_err(|error| self.bad(&error.to_string()))?;
            if rows.is_empty() && tail.position() < self.head.position {
                return Err(self.bad("the log ends before its head"));
            }
            for row in rows.iter().filter(|row| row.position <= self.head.position) {
                check_alone(row)
                    .map_err(|rule| self.bad(&format!("{rule} (at position {})", row.position)))?;
                writer.write(row).map_err(&cannot)?;
            }
            bar.set_position(tail.position().0);
        }
        bar.finish_and_clear();
        let out = writer.finish().map_err(&cannot)?;
        out.into_inner().map_err(|error| cannot(error.into_error()))
    }

    fn bad(&self, why: &str) -> Failure {
        Failure::refused(format!("{}: {why}", self.store.store))
            .with_hint("no backup was written; `configapi verify` says more")
    }
}
