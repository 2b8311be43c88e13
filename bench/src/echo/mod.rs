//! The ceiling: a bare tonic server that answers in the messages of `configapi.v1`, in the sizes of
//! the real thing, from memory. It keeps nothing, checks nothing and waits for nothing, so nobody
//! who speaks gRPC on this machine can be much faster.

mod canned;
mod command;
mod query;
mod rest;

use configapi_proto::v1::command_service_server::CommandServiceServer;
use tokio::{net::TcpListener, sync::broadcast};
use tonic::transport::{Server, server::TcpIncoming};

use self::{canned::CannedQueries, command::EchoCommands, query::EchoQueries};

/// Sets that watchers may lag behind.
const MAX_LAG: usize = 4096;

/// A config that was set, for those who watch.
#[derive(Debug, Clone)]
struct Change {
    position: u64,
    name: String,
    value: String,
}

/// Serves until it is cancelled. Values are of `value_bytes` bytes.
pub async fn serve(grpc: TcpListener, rest: TcpListener, value_bytes: usize) -> anyhow::Result<()> {
    let (changes, _no_watcher_yet) = broadcast::channel(MAX_LAG);
    let queries = EchoQueries::new(changes.clone(), value_bytes);
    let serving = Server::builder()
        .add_service(CommandServiceServer::new(EchoCommands::new(changes)))
        .add_service(CannedQueries::new(queries, value_bytes))
        .serve_with_incoming(TcpIncoming::from(grpc).with_nodelay(Some(true)));
    tokio::select! {
        served = serving => Ok(served?),
        served = rest::serve(rest, value_bytes) => served,
    }
}
