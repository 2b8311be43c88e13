//! `configapi begin-epoch`: tells everybody that this log was restored by hand, and may have lost
//! its tail. Must never do so for a log that somebody is still writing to.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use configapi_event_log::{Epoch, EventLog, Head, LogError, LogId};
use configapi_store::{Access, open};

use super::store::{StoreArguments, now};
use crate::arguments::OutputArguments;
use crate::failure::Failure;
use crate::output::terminal::printable;
use crate::output::{Printer, Record};

/// The most epochs that are begun to get past a known one.
const MAX_EPOCHS: u64 = 1_000;

/// Tell everybody that this log was restored by hand
///
/// For a restore that the log cannot notice by itself: of a dump, a copied directory, a snapshot of a
/// disk. What was written after the copy was made is lost, and its positions will be given to other
/// events. From the new epoch on, tokens and watches that saw the lost events are told
/// `LOG_CHANGED`; all others hold. Run it once for each restore, before any server starts on the
/// store. A log that does not exist yet is not made, and no event is written or changed.
///
/// `configapi restore-backup`, and a new timeline of Postgres, begin an epoch without being asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi begin-epoch
  configapi begin-epoch --store sqlite:/var/lib/configapi/log.db --yes
  configapi begin-epoch --store postgres://owner@localhost/configapi --above 4")]
pub struct BeginEpochArguments {
    /// Begin one above this epoch too: the newest that the lost log is known to have had
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    above: u64,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: BeginEpochArguments) -> Result<(), Failure> {
    let BeginEpochArguments { above, yes, store, output } = arguments;
    let (log_id, found) = look(&store).await?;
    let least = Epoch(above.max(found.epoch.0).saturating_add(1));
    if least.0 - found.epoch.0 > MAX_EPOCHS {
        return Err(Failure::usage(format!(
            "--above {above} is too far from epoch {}",
            found.epoch
        ))
        .with_hint(format!("one run begins at most {MAX_EPOCHS} epochs")));
    }
    if !yes {
        confirm(&store, log_id, &found, least)?;
    }
    let log = open(&store.store, Access::Write, now()).await;
    let log = log.map_err(|error| store.failure(&error))?;
    let begun = begin(&*log, &store, &found, least).await;
    log.close().await;
    let epoch = begun?;
    let record = Record::new()
        .with("store", store.store.to_string())
        .with("log_id", log_id.to_string())
        .with("old_epoch", found.epoch.0)
        .with("new_epoch", epoch.0)
        .with("first_position", found.position.next().0)
        .with("head_position", found.position.0)
        .with("head_hash", found.hash.to_string());
    let printed = Printer::new(output.format()).one(&record, &["new_epoch", "first_position"]);
    printed.map_err(|error| {
        Failure::unprinted(&format!("epoch {epoch} is begun"), &error)
            .with_hint("no other has to be begun; `configapi verify` tells the epoch")
    })
}

/// What is there, before anything is touched.
async fn look(store: &StoreArguments) -> Result<(LogId, Head), Failure> {
    let log = store.open_for_reading().await?;
    let looked = async { Ok::<_, LogError>((log.identity().await?, log.head().await?)) };
    let (identity, head) = looked.await.map_err(|error| store.failure(&error))?;
    if identity.is_standby {
        return Err(Failure::refused(format!("{} is a standby", store.store))
            .with_hint("name the primary; once a standby is promoted, a command server begins an epoch by itself"));
    }
    Ok((identity.log_id, head))
}

/// Asks whoever sits at the terminal; without one, somebody has to have said yes before.
fn confirm(
    store: &StoreArguments,
    log_id: LogId,
    head: &Head,
    least: Epoch,
) -> Result<(), Failure> {
    let question = format!(
        "{} holds log {log_id}, which ends at position {} in epoch {}.\nBegin epoch {least}, so \
         that no token from beyond position {} holds any more?",
        store.store, head.position, head.epoch, head.position,
    );
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is there to be asked").with_hint(
            "look at the log with `configapi verify`, and say --yes if it is the one you mean",
        ));
    }
    let mut answer = String::new();
    let asked = writeln!(io::stderr(), "{question}")
        .and_then(|()| write!(io::stderr(), "Type yes to begin it: "))
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    asked.map_err(|error| Failure::io("cannot ask", &error))?;
    match answer.trim() {
        "y" | "yes" => Ok(()),
        other => Err(Failure::refused(format!(
            "not confirmed, since \"{}\" is not yes; nothing was done",
            printable(other)
        ))),
    }
}

/// Begins epochs after what was found until this one is reached, or was by somebody else.
async fn begin(
    log: &dyn EventLog,
    store: &StoreArguments,
    found: &Head,
    least: Epoch,
) -> Result<Epoch, Failure> {
    let mut head = *found;
    while head.epoch < least {
        match log.begin_epoch(&head).await {
            Ok(epoch) => head.epoch = epoch,
            // Opening the log for writing begins an epoch if Postgres is on a new timeline, and so
            // does another operator: that one serves as well. More events mean a running server.
            Err(LogError::Unavailable(why)) => {
                let now = log.head().await.map_err(|error| store.failure(&error))?;
                if (now.position, now.hash) != (head.position, head.hash) {
                    return Err(Failure::refused(format!(
                        "{}: a server has appended to the log in the meantime",
                        store.store
                    ))
                    .with_hint("stop all servers, and look at the log again"));
                }
                if now.epoch == head.epoch {
                    return Err(store.failure(&LogError::Unavailable(why)));
                }
                head = now;
            }
            Err(error) => return Err(store.failure(&error)),
        }
    }
    Ok(head.epoch)
}
