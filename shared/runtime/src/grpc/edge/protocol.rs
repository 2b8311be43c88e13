//! Whether a request is one of gRPC at all. What comes as something else may mean something else, so
//! nothing is made of it, and it is told so in HTTP's own words, as the gRPC specification wants it: a
//! client of another protocol would take 200 for success.

use http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE};
use tonic::Status;

use crate::grpc::refusal;

const GRPC: &[u8] = b"application/grpc";

/// A request that is not of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotGrpc {
    Method,
    ContentType,
}

impl NotGrpc {
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    pub fn status(self) -> Status {
        match self {
            Self::Method => refusal::not_posted(),
            Self::ContentType => refusal::other_content_type(),
        }
    }
}

pub(super) fn check<B>(request: &Request<B>) -> Result<(), NotGrpc> {
    if *request.method() != Method::POST {
        return Err(NotGrpc::Method);
    }
    if !says_grpc(request.headers()) {
        return Err(NotGrpc::ContentType);
    }
    Ok(())
}

/// Whether the content type is gRPC's, with whatever encoding of messages or parameters behind it. That
/// of gRPC-Web begins alike and is another protocol.
fn says_grpc(headers: &HeaderMap) -> bool {
    let content_type =
        headers.get(CONTENT_TYPE).map(|value| value.as_bytes().split_at_checked(GRPC.len()));
    let Some(Some((essence, rest))) = content_type else { return false };
    essence.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_content_type_of_grpc_is_told_from_those_of_others() {
        let says = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            says_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        for grpc in ["application/grpc", "Application/gRPC", "application/grpc+proto"] {
            assert!(says(grpc), "{grpc}");
        }
        assert!(says("application/grpc; charset=utf-8"));
        for other in ["", "application/grp", "application/grpc-web", "application/grpc-web+proto"] {
            assert!(!says(other), "{other}");
        }
        assert!(!says("application/grpcs") && !says("application/json"));
        assert!(!says_grpc(&HeaderMap::new()));
    }
}
