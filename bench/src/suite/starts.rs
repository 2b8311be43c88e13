//! How long a query server takes to be ready, which for a long log is how fast it replays, and how
//! much memory it then holds.

use std::net::SocketAddr;

use configapi_proto::v1::{GetStatusRequest, GetStatusResponse};

use super::process::free_addresses;
use super::{
    cpu,
    subjects::{Running, Sources, Subject, query_server},
};
use crate::{
    report::{ServerStart, float},
    wire::{Channel, Method, frame},
};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Starts one more query server on the log in `PostgreSQL`, measures it, and stops it, so many times;
/// the median start. `None` if nobody runs on `PostgreSQL`.
pub(super) async fn measure_start(
    sources: &Sources,
    running: &[Running],
    rounds: usize,
) -> anyhow::Result<Option<ServerStart>> {
    let Some(url) = &sources.database_url else { return Ok(None) };
    if !running.iter().any(|one| one.subject == Subject::Postgres) {
        return Ok(None);
    }
    let mut starts = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        starts.push(start(url, sources).await?);
    }
    starts.sort_by(|one, other| one.ready_after_ms.total_cmp(&other.ready_after_ms));
    let median = starts.len() / 2;
    Ok(starts.into_iter().nth(median))
}

async fn start(url: &str, sources: &Sources) -> anyhow::Result<ServerStart> {
    let [address] = free_addresses()?;
    let (process, ready_after) = query_server(url, sources, address).await?;
    let memory = process.id().and_then(cpu::memory_of).unwrap_or(0);
    let status = status(address).await;
    process.stop().await?;
    let status = status?;
    let events = status.state.map_or(0, |state| state.position);
    let seconds = ready_after.as_secs_f64();
    Ok(ServerStart {
        events,
        configs: status.live_configs,
        ready_after_ms: seconds * 1e3,
        events_per_second: float(events) / seconds,
        memory_mib: float(memory) / MEBIBYTE,
    })
}

async fn status(server: SocketAddr) -> anyhow::Result<GetStatusResponse> {
    let method = Method::new(server, "/configapi.v1.QueryService/GetStatus")?;
    let request = frame(&GetStatusRequest::default());
    Ok(Channel::connect(server).await?.unary(&method, request).await?)
}
