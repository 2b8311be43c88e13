//! Clients with as little in them as can be, because every microsecond they take is missing on the
//! server's side of the machine: gRPC straight on `h2`, and HTTP/1.1 straight on a socket.

mod grpc;
mod http1;

use std::io;

pub use self::{
    grpc::{Channel, Frames, Method, frame, frame_into},
    http1::HttpConnection,
};

/// A call that was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    /// HTTP/2 failed.
    #[error("the stream failed: {0}")]
    Stream(#[from] h2::Error),
    /// The server answered with an error.
    #[error("the server answered with status {code}: {message}")]
    Status {
        /// The gRPC or HTTP status.
        code: u16,
        /// What the server said.
        message: String,
    },
    /// The answer is none.
    #[error("the answer cannot be read: {0}")]
    Malformed(&'static str),
    /// The answer is not of the expected type.
    #[error("the answer cannot be decoded: {0}")]
    Undecodable(#[from] prost::DecodeError),
    /// The answer is wrong.
    #[error("the answer is wrong: {0}")]
    Wrong(&'static str),
}
