//! Answers as responses: content types, entity tags and tokens.

use axum::body::Body;
use axum::response::Response;
use configapi_proto::Reason;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use crate::app::Answer;
use crate::asked::TOKEN;

pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A text. Values are whatever people wrote, so browsers are told not to guess what they are.
pub(crate) fn text(body: impl Into<Body>) -> Response {
    with_type(TEXT, body)
}

/// A JSON document.
pub(crate) fn json(document: &impl Serialize) -> Answer {
    match serde_json::to_vec(document) {
        Ok(bytes) => Ok(with_type(JSON, bytes)),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Err(Reason::Internal.into())
        }
    }
}

/// A body of this type.
pub(crate) fn with_type(content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What can be read again may have changed, and may look different to others.
pub(crate) fn revalidate(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
}

/// Adds an entity tag and a token, where there are any.
pub(crate) fn stamp(headers: &mut HeaderMap, tag: Option<HeaderValue>, token: Option<HeaderValue>) {
    if let Some(tag) = tag {
        headers.insert(ETAG, tag);
    }
    if let Some(token) = token {
        headers.insert(TOKEN, token);
    }
}

/// The answer to a client that has it already.
pub(crate) fn not_modified(tag: Option<HeaderValue>, token: Option<HeaderValue>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    revalidate(response.headers_mut());
    stamp(response.headers_mut(), tag, token);
    response
}
