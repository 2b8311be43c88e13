//! `configapi restore-backup`: a backup as a log again, in any empty store.

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use configapi_event_log::{
    AppendError, Beginning, Epoch, EpochStart, EventLog, Head, Lineage, LogError, LogId, PageLimit,
    StoredEvent,
};
use configapi_store::{Access, begin, open};

use super::backup::form::{BackupReader, BadBackup};
use super::store::{StoreArguments, now, progress};
use crate::arguments::OutputArguments;
use crate::commands::source::Source;
use crate::failure::Failure;
use crate::output::terminal::say;
use crate::output::{Printer, Record};

/// Bytes that are read together.
const BUFFER_BYTES: usize = 1 << 20;
/// About the most rows of one append.
const BATCH_ROWS: usize = 2_000;
/// About the most bytes of one append.
const BATCH_BYTES: usize = 4 << 20;
/// The last epoch that every store can count to.
const MAX_EPOCH: u64 = i64::MAX.unsigned_abs();

/// Make a log of a backup, in an empty store
///
/// The same log: same id, positions, times and hashes, whichever store it came from, so this is
/// also the way from SQLite to Postgres. The whole file is checked before anything is written. After
/// its end a new epoch begins: what was written after the backup is lost, and tokens and watches
/// that saw it are told `LOG_CHANGED` instead of being given other events under the same positions.
/// Until all of it is there no server serves or writes the store, and `verify` fails.
/// A store that holds a log already, even an empty one, is refused. What is piped in is first put
/// whole into a file in the directory for temporary files (TMPDIR), which has to have room for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi restore-backup backup.jsonl --store sqlite:/var/lib/configapi/log.db
  configapi restore-backup backup.jsonl --store postgres://owner@localhost/configapi
  configapi restore-backup backup.jsonl --store sqlite:log.db --resume
  zstd -dc backup.jsonl.zst | configapi restore-backup - --store sqlite:log.db")]
pub struct RestoreBackupArguments {
    /// The file; - is stdin
    file: PathBuf,

    /// Go on with a restore that was interrupted; no server may be writing
    #[arg(long)]
    resume: bool,

    /// Begin an epoch above this one: the newest that the log went through after the backup, or
    /// after an earlier restore of it
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    above: u64,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: RestoreBackupArguments) -> Result<(), Failure> {
    let RestoreBackupArguments { file, resume, above, store, output } = arguments;
    store.must_last()?;
    let mut backup = Backup::open(file.into())?;
    backup.check()?;
    let reader = backup.reader()?;
    let beginning = beginning(&reader, above)?;
    let log_id = beginning.log_id;
    let begun = if resume { begun(&store, &reader).await? } else { None };
    if let Some(head) = begun.filter(|head| head.epoch.0 <= above) {
        let message = format!("the restore has begun epoch {} already", head.epoch);
        let hint =
            "finish it with --resume alone; then `configapi begin-epoch --above` comes above";
        return Err(Failure::refused(message).with_hint(format!("{hint} {above}")));
    }
    if let Some(head) = begun.filter(|head| is_finished(head, &reader)) {
        let later = head.position.0 - reader.header().head_position().0;
        if later > 0 {
            let message =
                format!("this backup is restored already, and the log went on by {later}");
            let hint =
                "nothing was written; to have the log as it was, choose an empty store and say";
            return Err(
                Failure::refused(message).with_hint(format!("{hint} --above {}", head.epoch))
            );
        }
        say(&format!("this backup is restored already, in epoch {}", head.epoch));
        return print(&store, log_id, &head, output);
    }
    let log = if begun.is_some() {
        open(&store.store, Access::Write, now()).await
    } else {
        begin(&store.store, &beginning).await
    };
    let log = match log {
        Ok(log) => log,
        // A right that is missing, or a newer schema, is no log that is in the way.
        Err(error @ LogError::Unusable(_)) if !resume && store.open_for_reading().await.is_ok() => {
            return Err(store.failure(&error).with_hint(
                "choose an empty store; or --resume, if a restore of this backup was interrupted",
            ));
        }
        Err(error) => return Err(store.cannot_make(&error)),
    };
    let restored =
        Restore { log: Arc::clone(&log), store: &store, backup: &backup }.run(reader).await;
    log.close().await;
    let head = restored?;
    print(&store, log_id, &head, output)
}

fn print(
    store: &StoreArguments,
    log_id: LogId,
    head: &Head,
    output: OutputArguments,
) -> Result<(), Failure> {
    let record = Record::new()
        .with("store", store.store.to_string())
        .with("log_id", log_id.to_string())
        .with("epoch", head.epoch.0)
        .with("head_position", head.position.0)
        .with("head_hash", head.hash.to_string());
    let printed = Printer::new(output.format()).one(&record, &["head_position"]);
    printed.map_err(|error| {
        Failure::unprinted("the backup is restored", &error)
            .with_hint("the same command with --resume prints it again")
    })
}

/// How the restored log begins: as the backup's did, and with an epoch after all that the backup knew.
/// From its end on positions have another meaning than in the log that went on.
fn beginning(reader: &BackupReader<BufReader<&File>>, above: u64) -> Result<Beginning, Failure> {
    let (log_id, began_at) = reader.beginning();
    let header = reader.header();
    let known = header.lineage().current().0;
    let last = above.max(known);
    if last >= MAX_EPOCH {
        return Err(Failure::refused(format!("there is no epoch above {last}")));
    }
    let first_position = header.head_position().next();
    let mut epochs = header.lineage().epochs().to_vec();
    epochs.push(EpochStart { epoch: Epoch(last + 1), first_position });
    Ok(Beginning { log_id, began_at, lineage: Lineage::from_rows(epochs) })
}

/// The head of the log if the restore was begun before. Only looks: opening a log for writing would
/// make one, and another log must not be touched.
async fn begun(
    store: &StoreArguments,
    reader: &BackupReader<BufReader<&File>>,
) -> Result<Option<Head>, Failure> {
    match open(&store.store, Access::Read, now()).await {
        Ok(log) => {
            let head = established(&*log, store, reader).await?;
            if is_finished(&head, reader) {
                must_hold_its_end(&*log, store, reader).await?;
            }
            Ok(Some(head))
        }
        // There is no log. If the store does not answer, beginning one tells so, and makes nothing.
        Err(LogError::Unavailable(_)) => Ok(None),
        Err(error) => Err(store.failure(&error)),
    }
}

/// Whether the restore came to its end.
fn is_finished(head: &Head, reader: &BackupReader<BufReader<&File>>) -> bool {
    head.position >= reader.header().head_position()
}

/// That the log, which may have gone on, holds the last event of the backup.
async fn must_hold_its_end(
    log: &dyn EventLog,
    store: &StoreArguments,
    reader: &BackupReader<BufReader<&File>>,
) -> Result<(), Failure> {
    let header = reader.header();
    let page = log.read(header.head_position(), PageLimit::new(1, 1)).await;
    let page = page.map_err(|error| store.failure(&error))?;
    let end = page.events.first().filter(|row| row.position == header.head_position());
    match end {
        Some(row) if row.hash.to_string() == header.head_hash() => Ok(()),
        _ => Err(another(store)),
    }
}

/// The head of the log that is restored to, which must be this log.
async fn established(
    log: &dyn EventLog,
    store: &StoreArguments,
    reader: &BackupReader<BufReader<&File>>,
) -> Result<Head, Failure> {
    let found = async { Ok::<_, LogError>((log.identity().await?, log.head().await?)) };
    let (identity, head) = found.await.map_err(|error| store.failure(&error))?;
    let header = reader.header();
    let is_same_log = identity.log_id == reader.beginning().0;
    let later = identity.lineage.epochs().strip_prefix(header.lineage().epochs());
    // The next epoch is the restore's own, and began after the last event of its backup. Others may have
    // begun once it was finished.
    match later {
        Some([own, others @ ..])
            if is_same_log && (others.is_empty() || is_finished(&head, reader)) =>
        {
            if own.first_position == header.head_position().next() {
                return Ok(head);
            }
            let last = own.first_position.0.saturating_sub(1);
            let its_last = header.head_position();
            Err(Failure::refused(format!(
                "{} holds a restore of another backup of this log, which ends at position {last}; \
                 this one ends at {its_last}",
                store.store
            ))
            .with_hint("nothing was written; go on with that backup, or choose an empty store"))
        }
        _ => Err(another(store)),
    }
}

fn another(store: &StoreArguments) -> Failure {
    Failure::refused(format!("{} holds another log than the backup", store.store))
        .with_hint("nothing was written to it; choose an empty store")
}

/// The file.
struct Backup {
    source: Source,
    file: File,
}

impl Backup {
    fn open(source: Source) -> Result<Self, Failure> {
        let file = source.open_to_reread()?;
        Ok(Self { source, file })
    }

    /// Reads all of it, to its checksum.
    fn check(&mut self) -> Result<(), Failure> {
        let mut reader = self.reader()?;
        let bar = progress(reader.header().head_position().0).with_message("checking");
        while let Some(row) = reader.next().map_err(|error| self.bad(&error))? {
            bar.set_position(row.position.0);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Reads it from the beginning.
    fn reader(&self) -> Result<BackupReader<BufReader<&File>>, Failure> {
        let mut file = &self.file;
        file.rewind().map_err(|error| self.bad(&error.into()))?;
        let input = BufReader::with_capacity(BUFFER_BYTES, file);
        BackupReader::new(input).map_err(|error| self.bad(&error))
    }

    fn bad(&self, error: &BadBackup) -> Failure {
        Failure::refused(format!("{}: {error}", self.source.name())).with_hint(match error {
            BadBackup::Compressed => {
                "unpack it on the way: `zstd -dc FILE | configapi restore-backup -`, or with gzip, xz \
                 or bzip2 in the place of zstd"
            }
            BadBackup::Io(_) | BadBackup::Damaged { .. } => {
                "the file is not a whole backup; use another"
            }
        })
    }
}

struct Restore<'a> {
    log: Arc<dyn EventLog>,
    store: &'a StoreArguments,
    backup: &'a Backup,
}

impl Restore<'_> {
    async fn run(&self, mut reader: BackupReader<BufReader<&File>>) -> Result<Head, Failure> {
        let mut head = established(&*self.log, self.store, &reader).await?;
        let bar = progress(reader.header().head_position().0);
        // What is there already must be what the backup holds.
        let (resume_at, mut is_same) = (head.position, head.position.0 == 0);
        let mut batch: Vec<StoredEvent> = Vec::new();
        let mut bytes = 0;
        while let Some(row) = reader.next().map_err(|error| self.backup.bad(&error))? {
            if row.position <= resume_at {
                is_same |= row.position == resume_at && row.hash == head.hash;
                continue;
            }
            if !is_same {
                return Err(another(self.store));
            }
            bytes += row.weight_bytes();
            let is_whole = row.ends_command();
            batch.push(row);
            if is_whole && (batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES) {
                bytes = 0;
                self.append(&mut head, &mut batch).await?;
                bar.set_position(head.position.0);
            }
        }
        if !is_same {
            return Err(another(self.store));
        }
        self.append(&mut head, &mut batch).await?;
        bar.finish_and_clear();
        Ok(head)
    }

    /// Appends the batch, and empties it.
    async fn append(&self, head: &mut Head, batch: &mut Vec<StoredEvent>) -> Result<(), Failure> {
        let Some(last) = batch.last() else { return Ok(()) };
        let (position, hash, recorded_at) = (last.position, last.hash, last.recorded_at);
        let failure = match self.log.append(head, batch).await {
            Ok(()) => {
                batch.clear();
                *head = Head { position, hash, recorded_at, epoch: head.epoch };
                return Ok(());
            }
            Err(AppendError::Unavailable(why) | AppendError::Unknown(why)) => {
                Failure::try_again(format!("{}: {why}", self.store.store))
            }
            Err(error @ (AppendError::Refused(_) | AppendError::RequestIdTaken)) => {
                let message = format!("{}: {error}", self.store.store);
                return Err(Failure::refused(message).with_hint(
                    "the store would not take what this backup holds there the next time either: use \
                     another backup, and remove what was made of this one",
                ));
            }
            Err(error) => Failure::refused(format!("{}: {error}", self.store.store)),
        };
        Err(failure.with_hint("--resume goes on where this ended"))
    }
}
