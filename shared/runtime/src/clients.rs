//! How our processes call each other: a gRPC channel that connects when first used, notices a dead
//! peer, and never waits for ever.

use std::time::Duration;

use http::Uri;
use tonic::transport::{Channel, Endpoint};

/// What one outbound channel puts up with.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a connection is silent before the peer is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long the peer may take to answer that.
    pub keepalive_timeout: Duration,
    /// Bytes that may be under way on one call before the reader has taken them.
    pub stream_window: u32,
    /// Bytes that may be under way on one connection before the readers have taken them.
    pub connection_window: u32,
    /// Requests that may wait for the connection; one more waits in its caller.
    pub buffer: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(5),
            stream_window: 2 * 1024 * 1024,
            connection_window: 8 * 1024 * 1024,
            buffer: 1024,
        }
    }
}

/// An endpoint with every limit set; deadlines are each call's own (`Request::set_timeout`).
pub fn endpoint(uri: Uri, limits: &ClientLimits) -> Endpoint {
    Endpoint::from(uri)
        .connect_timeout(limits.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(limits.keepalive_interval))
        .http2_keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .buffer_size(limits.buffer)
}

/// A channel that connects when it is first used, and again after every loss. Needs a running tokio
/// runtime.
pub fn lazy_channel(uri: Uri, limits: &ClientLimits) -> Channel {
    endpoint(uri, limits).connect_lazy()
}
