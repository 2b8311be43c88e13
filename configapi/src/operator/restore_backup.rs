//! `configapi restore-backup`: a backup as a log again, in any empty store.

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use configapi_event_log::{AppendError, Epoch, EventLog, Head, LogError, StoredEvent};
use configapi_store::{Access, begin, open};

use super::backup::form::{BackupReader, BadBackup};
use super::store::{StoreArguments, now, progress};
use crate::arguments::OutputArguments;
use crate::commands::source::Source;
use crate::failure::Failure;
use crate::output::{Printer, Record};

/// Bytes that are read together.
const BUFFER_BYTES: usize = 1 << 20;
/// About the most rows of one append.
const BATCH_ROWS: usize = 2_000;
/// About the most bytes of one append.
const BATCH_BYTES: usize = 4 << 20;
/// The last epoch that is begun to get past those of a backup.
const MAX_EPOCHS: u64 = 10_000;

/// Make a log of a backup, in an empty store
///
/// The same log: same id, positions, times and hashes, whichever store it came from, so this is
/// also the way from SQLite to Postgres. The whole file is checked before anything is written. At
/// the end a new epoch begins: what was written after the backup is lost, and tokens and watches
/// that saw it are told `LOG_CHANGED` instead of being given other events under the same positions.
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

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: RestoreBackupArguments) -> Result<(), Failure> {
    let RestoreBackupArguments { file, resume, store, output } = arguments;
    store.must_last()?;
    let mut backup = Backup::open(file.into())?;
    backup.check()?;
    let reader = backup.reader()?;
    must_be_within_reach(reader.header().lineage().current())?;
    let (log_id, began_at) = reader.beginning();
    let log = if resume && is_begun(&store, &reader).await? {
        open(&store.store, Access::Write, now()).await
    } else {
        begin(&store.store, log_id, began_at).await
    };
    let log = log.map_err(|error| match error {
        LogError::Unusable(_) if !resume => store.failure(&error).with_hint(
            "choose an empty store; or --resume, if a restore of this backup was interrupted",
        ),
        error => store.failure(&error),
    })?;
    let restored =
        Restore { log: Arc::clone(&log), store: &store, backup: &backup }.run(reader).await;
    log.close().await;
    let head = restored?;
    let record = Record::new()
        .with("store", store.store.to_string())
        .with("log_id", log_id.to_string())
        .with("epoch", head.epoch.0)
        .with("head_position", head.position.0)
        .with("head_hash", head.hash.to_string());
    Ok(Printer::new(output.format()).one(&record, &["head_position"])?)
}

/// Epochs are begun one by one. Any log has a few; what has more is refused before anything is written.
fn must_be_within_reach(epoch: Epoch) -> Result<(), Failure> {
    if epoch.0 < MAX_EPOCHS {
        return Ok(());
    }
    let problem =
        format!("the backup is in epoch {epoch}; the last that can be begun is {MAX_EPOCHS}");
    Err(Failure::refused(problem))
}

/// Whether the restore was begun before. Only looks: opening a log for writing would make one, and
/// another log must not be touched.
async fn is_begun(
    store: &StoreArguments,
    reader: &BackupReader<BufReader<&File>>,
) -> Result<bool, Failure> {
    match open(&store.store, Access::Read, now()).await {
        Ok(log) => established(&*log, store, reader).await.map(|_| true),
        // There is no log. If the store does not answer, beginning one tells so, and makes nothing.
        Err(LogError::Unavailable(_)) => Ok(false),
        Err(error) => Err(store.failure(&error)),
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
    let is_finished = head.epoch > reader.header().lineage().current();
    if identity.log_id != reader.beginning().0 || is_finished {
        return Err(another(store));
    }
    Ok(head)
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
        Failure::refused(format!("{}: {error}", self.source.name()))
            .with_hint("the file is not a whole backup; use another")
    }
}

struct Restore<'a> {
    log: Arc<dyn EventLog>,
    store: &'a StoreArguments,
    backup: &'a Backup,
}

impl Restore<'_> {
    async fn run(&self, mut reader: BackupReader<BufReader<&File>>) -> Result<Head, Failure> {
        let lineage = reader.header().lineage();
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
            for start in lineage.epochs().iter().filter(|it| it.first_position == row.position) {
                self.append(&mut head, &mut batch).await?;
                self.reach(&mut head, start.epoch).await?;
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
        // All that the backup knew, and one more: from here on positions have another meaning than
        // they had in the log that went on after the backup.
        self.reach(&mut head, lineage.current()).await?;
        self.reach(&mut head, Epoch(lineage.current().0 + 1)).await?;
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
            Err(error) => Failure::refused(format!("{}: {error}", self.store.store)),
        };
        Err(failure.with_hint("--resume goes on where this ended"))
    }

    /// Begins epochs until this one is reached.
    async fn reach(&self, head: &mut Head, epoch: Epoch) -> Result<(), Failure> {
        while head.epoch < epoch {
            let next = self.log.begin_epoch(head).await;
            head.epoch = next.map_err(|error| self.store.failure(&error))?;
        }
        Ok(())
    }
}
