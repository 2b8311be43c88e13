//! The write side of the echo: receipts for what was never written.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
};

use configapi_proto::v1::{
    ApplyRequest, ApplyResponse, DeleteRequest, DeleteResponse, EventKind, Receipt, RestoreRequest,
    RestoreResponse, SetManyRequest, SetManyResponse, SetRequest, SetResponse,
    command_service_server::CommandService,
};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Change, query::some_time};

/// How many items a stream's acknowledgement stands for.
const WINDOW: u64 = 1_024;

/// Acknowledges everything.
#[derive(Debug)]
pub(super) struct EchoCommands {
    changes: broadcast::Sender<Change>,
    position: AtomicU64,
}

impl EchoCommands {
    pub fn new(changes: broadcast::Sender<Change>) -> Self {
        Self { changes, position: AtomicU64::new(1_000_000) }
    }

    fn receipt(&self, name: String) -> Receipt {
        let position = self.position.fetch_add(1, Ordering::Relaxed);
        Receipt {
            namespace: "default".to_owned(),
            name,
            version: 3,
            position,
            token: format!("1-{position}"),
            recorded_at: Some(some_time()),
            kind: EventKind::Set.into(),
            request_id: "0190a6d3-1c2b-7def-8a9b-0c1d2e3f4a5b".to_owned(),
            hash: vec![0x5a; 32],
        }
    }
}

#[tonic::async_trait]
impl CommandService for EchoCommands {
    type SetManyStream = Pin<Box<dyn Stream<Item = Result<SetManyResponse, Status>> + Send>>;

    async fn set(&self, request: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        let SetRequest { name, value, .. } = request.into_inner();
        if self.changes.receiver_count() > 0 {
            let position = self.position.load(Ordering::Relaxed);
            // That all watchers have just left is nobody's loss.
            let _ = self.changes.send(Change { position, name: name.clone(), value });
        }
        Ok(Response::new(SetResponse { receipt: Some(self.receipt(name)) }))
    }

    async fn apply(
        &self,
        request: Request<ApplyRequest>,
    ) -> Result<Response<ApplyResponse>, Status> {
        let commands = request.into_inner().commands.into_iter();
        let receipts = commands.map(|command| self.receipt(command.name)).collect();
        Ok(Response::new(ApplyResponse { receipts }))
    }

    async fn set_many(
        &self,
        request: Request<Streaming<SetManyRequest>>,
    ) -> Result<Response<Self::SetManyStream>, Status> {
        let (sender, responses) = mpsc::channel(4);
        tokio::spawn(acknowledge(request.into_inner(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn delete(
        &self,
        _request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }

    async fn restore(
        &self,
        _request: Request<RestoreRequest>,
    ) -> Result<Response<RestoreResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }
}

async fn acknowledge(
    mut items: Streaming<SetManyRequest>,
    sender: mpsc::Sender<Result<SetManyResponse, Status>>,
) {
    let mut settled_items = 0;
    loop {
        let item = items.message().await;
        let is_last = !matches!(item, Ok(Some(_)));
        settled_items += u64::from(!is_last);
        if is_last || settled_items.is_multiple_of(WINDOW) {
            let token = format!("1-{settled_items}");
            let durable_items = settled_items;
            let response =
                SetManyResponse { settled_items, durable_items, token, failures: vec![] };
            if sender.send(Ok(response)).await.is_err() || is_last {
                return;
            }
        }
    }
}
