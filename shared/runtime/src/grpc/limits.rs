//! What a gRPC server puts up with, every number by name. HTTP/2's own limits are shared with the
//! REST server.

use std::time::Duration;

use hyper_util::server::conn::auto::Http2Builder;

use crate::connections::ConnectionLimits;

/// How long a client may take to take a message of a stream.
pub(crate) const MESSAGE_TIMEOUT: Duration = Duration::from_hours(1);

/// All limits of one gRPC server.
#[derive(Debug, Clone, Default)]
pub struct GrpcLimits {
    /// Per listener.
    pub connections: ConnectionLimits,
    /// Per connection.
    pub http2: Http2Limits,
    /// Per call.
    pub calls: CallLimits,
}

/// What one HTTP/2 connection may ask for.
#[derive(Debug, Clone)]
pub struct Http2Limits {
    /// Streams open at once on one connection.
    pub max_concurrent_streams: u32,
    /// Bytes a client may send on one stream before they are read. So little that a client who waits here
    /// is not taken for one who floods: what arrived and was not read yet is also counted by its frames, at
    /// 256 bytes each, and a connection that comes to half of its window in this way is closed.
    pub stream_window: u32,
    /// Bytes a client may send on one connection before they are read.
    pub connection_window: u32,
    /// The largest frame.
    pub max_frame_size: u32,
    /// The largest set of request headers.
    pub max_header_list_size: u32,
    /// Bytes that may wait to be sent on one stream.
    pub max_send_buffer: usize,
    /// How often a silent client is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long it may take to answer that.
    pub keepalive_timeout: Duration,
    /// Streams a client may open and reset before we got to them ("rapid reset").
    pub max_pending_reset_streams: usize,
    /// Streams we may have to reset for a client's errors.
    pub max_local_error_resets: usize,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 1_000,
            stream_window: 64 * 1024,
            connection_window: 8 * 1024 * 1024,
            max_frame_size: 64 * 1024,
            max_header_list_size: 16 * 1024,
            max_send_buffer: 512 * 1024,
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(10),
            max_pending_reset_streams: 50,
            max_local_error_resets: 200,
        }
    }
}

impl Http2Limits {
    pub(crate) fn apply_to<E>(&self, builder: &mut Http2Builder<'_, E>) {
        builder
            .max_concurrent_streams(self.max_concurrent_streams)
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .max_frame_size(self.max_frame_size)
            .max_header_list_size(self.max_header_list_size)
            .max_send_buf_size(self.max_send_buffer)
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            .max_pending_accept_reset_streams(self.max_pending_reset_streams)
            .max_local_error_reset_streams(self.max_local_error_resets);
    }
}

/// What one call may take.
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// How long a call may take until its answer begins, if the client set no deadline.
    pub default_timeout: Duration,
    /// The longest a client may ask a call to take until its answer begins.
    pub max_timeout: Duration,
    /// How long a client may pause within a request that is one message, if its call may take longer.
    pub request_pause_timeout: Duration,
    /// Calls whose request has come and whose answer has not begun; one more is refused with
    /// `LIMIT_EXCEEDED`. Half of the places are for connections with fewer than 100 such calls. Questions
    /// about health are not among them.
    pub max_waiting_calls: usize,
    /// How long a client may take to take an answer, beyond the time in which it must begin; and a message
    /// of an answer to a stream of its own. Streams go on for ever, unless their client set a deadline.
    pub answer_timeout: Duration,
    /// How long a client may take to take a message of a stream that it only listens to: who works slowly
    /// on what it hears is not given up soon, but who is stuck does not keep its place for ever.
    pub message_timeout: Duration,
    /// Bytes of large answers that clients have not taken yet; one more is refused with
    /// `LIMIT_EXCEEDED`. None where an answer says what was done, so that it must not be refused.
    pub max_answer_bytes: Option<usize>,
    /// Bytes of large requests that have not come to their end; one more is refused with
    /// `LIMIT_EXCEEDED`.
    pub max_body_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(10),
            max_timeout: Duration::from_mins(2),
            request_pause_timeout: Duration::from_secs(10),
            max_waiting_calls: 5_000,
            answer_timeout: Duration::from_mins(2),
            message_timeout: MESSAGE_TIMEOUT,
            max_answer_bytes: Some(256 * 1024 * 1024),
            max_body_bytes: 256 * 1024 * 1024,
        }
    }
}
