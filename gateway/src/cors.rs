//! Which web pages may use the gateway from a browser. There is no login here, so a page of any
//! origin could otherwise change configs through the browser of somebody who can reach the gateway.

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::hosts;
use crate::settings::Origin;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, content-type, if-match, if-none-match, idempotency-key, last-event-id, prefer, \
     configapi-actor, configapi-reason, configapi-token, traceparent, x-request-id",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "allow, configapi-content-type, configapi-token, etag, link, preference-applied, retry-after, \
     x-request-id",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Where a request comes from, as far as browsers say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// From no web page, or from one of the gateway's own.
    Here,
    /// From a page of an origin that may do everything.
    Allowed(HeaderValue),
    /// From a page of any other origin.
    Elsewhere,
}

impl From {
    pub fn of(headers: &HeaderMap, uri: &Uri, allowed: &[Origin]) -> Self {
        let Some(origin) = headers.get(ORIGIN) else { return Self::Here };
        let host = hosts::called(headers, uri);
        let origin_uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let origin_host = origin_uri.as_ref().and_then(Uri::authority);
        if origin_host.is_some_and(|origin| host == Some(origin.as_str())) {
            return Self::Here;
        }
        let listed = allowed.iter().any(|allowed| match allowed {
            Origin::Any => true,
            Origin::One(one) => one == origin,
        });
        let this_machine = origin_host
            .is_some_and(|origin| matches!(origin.host(), "localhost" | "127.0.0.1" | "[::1]"));
        if listed || this_machine { Self::Allowed(origin.clone()) } else { Self::Elsewhere }
    }

    /// Whether a request with this method may be handled. Browsers do not ask before they send
    /// simple writes, so those are refused here.
    pub fn may(&self, method: &Method) -> bool {
        *self != Self::Elsewhere || matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Tells the browser what its page may see and do.
    pub fn tell(self, asked_before: bool, response: &mut Response) {
        let Self::Allowed(origin) = self else { return };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("origin"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if asked_before {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
    }
}

/// Whether a browser asks before its page's request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
