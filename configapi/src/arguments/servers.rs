//! Where the servers are, and how long they may take.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use configapi_runtime::settings;
use tonic::transport::Uri;

use super::url::{Url, has_user};

/// The most servers that one setting may name.
const MAX_SERVERS: usize = 16;

/// The servers that read.
#[derive(Debug, Clone, Args)]
pub struct QueryServer {
    /// The query servers: one URL, or several with commas between, tried in turn
    #[arg(
        long,
        env = "CONFIGAPI_QUERY_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:50052",
        value_parser = Url::<Servers>::default()
    )]
    pub query_url: Servers,
}

/// The servers that write.
#[derive(Debug, Clone, Args)]
pub struct CommandServer {
    /// The command servers: one URL, or several with commas between, tried in turn
    #[arg(
        long,
        env = "CONFIGAPI_COMMAND_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:50051",
        value_parser = Url::<Servers>::default()
    )]
    pub command_url: Servers,
}

/// How long a command may take.
#[derive(Debug, Clone, Copy, Args)]
pub struct Patience {
    /// How long an answer may take, repeats included
    #[arg(
        long,
        env = "CONFIGAPI_TIMEOUT",
        hide_env_values = true,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = settings::duration
    )]
    pub timeout: Duration,
}

/// Servers that can stand in for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<Uri>);

/// A text that names no servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotServers {
    /// One of the names is not a URL that can be connected to.
    #[error("must be http://host:port without a user, or several of these with commas between")]
    NotAUrl,
    /// Too many.
    #[error("must be at most {MAX_SERVERS} URLs")]
    TooMany,
}

impl Servers {
    /// The servers, at least one.
    pub fn uris(&self) -> &[Uri] {
        &self.0
    }
}

impl FromStr for Servers {
    type Err = NotServers;

    fn from_str(text: &str) -> Result<Self, NotServers> {
        let uris = text.split(',').map(|url| server(url.trim())).collect::<Result<Vec<_>, _>>()?;
        if uris.len() > MAX_SERVERS {
            return Err(NotServers::TooMany);
        }
        Ok(Self(uris))
    }
}

/// The address of one gRPC server.
fn server(url: &str) -> Result<Uri, NotServers> {
    let address = url.strip_prefix("http://").or_else(|| url.strip_prefix("grpc://"));
    let address = address.ok_or(NotServers::NotAUrl)?.trim_end_matches('/');
    let uri: Uri = format!("http://{address}").parse().map_err(|_| NotServers::NotAUrl)?;
    let is_plain = uri.host().is_some_and(|host| !host.is_empty())
        && !has_user(&uri)
        && uri.port_u16().is_some()
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none();
    if is_plain { Ok(uri) } else { Err(NotServers::NotAUrl) }
}
