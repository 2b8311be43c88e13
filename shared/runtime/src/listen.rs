//! Where a server listens, as a setting: read at the start, looked up and bound in one way for all
//! programs.

use std::{fmt, io, net::SocketAddr, str::FromStr};

use tokio::net::TcpListener;

/// A host, by its name or by its address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress(String);

/// A text that is no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address like 127.0.0.1:4000, localhost:4000 or [::1]:4000")]
pub struct NotAnAddress;

/// A server cannot listen where it shall. Says in one line at which setting, where and why.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on {address}: {error}")]
pub struct CannotListen {
    setting: &'static str,
    address: ListenAddress,
    error: io::Error,
}

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_host = !host.is_empty() && host.bytes().all(is_name) && port.parse::<u16>().is_ok();
        if is_host || text.parse::<SocketAddr>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnAddress)
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ListenAddress {
    /// Listens there, on the first of the host's addresses that can be had. `setting` is what the error
    /// calls it.
    pub async fn bind(&self, setting: &'static str) -> Result<TcpListener, CannotListen> {
        let bound = TcpListener::bind(self.0.as_str()).await;
        bound.map_err(|error| CannotListen { setting, address: self.clone(), error })
    }
}
