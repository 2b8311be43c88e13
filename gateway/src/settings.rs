//! What a gateway is told at start, and what it puts up with.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use configapi_runtime::listen::ListenAddress;
use configapi_runtime::settings;
use http::uri::Authority;
use http::{HeaderValue, Uri};

/// What errors call the setting of where it listens.
pub const GATEWAY_ADDR: &str = "--gateway-addr (CONFIGAPI_GATEWAY_ADDR)";

/// The settings of the gateway itself.
#[derive(Debug, Clone, clap::Args)]
pub struct GatewaySettings {
    /// Where the gateway listens for HTTP
    #[arg(
        long,
        env = "CONFIGAPI_GATEWAY_ADDR",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4000"
    )]
    pub gateway_addr: ListenAddress,

    /// How long the gateway waits for a server's answer
    #[arg(
        long,
        env = "CONFIGAPI_GATEWAY_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = settings::some_duration
    )]
    pub gateway_timeout: Duration,

    /// How many requests are handled at once; one more is told to come again
    #[arg(
        long,
        env = "CONFIGAPI_GATEWAY_MAX_REQUESTS",
        value_name = "NUMBER",
        default_value_t = GatewayLimits::default().max_requests,
        value_parser = settings::some
    )]
    pub gateway_max_requests: usize,

    /// How many watches are open at once
    #[arg(
        long,
        env = "CONFIGAPI_GATEWAY_MAX_WATCHES",
        value_name = "NUMBER",
        default_value_t = GatewayLimits::default().max_watches,
        value_parser = settings::number
    )]
    pub gateway_max_watches: usize,

    /// Web origins beside the gateway's own and this machine's whose pages may read and change
    /// configs: a comma-separated list like `https://admin.example.com`, or * for all
    #[arg(
        long,
        env = "CONFIGAPI_GATEWAY_CORS_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub gateway_cors_origins: Vec<Origin>,

    /// Names by which the gateway may be called, beside addresses and localhost: a comma-separated
    /// list like `config.example.com`, or * for all. Unless set, all if other machines reach it, and
    /// none if only this one does
    #[arg(long, env = "CONFIGAPI_GATEWAY_HOSTS", value_name = "NAMES", value_delimiter = ',')]
    pub gateway_hosts: Vec<HostName>,
}

impl GatewaySettings {
    /// The limits that these settings ask for.
    pub fn limits(&self) -> GatewayLimits {
        GatewayLimits {
            timeout: self.gateway_timeout,
            max_requests: self.gateway_max_requests,
            max_watches: self.gateway_max_watches,
            cors_origins: self.gateway_cors_origins.clone(),
            hosts: self.gateway_hosts.clone(),
            ..GatewayLimits::default()
        }
    }
}

/// Which servers a gateway of its own talks to.
#[derive(Debug, Clone, clap::Args)]
pub struct UpstreamSettings {
    /// The command server
    #[arg(
        long,
        env = "CONFIGAPI_COMMAND_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:50051",
        value_parser = server_url
    )]
    pub command_url: Uri,

    /// The query servers: one URL, or a comma-separated list over which reads are spread
    #[arg(
        long,
        env = "CONFIGAPI_QUERY_URL",
        hide_env_values = true,
        value_name = "URLS",
        default_value = "http://127.0.0.1:50052",
        value_delimiter = ',',
        value_parser = server_url
    )]
    pub query_url: Vec<Uri>,
}

/// What one gateway puts up with.
#[derive(Debug, Clone)]
pub struct GatewayLimits {
    /// How long a server may take to answer, unless the client said `Prefer: wait`.
    pub timeout: Duration,
    /// The longest that a client may ask to wait.
    pub max_wait: Duration,
    /// Requests handled at once, watches not counted. Half of the places are for connections with fewer
    /// than 100 requests.
    pub max_requests: usize,
    /// Watches open at once.
    pub max_watches: usize,
    /// How often an idle watch shows life.
    pub heartbeat: Duration,
    /// All bytes of large request bodies that are held at once, from their first until they are answered.
    pub max_body_bytes_held: usize,
    /// Web origins that may do everything, beside the gateway's own and this machine's.
    pub cors_origins: Vec<Origin>,
    /// Names by which the gateway may be called; if there are none, that depends on where it listens.
    pub hosts: Vec<HostName>,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_wait: Duration::from_mins(1),
            max_requests: 2_000,
            max_watches: 1_000,
            heartbeat: Duration::from_secs(10),
            max_body_bytes_held: 256 << 20,
            cors_origins: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// A web origin, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`.
    Any,
    /// One, as browsers send it: `https://admin.example.com`.
    One(HeaderValue),
}

/// A text that is no web origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnOrigin;

impl fmt::Display for NotAnOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an origin like https://admin.example.com, nor *")
    }
}

impl std::error::Error for NotAnOrigin {}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        let (scheme, place) = text.split_once("://").ok_or(NotAnOrigin)?;
        let scheme = scheme.to_ascii_lowercase();
        // Of these browsers say it in small letters, and no port that goes without saying.
        let small = place.to_ascii_lowercase();
        let place = match scheme.as_str() {
            "http" => small.strip_suffix(":80").unwrap_or(&small),
            "https" => small.strip_suffix(":443").unwrap_or(&small),
            _ => place,
        };
        let place: Authority = place.parse().map_err(|_| NotAnOrigin)?;
        let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.bytes().all(is_of_scheme) || !is_place(&place) || !is_host(place.host()) {
            return Err(NotAnOrigin);
        }
        HeaderValue::from_str(&format!("{scheme}://{place}"))
            .map(Self::One)
            .map_err(|_| NotAnOrigin)
    }
}

/// Whether this can be the host of a page: no pattern, which would match none.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_of_name),
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

/// The name of a host, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// `*`.
    Any,
    /// One, without a port: `config.example.com`.
    One(Box<str>),
}

/// A text that is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAHostName;

impl fmt::Display for NotAHostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a name like config.example.com, without scheme and port, nor *")
    }
}

impl std::error::Error for NotAHostName {}

impl FromStr for HostName {
    type Err = NotAHostName;

    fn from_str(text: &str) -> Result<Self, NotAHostName> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || !name.bytes().all(is_of_name) {
            return Err(NotAHostName);
        }
        Ok(Self::One(name.into()))
    }
}

/// A URL that no server can have.
#[derive(Debug, Clone, Copy)]
struct NotAServer;

impl fmt::Display for NotAServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a URL like http://127.0.0.1:50051, without a user")
    }
}

impl std::error::Error for NotAServer {}

fn server_url(text: &str) -> Result<Uri, NotAServer> {
    let uri: Uri = text.trim().parse().map_err(|_| NotAServer)?;
    let speaks_http = uri.scheme_str() == Some("http");
    if speaks_http && uri.authority().is_some_and(is_place) { Ok(uri) } else { Err(NotAServer) }
}

/// Whether this says a host, perhaps with a port, and nothing else. No server asks for a user, so a
/// password would be used for nothing; what stands behind a host and is no port may be the beginning
/// of one.
fn is_place(authority: &Authority) -> bool {
    let text = authority.as_str();
    !text.contains('@') && (text == authority.host() || authority.port_u16().is_some())
}
