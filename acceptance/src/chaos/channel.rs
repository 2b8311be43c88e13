//! How clients connect: patiently, but not for ever, and with a pulse.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tonic::transport::{Channel, Endpoint};

const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const PULSE: Duration = Duration::from_secs(1);
const PULSE_LIMIT: Duration = Duration::from_millis(1_500);

/// A connection that is made when it is needed, and again when it is lost.
pub fn channel(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(PULSE)
        .keep_alive_timeout(PULSE_LIMIT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}
