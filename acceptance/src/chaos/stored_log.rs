//! The log as it lies in the database, read without any of the code under test.

use anyhow::Result;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::cluster::Cluster;
use crate::checkers::log::{EpochStart, Log, Row};

const ROWS: &str = "SELECT position, version, recorded_at, part_index, part_size, schema_version, \
    stream, event_type, request_id, convert_from(payload, 'UTF8'), \
    convert_from(metadata, 'UTF8'), hash FROM configapi.events ORDER BY position";
const EPOCHS: &str = "SELECT epoch, first_position FROM configapi.epochs ORDER BY epoch";
const HEAD: &str = "SELECT max(position) FROM configapi.events";

/// Reads the whole log.
pub async fn read(cluster: &Cluster) -> Result<Log> {
    let mut connection = cluster.connect().await?;
    let rows = sqlx::query(ROWS).fetch_all(&mut connection).await?;
    let epochs = sqlx::query(EPOCHS).fetch_all(&mut connection).await?;
    let rows = rows.iter().map(row).collect::<Result<_>>()?;
    let epochs = epochs
        .iter()
        .map(|row| Ok(EpochStart { epoch: count(row, 0)?, first_position: count(row, 1)? }))
        .collect::<Result<_>>()?;
    Ok(Log::new(rows, epochs))
}

/// The last position.
pub async fn head(cluster: &Cluster) -> Result<u64> {
    count(&sqlx::query(HEAD).fetch_one(&mut cluster.connect().await?).await?, 0)
}

/// How many events the configs under a prefix have.
pub async fn count_under(cluster: &Cluster, prefix: &str) -> Result<u64> {
    let sql = "SELECT count(*) FROM configapi.events WHERE starts_with(stream, $1)";
    let asking = sqlx::query(sql).bind(prefix);
    count(&asking.fetch_one(&mut cluster.connect().await?).await?, 0)
}

fn row(row: &PgRow) -> Result<Row> {
    let small = |index| Ok::<_, anyhow::Error>(u32::try_from(row.try_get::<i32, _>(index)?)?);
    Ok(Row {
        position: count(row, 0)?,
        version: count(row, 1)?,
        recorded_at_us: row.try_get(2)?,
        part_index: small(3)?,
        part_size: small(4)?,
        schema_version: small(5)?,
        stream: row.try_get(6)?,
        event_type: row.try_get(7)?,
        request_id: row.try_get(8)?,
        payload: row.try_get(9)?,
        metadata: row.try_get(10)?,
        hash: row.try_get::<Vec<u8>, _>(11)?.as_slice().try_into()?,
    })
}

fn count(row: &PgRow, index: usize) -> Result<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(index)?)?)
}
