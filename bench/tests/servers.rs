//! Servers to be measured in tests: the echo, and some that misbehave.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use configapi_bench::{
    echo,
    load::Spec,
    workload::{Target, Workload},
};

/// Addresses of an echo server that runs until the tests end.
pub struct Echo {
    pub grpc: SocketAddr,
    pub rest: SocketAddr,
}

impl Echo {
    pub fn start() -> Self {
        let bind = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let (grpc, rest) = (bind(), bind());
        let addresses = Self { grpc: grpc.local_addr().unwrap(), rest: rest.local_addr().unwrap() };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let grpc = tokio::net::TcpListener::from_std(grpc).unwrap();
                let rest = tokio::net::TcpListener::from_std(rest).unwrap();
                echo::serve(grpc, rest, 128).await
            })
        });
        addresses
    }

    pub fn target(&self, workload: Workload) -> Target {
        match workload {
            Workload::RestGet | Workload::RestPut => Target::Rest(self.rest),
            _ => Target::Configapi { command: self.grpc, query: self.grpc },
        }
    }
}

/// An HTTP/1.1 server that gives one connection after the other to `serve`, each on a thread.
fn http_server(serve: impl Fn(u32) -> Answer + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, serve) = (stream.unwrap(), serve.clone());
            let requests = AtomicU32::new(0);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
                    let answer = serve(requests.fetch_add(1, Ordering::Relaxed));
                    thread::sleep(answer.after);
                    if stream.write_all(answer.text.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[derive(Clone)]
struct Answer {
    after: Duration,
    text: &'static str,
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK";

/// Answers at once, except for one request, which it lets wait.
pub fn stalls_once(for_how_long: Duration) -> SocketAddr {
    http_server(move |request| {
        let after = if request == 50 { for_how_long } else { Duration::ZERO };
        Answer { after, text: FINE }
    })
}

/// Is always full.
pub fn always_refuses() -> SocketAddr {
    let text = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull";
    http_server(move |_request| Answer { after: Duration::ZERO, text })
}

/// Accepts everything and answers nothing.
pub fn never_answers() -> SocketAddr {
    http_server(|_request| Answer { after: Duration::from_hours(1), text: FINE })
}

/// A short load.
pub fn spec(workload: Workload, target: Target) -> Spec {
    Spec {
        connections: 2,
        in_flight: 2,
        threads: 2,
        warm_up: Duration::from_millis(20),
        window: Duration::from_millis(200),
        keys: 2_000,
        watchers: 10,
        ..Spec::new(workload, target)
    }
}
