//! `configapi healthcheck`: whether one server is healthy, for whoever restarts servers. Answers
//! within its timeout, whatever the server does.

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use configapi_runtime::settings;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::Uri;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::arguments::{Url, has_user};
use crate::client::channel;
use crate::failure::Failure;
use crate::output::terminal::say;

/// What a server that is not healthy makes this exit with: container runtimes want exactly 1.
const EXIT_UNHEALTHY: u8 = 1;

/// Check whether one server is healthy
///
/// Prints nothing and exits with 0 if it is, else says why not and exits with 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi healthcheck
  configapi healthcheck --url grpc://127.0.0.1:50051
  configapi healthcheck --url http://127.0.0.1:4000/v1/health --timeout 1s")]
pub struct HealthcheckArguments {
    /// The server: grpc://host:port asks gRPC health, http://host:port/path wants a status of 2xx
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:4000/v1/health",
        value_parser = Url::<Target>::default()
    )]
    url: Target,

    /// How long the answer may take
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "3s",
        value_parser = settings::duration
    )]
    timeout: Duration,
}

/// Whom to ask, and how.
#[derive(Debug, Clone)]
enum Target {
    Grpc(Uri),
    Http(Uri),
}

/// A text that names nobody to ask.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be grpc://host:port or http://host:port/path, without a user")]
struct NotATarget;

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let (scheme, rest) = text.split_once("://").ok_or(NotATarget)?;
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| NotATarget)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(NotATarget)?;
        // What stands behind the host and is no port may be the beginning of a password.
        let is_host_only = uri.authority().is_some_and(|authority| authority.as_str() == host);
        if has_user(&uri) || !(is_host_only || uri.port_u16().is_some()) {
            return Err(NotATarget);
        }
        match scheme {
            "grpc" if uri.port().is_some() => Ok(Self::Grpc(uri)),
            "http" => Ok(Self::Http(uri)),
            _ => Err(NotATarget),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(uri) => {
                write!(f, "grpc://{}", uri.authority().map(ToString::to_string).unwrap_or_default())
            }
            Self::Http(uri) => uri.fmt(f),
        }
    }
}

pub async fn run(arguments: HealthcheckArguments) -> Result<ExitCode, Failure> {
    let HealthcheckArguments { url, timeout: limit } = arguments;
    let asked = async {
        match &url {
            Target::Grpc(uri) => ask_grpc(uri).await,
            Target::Http(uri) => ask_http(uri).await,
        }
    };
    let why = match timeout(limit, asked).await {
        Ok(Ok(())) => return Ok(ExitCode::SUCCESS),
        Ok(Err(why)) => why,
        Err(_) => format!("no answer within {limit:?}"),
    };
    say(&format!("{url} is not healthy: {why}"));
    Ok(ExitCode::from(EXIT_UNHEALTHY))
}

async fn ask_grpc(uri: &Uri) -> Result<(), String> {
    let request = Request::new(HealthCheckRequest::default());
    let answer = HealthClient::new(channel(uri)).check(request).await;
    match answer.map_err(|status| format!("{:?}", status.code()))?.get_ref().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(status.as_str_name().to_owned()),
    }
}

async fn ask_http(uri: &Uri) -> Result<(), String> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80)))
        .await
        .map_err(|error| error.kind().to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = hyper::Request::get(path)
        .header(HOST, uri.authority().map(ToString::to_string).unwrap_or_default())
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
}
