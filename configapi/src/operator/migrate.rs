//! `configapi migrate`: makes what a store needs, or brings it up to date.

use clap::Args;
use configapi_event_log::LogError;
use configapi_store::{Access, migrate, open};

use super::store::{StoreArguments, now};
use crate::arguments::OutputArguments;
use crate::failure::Failure;
use crate::output::{Printer, Record};

/// Make what a store needs, or bring it up to date
///
/// Safe to run at any time, by any number of processes. With Postgres, run it as a role that may
/// create the schema `configapi`; the servers themselves need less. A store without a log gets a
/// new one: to restore a backup instead, run `configapi restore-backup` first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi migrate
  configapi migrate --store postgres://owner@localhost/configapi")]
pub struct MigrateArguments {
    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: MigrateArguments) -> Result<(), Failure> {
    let MigrateArguments { store, output } = arguments;
    store.must_last()?;
    let done = async {
        migrate(&store.store, now()).await?;
        let log = open(&store.store, Access::Read, now()).await?;
        Ok::<_, LogError>((log.identity().await?, log.head().await?))
    };
    let (identity, head) = done.await.map_err(|error| store.cannot_make(&error))?;
    let record = Record::new()
        .with("store", store.store.to_string())
        .with("log_id", identity.log_id.to_string())
        .with("epoch", head.epoch.0)
        .with("head_position", head.position.0);
    Ok(Printer::new(output.format()).one(&record, &["log_id"])?)
}
