//! The read side of the echo.

use std::pin::Pin;

use configapi_proto::{
    timestamp_from_micros,
    v1::{
        AtTimeRequest, AtTimeResponse, Config, ConfigValueSet, DiffRequest, DiffResponse, Event,
        GetRequest, GetResponse, GetStatusRequest, GetStatusResponse, HistoryRequest,
        HistoryResponse, ListRequest, ListResponse, ReadState, WatchRequest, WatchResponse,
        at_time_request::Selection as AtTimeSelection,
        event::Change as ChangeKind,
        query_service_server::QueryService,
        watch_request::Selection,
        watch_response::{Events, Frame, Started},
    },
};
use prost_types::Timestamp;
use tokio::sync::broadcast;
use tokio_stream::{Stream, StreamExt as _, wrappers::BroadcastStream};
use tonic::{Request, Response, Status};

use super::Change;
use crate::keys::{Dice, Values};

/// Some time in 2026: its size is what matters.
pub(super) fn some_time() -> Timestamp {
    timestamp_from_micros(1_790_000_000_123_456)
}

/// A config as large as a real one.
pub(super) fn config(name: String, value: String) -> Config {
    Config {
        namespace: "default".to_owned(),
        name,
        value,
        version: 3,
        position: 100_000,
        created_at: Some(some_time()),
        updated_at: Some(some_time()),
        ..Config::default()
    }
}

pub(super) fn state() -> ReadState {
    let token = "1-1000000".to_owned();
    ReadState { position: 1_000_000, epoch: 1, token, recorded_at: Some(some_time()) }
}

/// Answers every question about one config with the same value.
#[derive(Debug)]
pub(super) struct EchoQueries {
    changes: broadcast::Sender<Change>,
    value: String,
}

impl EchoQueries {
    pub fn new(changes: broadcast::Sender<Change>, value_bytes: usize) -> Self {
        let value = Values::new(value_bytes, Dice::new(0)).next_value().to_owned();
        Self { changes, value }
    }
}

#[tonic::async_trait]
impl QueryService for EchoQueries {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let config = config(request.into_inner().name, self.value.clone());
        Ok(Response::new(GetResponse { config: Some(config), state: Some(state()) }))
    }

    async fn at_time(
        &self,
        request: Request<AtTimeRequest>,
    ) -> Result<Response<AtTimeResponse>, Status> {
        let Some(AtTimeSelection::Name(name)) = request.into_inner().selection else {
            return Err(Status::unimplemented("the echo knows one config at a time"));
        };
        let configs = vec![config(name, self.value.clone())];
        let next_page_token = String::new();
        Ok(Response::new(AtTimeResponse { configs, next_page_token, state: Some(state()) }))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let selection = request.into_inner().selection;
        let started = Frame::Started(Started { state: Some(state()) });
        let started = WatchResponse { frame: Some(started), ..WatchResponse::default() };
        let changes =
            BroadcastStream::new(self.changes.subscribe()).filter_map(move |change| match change {
                Ok(change) if matches(selection.as_ref(), &change.name) => Some(Ok(told(change))),
                Ok(_other) => None,
                Err(_lagged) => Some(Err(Status::data_loss("the echo does not wait"))),
            });
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(started)).chain(changes))))
    }

    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let status = GetStatusResponse { state: Some(state()), ready: true, ..Default::default() };
        Ok(Response::new(status))
    }

    async fn list(&self, _request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        Err(Status::unimplemented("answered before it comes here"))
    }

    async fn history(
        &self,
        _request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryResponse>, Status> {
        Err(Status::unimplemented("answered before it comes here"))
    }

    async fn diff(&self, _request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }
}

fn matches(selection: Option<&Selection>, name: &str) -> bool {
    match selection {
        None => true,
        Some(Selection::Name(wanted)) => name == wanted,
        Some(Selection::Prefix(prefix)) => name.starts_with(prefix),
    }
}

fn told(Change { position, name, value }: Change) -> WatchResponse {
    let set = ConfigValueSet { old_value: Some(value.clone()), value, ..Default::default() };
    let event = Event {
        position,
        version: 3,
        namespace: "default".to_owned(),
        name,
        recorded_at: Some(some_time()),
        request_id: "0190a6d3-1c2b-7def-8a9b-0c1d2e3f4a5b".to_owned(),
        hash: vec![0x5a; 32],
        schema_version: 1,
        last_of_command: true,
        change: Some(ChangeKind::ValueSet(set)),
        ..Event::default()
    };
    let frame = Some(Frame::Events(Events { events: vec![event] }));
    WatchResponse { position, token: format!("1-{position}"), frame }
}
