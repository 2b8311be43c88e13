//! A gRPC server around the probe.

use std::{net::SocketAddr, time::Duration};

use configapi_runtime::{
    grpc::{self, GrpcLimits, GrpcServer, Health},
    metrics::Metrics,
    shutdown::{Exit, Lifecycle},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Caller, Probe, soon};

/// A running server.
pub struct TestServer {
    pub address: SocketAddr,
    pub probe: Probe,
    pub health: Health,
    pub life: Lifecycle,
    pub metrics: Metrics,
    finished: JoinHandle<Exit>,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(GrpcLimits::default(), Duration::from_secs(30)).await
    }

    pub async fn with(limits: GrpcLimits, drain_limit: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (probe, health) = (Probe::default(), Health::default());
        let life = Lifecycle::new(drain_limit);
        let metrics = Metrics::new("test", "0");
        let server = GrpcServer {
            name: "probe",
            service: probe.clone(),
            descriptors: configapi_proto::FILE_DESCRIPTOR_SET,
            health: health.clone(),
            elsewhere: "all else is elsewhere",
            limits,
        };
        let (counted, lived) = (metrics.clone(), life.clone());
        life.spawn_critical("server", async move {
            grpc::serve(listener, server, &counted, &lived).await
        });
        let finished = tokio::spawn(life.clone().finish());
        Self { address, probe, health, life, metrics, finished }
    }

    pub async fn caller(&self) -> Caller {
        Caller::connect(self.address).await
    }

    /// Waits until the server has ended.
    pub async fn finished(self) -> Exit {
        soon(self.finished).await.expect("finish does not panic")
    }

    /// The value of a metric, by its name and labels as they are rendered.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let page = self.metrics.render().expect("renders");
        let line = page.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}
