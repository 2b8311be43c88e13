//! What stands at a gateway's address while there is nothing behind it yet.

use std::net::SocketAddr;
use std::sync::Arc;

use configapi_gateway::{GatewayLimits, starting};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::starting::{Reserved, StandIn};
use reqwest::{Client, RequestBuilder};
use tokio::net::TcpListener;

/// A gateway that starts, and goes on starting until this is dropped.
pub struct StartingGateway {
    address: SocketAddr,
    client: Client,
    life: Lifecycle,
    _stand_in: StandIn,
}

impl StartingGateway {
    /// One that says this of why it is not ready.
    pub async fn start(why: &'static str) -> Self {
        let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let place = Reserved::new(listener).expect("an address");
        let address = place.address().expect("an address");
        let ready = Arc::new(|| Err(why.to_owned()));
        let router = starting(&GatewayLimits::default(), address, ready, &metrics, &life);
        let stand_in = place.stand_in("starting gateway", router, &life).expect("it listens");
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { address, client, life, _stand_in: stand_in }
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }
}

impl Drop for StartingGateway {
    fn drop(&mut self) {
        self.life.abort("the test is over");
    }
}
