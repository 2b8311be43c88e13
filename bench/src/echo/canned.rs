//! Long answers, encoded beforehand: building a thousand messages anew for each call would make the
//! ceiling lower than it is.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use configapi_proto::v1::{
    Config, ConfigValueSet, Event, HistoryResponse, ListResponse,
    event::Change,
    query_service_server::{QueryServiceServer, SERVICE_NAME},
};
use prost::Message as _;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{BoxFuture, Service},
    server::{Grpc, NamedService, UnaryService},
};

use super::query::{EchoQueries, config, some_time, state};
use crate::keys::{Dice, GROUP, Keys, VERSIONS, Values};

/// The query service, with some of its methods answered by bytes that are ready.
#[derive(Debug, Clone)]
pub(super) struct CannedQueries {
    others: QueryServiceServer<EchoQueries>,
    list: Bytes,
    history: Bytes,
}

impl CannedQueries {
    pub fn new(queries: EchoQueries, value_bytes: usize) -> Self {
        let list = list(value_bytes).encode_to_vec().into();
        let history = history(value_bytes).encode_to_vec().into();
        Self { others: QueryServiceServer::new(queries), list, history }
    }
}

impl NamedService for CannedQueries {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for CannedQueries {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = match request.uri().path().rsplit('/').next() {
            Some("List") => self.list.clone(),
            Some("History") => self.history.clone(),
            _ => return self.others.call(request),
        };
        Box::pin(async move { Ok(Grpc::new(Raw).unary(Answer(answer), request).await) })
    }
}

/// The same answer to every request.
struct Answer(Bytes);

impl UnaryService<Bytes> for Answer {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

/// Messages as the bytes that they are.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

fn list(value_bytes: usize) -> ListResponse {
    let mut values = Values::new(value_bytes, Dice::new(0));
    let configs: Vec<Config> =
        (0..GROUP).map(|index| config(Keys::name(index), values.next_value().to_owned())).collect();
    ListResponse { configs, next_page_token: String::new(), state: Some(state()) }
}

fn history(value_bytes: usize) -> HistoryResponse {
    let mut values = Values::new(value_bytes, Dice::new(0));
    let events = (1..=VERSIONS).map(|version| {
        let value = values.next_value().to_owned();
        let old_value = Some(values.next_value().to_owned());
        Event {
            position: 100_000 + version,
            version,
            namespace: "default".to_owned(),
            name: Keys::versioned(0),
            recorded_at: Some(some_time()),
            // A UUID, as the server assigns one.
            request_id: "0190a6d3-1c2b-7def-8a9b-0c1d2e3f4a5b".to_owned(),
            hash: vec![0x5a; 32],
            schema_version: 1,
            last_of_command: true,
            change: Some(Change::ValueSet(ConfigValueSet {
                value,
                old_value,
                ..Default::default()
            })),
            ..Event::default()
        }
    });
    HistoryResponse {
        events: events.collect(),
        next_page_token: String::new(),
        state: Some(state()),
    }
}
