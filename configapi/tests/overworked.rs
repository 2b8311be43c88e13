//! Imports into a command server that cannot take changes just then: they are sent again, and what waits for
//! that is bounded however long the file is.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use configapi_proto::v1::command_service_server::{CommandService, CommandServiceServer};
use configapi_proto::v1::{
    ApplyRequest, ApplyResponse, DeleteRequest, DeleteResponse, RestoreRequest, RestoreResponse,
    SetManyFailure, SetManyRequest, SetManyResponse, SetRequest, SetResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::support::{Ended, Servers};

/// What it has heard, and what it has taken.
#[derive(Debug, Default)]
struct Heard {
    tries: HashMap<String, usize>,
    refused: HashSet<String>,
    refused_bytes: usize,
    most_refused: usize,
    most_refused_bytes: usize,
}

impl Heard {
    /// Whether it takes this change, after so many refusals.
    fn takes(&mut self, set: SetRequest, refusals: fn(&str) -> usize) -> bool {
        let (tries, bytes) = (self.tries.entry(set.request_id).or_default(), set.value.len());
        *tries += 1;
        let takes = *tries > refusals(&set.name);
        if takes && self.refused.remove(&set.name) {
            self.refused_bytes -= bytes;
        } else if !takes && self.refused.insert(set.name) {
            self.refused_bytes += bytes;
        }
        self.most_refused = self.most_refused.max(self.refused.len());
        self.most_refused_bytes = self.most_refused_bytes.max(self.refused_bytes);
        takes
    }
}

/// Refuses each change so many times, by its name, because it has too much to do, before it takes it.
#[derive(Debug, Clone)]
struct Overworked {
    refusals: fn(&str) -> usize,
    heard: Arc<Mutex<Heard>>,
}

impl Overworked {
    fn who_refuses(refusals: fn(&str) -> usize) -> Self {
        Self { refusals, heard: Arc::default() }
    }

    async fn answer(
        self,
        mut requests: Streaming<SetManyRequest>,
        answers: mpsc::Sender<Result<SetManyResponse, Status>>,
    ) {
        let mut answer = SetManyResponse::default();
        while let Ok(Some(request)) = requests.message().await {
            let index = answer.settled_items;
            answer.settled_items += 1;
            answer.failures.clear();
            if self.heard.lock().unwrap().takes(request.set.unwrap(), self.refusals) {
                answer.durable_items += 1;
            } else {
                let (reason, message) = ("LIMIT_EXCEEDED".into(), "too much".into());
                let failure = SetManyFailure { index, reason, message, ..Default::default() };
                answer.failures.push(failure);
            }
            if answers.send(Ok(answer.clone())).await.is_err() {
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl CommandService for Overworked {
    async fn set(&self, _: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        Err(Status::unimplemented("streams only"))
    }

    async fn delete(&self, _: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        Err(Status::unimplemented("streams only"))
    }

    async fn restore(
        &self,
        _: Request<RestoreRequest>,
    ) -> Result<Response<RestoreResponse>, Status> {
        Err(Status::unimplemented("streams only"))
    }

    async fn apply(&self, _: Request<ApplyRequest>) -> Result<Response<ApplyResponse>, Status> {
        Err(Status::unimplemented("streams only"))
    }

    type SetManyStream = ReceiverStream<Result<SetManyResponse, Status>>;

    async fn set_many(
        &self,
        requests: Request<Streaming<SetManyRequest>>,
    ) -> Result<Response<Self::SetManyStream>, Status> {
        let (sender, answers) = mpsc::channel(16);
        tokio::spawn(self.clone().answer(requests.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl Overworked {
    /// An import into it that sets each config of this file by itself.
    fn imports(&self, file: String) -> Ended {
        let servers = Servers::start();
        let runtime = Runtime::new().unwrap();
        let address = runtime.block_on(self.clone().listens());
        servers
            .configapi(["import", "-", "--one-by-one", "--show", "0", "-o", "json"])
            .env("CONFIGAPI_COMMAND_URL", &format!("http://{address}"))
            .stdin(file)
            .ends()
    }

    async fn listens(self) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Server::builder().add_service(CommandServiceServer::new(self));
        tokio::spawn(served.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }
}

/// So many configs, whose values have so many bytes.
fn file(configs: usize, bytes: usize) -> String {
    let value = "v".repeat(bytes);
    let configs = (0..configs).map(|n| format!("\"n{n:06}\": \"{value}\""));
    format!("{{{}}}", configs.collect::<Vec<_>>().join(","))
}

#[test]
fn changes_that_wait_to_be_sent_again_are_not_more_than_may_be_on_their_way() {
    let server = Overworked::who_refuses(|_| 1);
    let report = server.imports(file(10_000, 1)).succeeded().json();
    assert_eq!((&report["written"], &report["refused"]), (&10_000.into(), &0.into()));
    let heard = server.heard.lock().unwrap();
    assert!(heard.tries.values().all(|tries| *tries == 2));
    assert!(heard.most_refused <= 4_160, "{} were to be sent again", heard.most_refused);
}

/// It goes on with the next ones when it has room again, so all of them come through.
#[test]
fn their_bytes_are_counted_too() {
    let server = Overworked::who_refuses(|_| 1);
    let report = server.imports(file(48, 1_000_000)).succeeded().json();
    assert_eq!((&report["written"], &report["refused"]), (&48.into(), &0.into()));
    let most = server.heard.lock().unwrap().most_refused_bytes;
    assert!(most <= 20_000_000, "{most} bytes were to be sent again");
}

#[test]
fn a_change_is_tried_for_eight_times_more_and_then_refused() {
    let server = Overworked::who_refuses(|name| if name == "n000000" { 9 } else { 8 });
    let ended = server.imports(file(2, 1)).failed_with(1);
    assert_eq!((&ended.json()["written"], &ended.json()["refused"]), (&1.into(), &1.into()));
    assert!(ended.stderr.contains("refused: n000000: too much (LIMIT_EXCEEDED)"), "{ended:#?}");
    assert!(server.heard.lock().unwrap().tries.values().all(|tries| *tries == 9));
}
