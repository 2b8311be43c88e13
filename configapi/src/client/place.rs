//! What to say of a call that no server of ours answered: where it went, which setting says so, and
//! what seems to be there instead.

use std::error::Error;
use std::iter;

use configapi_proto::{ApiError, Reason};
use tonic::transport::Uri;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::arguments::Servers;
use crate::failure::Failure;

/// Servers of one kind: where they should be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    servers: Servers,
    /// `query` or `command`, as their setting has it.
    which: &'static str,
}

impl Place {
    pub fn new(servers: &Servers, which: &'static str) -> Self {
        Self { servers: servers.clone(), which }
    }

    /// How many servers are named.
    pub fn servers(&self) -> usize {
        self.servers.uris().len()
    }

    /// What to say of a call that ended like this at the server of this attempt, if nobody may know
    /// better than `error`.
    pub fn failure(&self, mut error: ApiError, status: &Status, attempt: usize) -> Failure {
        if ApiError::of_our_server(status).is_some() {
            return error.into();
        }
        let (url, which) = (self.url(attempt), self.which);
        let mut hint = where_it_is(which);
        // Not the moment is wrong, but the place.
        let mut is_elsewhere = false;
        let mut what = if is_connect_error(status) {
            hint = format!("`configapi serve` starts one; {hint}");
            is_elsewhere = true;
            format!("there is no {which} server at {}", self.urls())
        } else if speaks_otherwise(status) {
            is_elsewhere = true;
            format!(
                "what listens at {url} does not speak gRPC in plaintext: is it TLS, HTTP/1 or \
                 another service?"
            )
        } else if is_timeout(status) {
            format!("no answer from {url} in time")
        } else if let Some(cause) = causes(status).last() {
            format!("the connection to {url} broke: {cause}")
        } else {
            format!("{url} answers, but not as a {which} server does: {}", error.message)
        };
        if error.reason == Reason::Unavailable && is_elsewhere {
            return Failure::try_again(format!("{what} ({})", error.reason)).with_hint(hint);
        }
        if error.reason == Reason::OutcomeUnknown && status.source().is_some() {
            what.push_str("; the command may or may not have been written");
        }
        error.message = what;
        Failure::from(error).with_hint(hint)
    }

    /// Says so if what answers is not the server that was meant.
    pub fn other_server(&self, status: &Status, attempt: usize) -> Option<Failure> {
        has_other_methods(status).then(|| self.no_such_server(attempt))
    }

    /// What answers is not the server that was meant.
    pub fn no_such_server(&self, attempt: usize) -> Failure {
        let message = format!("what answers at {} is no {} server", self.url(attempt), self.which);
        Failure::usage(message).with_hint(where_it_is(self.which))
    }

    /// As `failure`, unless what answers is not the server that was meant.
    pub fn failure_or_other(&self, error: ApiError, status: &Status, attempt: usize) -> Failure {
        self.other_server(status, attempt).unwrap_or_else(|| self.failure(error, status, attempt))
    }

    /// Where an attempt goes: the servers are asked in turn.
    fn url(&self, attempt: usize) -> String {
        let uris = self.servers.uris();
        uris.get(attempt % uris.len().max(1)).map(url).unwrap_or_default()
    }

    fn urls(&self) -> String {
        self.servers.uris().iter().map(url).collect::<Vec<_>>().join(", ")
    }
}

/// Whether there was no connection to begin with.
pub(super) fn is_connect_error(status: &Status) -> bool {
    causes(status).any(<dyn Error>::is::<ConnectError>)
}

/// How a call ends that had no answer in time, if nobody else says so.
pub fn no_answer_in_time() -> Status {
    Status::from_error(Box::new(TimeoutExpired(())))
}

/// Whether the time of the call was over before there was an answer.
pub(super) fn is_timeout(status: &Status) -> bool {
    causes(status).any(<dyn Error>::is::<TimeoutExpired>)
}

/// Whether what came back is no HTTP/2 at all. A server that speaks it may break off a call, and says
/// so; here it is this side that could not read what it got.
pub fn speaks_otherwise(status: &Status) -> bool {
    let is_unreadable = |error: &h2::Error| {
        let reason = error.reason();
        error.is_go_away()
            && error.is_library()
            && matches!(reason, Some(h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR))
    };
    causes(status).any(|error| error.downcast_ref().is_some_and(is_unreadable))
}

/// Why the transport made up this status. One that came over the wire has no cause.
fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(status.source(), |&error| error.source())
}

/// Whether somebody answered who knows no such method and so has done nothing: a gRPC server says
/// that, and a web server that it has no such page, which tonic tells in words only.
fn has_other_methods(status: &Status) -> bool {
    let message = status.message();
    status.code() == Code::Unimplemented
        || (status.code() == Code::Internal
            && message.contains("invalid compression flag")
            && message.ends_with("status: 404 Not Found"))
}

fn url(uri: &Uri) -> String {
    uri.to_string().trim_end_matches('/').to_owned()
}

fn where_it_is(which: &str) -> String {
    format!("--{which}-url or CONFIGAPI_{}_URL says where it is", which.to_uppercase())
}
