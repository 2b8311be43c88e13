//! By which names the gateway may be called. A browser believes that a page belongs to the gateway if
//! both have one name, and whoever owns a name can let it point anywhere, this machine included. So a
//! gateway that only this machine reaches answers to no name that somebody else may own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Uri, Version};

use crate::asked::{invalid_header, only};
use crate::problem::{Code, Problem};
use crate::settings::HostName;

/// The names that a gateway answers to, beside addresses and `localhost`, which nobody can own.
#[derive(Debug, Clone)]
pub(crate) enum Hosts {
    Any,
    These(Arc<[HostName]>),
}

impl Hosts {
    /// Those that the setting names. Where it names none, that depends on who reaches the gateway.
    pub fn of(named: &[HostName], listens_on: Option<SocketAddr>) -> Self {
        // 127.0.0.1 may be written as an address of IPv6.
        let only_this_machine =
            listens_on.is_some_and(|address| address.ip().to_canonical().is_loopback());
        let any =
            if named.is_empty() { !only_this_machine } else { named.contains(&HostName::Any) };
        if any { Self::Any } else { Self::These(named.into()) }
    }

    /// Refuses a request that was sent to a name which the gateway does not answer to, and one of which
    /// somebody before the gateway may think that it was sent to another name than this.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let (headers, uri) = (request.headers(), request.uri());
        match (only(headers, &HOST)?, uri.authority()) {
            (None, _) if request.version() == Version::HTTP_11 => {
                return Err(invalid_header(&HOST, "is missing"));
            }
            (Some(host), Some(authority)) if !agree(host.as_bytes(), authority, uri.scheme()) => {
                let wants = "must be the host that the target of the request names";
                return Err(invalid_header(&HOST, wants));
            }
            _ => {}
        }
        if self.allow(headers, uri) {
            return Ok(());
        }
        let detail = "the gateway is not known by the name that this request was sent to";
        Err(Problem::http(Code::HostNotAllowed, detail))
    }

    fn allow(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let Self::These(names) = self else { return true };
        // Browsers always say whom they call.
        let Some(host) = called(headers, uri) else { return true };
        let name = without_port(host);
        is_address(name)
            || is_localhost(name)
            || names.iter().any(|known| matches!(known, HostName::One(one) if same(one, name)))
    }
}

/// Whom a request is for, as far as it says: first by its target, as RFC 9112 has it.
pub(crate) fn called<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    let host = || headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    uri.authority().map(Authority::as_str).or_else(host)
}

/// Whether both name the same host and port, said or not.
fn agree(host: &[u8], authority: &Authority, scheme: Option<&Scheme>) -> bool {
    let port: &[u8] = if scheme == Some(&Scheme::HTTPS) { b":443" } else { b":80" };
    let bare = |name: &'_ [u8]| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
    let authority = authority.as_str().as_bytes();
    host == authority || bare(host) == bare(authority)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn is_address(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    inner.unwrap_or(name).parse::<IpAddr>().is_ok()
}

/// RFC 6761: these names are this machine, for everybody.
fn is_localhost(name: &str) -> bool {
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next();
    last.is_some_and(|label| label.eq_ignore_ascii_case("localhost"))
}

fn same(known: &str, name: &str) -> bool {
    known.eq_ignore_ascii_case(name.strip_suffix('.').unwrap_or(name))
}
