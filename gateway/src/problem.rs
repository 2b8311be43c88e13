//! Everything that goes wrong, as clients are told: RFC 9457 problem details for those who accept
//! JSON, a short text for everybody else. A handler says what happened; the edge words it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use configapi_proto::{ApiError, Reason};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accepts::Format;
use crate::json::TEXT;
use crate::words;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why there is no better answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: Code,
    error: Box<ApiError>,
    conditional: bool,
    /// The exact text for those who do not accept JSON, where it is not the message.
    text: Option<&'static str>,
}

/// What kind of problem it is: a reason that all of `ConfigApi` knows, or something that only HTTP
/// has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Reason(Reason),
    NoSuchRoute,
    MethodNotAllowed,
    BodyTooLarge,
    UnsupportedMediaType,
    OriginNotAllowed,
    HostNotAllowed,
    RequestTimeout,
}

impl Code {
    /// All problems, those of HTTP last.
    pub fn all() -> impl Iterator<Item = Self> {
        Reason::ALL.into_iter().map(Self::Reason).chain(Self::OF_HTTP)
    }

    const OF_HTTP: [Self; 7] = [
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::OriginNotAllowed,
        Self::HostNotAllowed,
        Self::RequestTimeout,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.as_str(),
            Self::NoSuchRoute => "NO_SUCH_ROUTE",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            Self::HostNotAllowed => "HOST_NOT_ALLOWED",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
        }
    }

    /// The short sentence that is the same for every such problem.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Reason(reason) => words::sentence(reason),
            Self::NoSuchRoute => "there is nothing at this path",
            Self::MethodNotAllowed => "this path does not have this method",
            Self::BodyTooLarge => "the request's body is too large",
            Self::UnsupportedMediaType => "the request's body is in a form that is not understood",
            Self::OriginNotAllowed => "pages of this web origin may not change configs",
            Self::HostNotAllowed => "the gateway does not answer to this host name",
            Self::RequestTimeout => "the request's body came too slowly",
        }
    }

    pub fn status(self, conditional: bool) -> StatusCode {
        match self {
            Self::Reason(reason) => {
                let status = if conditional {
                    reason.http_status_conditional()
                } else {
                    reason.http_status()
                };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::OriginNotAllowed | Self::HostNotAllowed => StatusCode::FORBIDDEN,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// Where the problem is explained: a part of the documentation page.
    pub fn uri(self) -> String {
        format!("/docs#{}", self.as_str())
    }

    /// The text that old clients know. It means that there is no such config, and nothing else.
    const fn old_text(self) -> Option<&'static str> {
        match self {
            Self::Reason(Reason::ConfigNotFound) => Some("Not Found"),
            Self::Reason(Reason::ConfigAlreadyDeleted) => Some("Gone"),
            _ => None,
        }
    }
}

/// Problem details, as RFC 9457 has them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details<'a> {
    /// Where this kind of problem is explained.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: String,
    /// What kind of problem it is, for people.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened, for people.
    detail: &'a str,
    /// What kind of problem it is, for machines, such as `VERSION_CONFLICT`.
    code: &'a str,
    /// What the request is called in the logs.
    request_id: &'a str,
    /// Which parts of the request are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong<'a>>,
    /// Details that depend on the code, such as `actual_version`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: &'a BTreeMap<Cow<'static, str>, String>,
}

/// A part of the request that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemField)]
pub(crate) struct Wrong<'a> {
    /// Which part, such as `commands[3].name`.
    field: &'a str,
    /// What it wants.
    detail: &'a str,
}

impl Problem {
    /// A problem of HTTP itself.
    pub fn http(code: Code, detail: impl Into<String>) -> Self {
        // The reason is not told; it only carries the sentence.
        let error = Box::new(ApiError::new(Reason::InvalidArgument, detail));
        Self { code, error, conditional: false, text: None }
    }

    /// With the text that old clients know.
    pub fn with_text(mut self, text: &'static str) -> Self {
        self.text = Some(text);
        self
    }

    /// With the whole message for everybody: of one command among many, the text that old clients know
    /// does not say which.
    pub fn in_full(mut self) -> Self {
        self.text = None;
        self
    }

    /// The problem of a request that came with a precondition.
    pub fn of_conditional(error: ApiError) -> Self {
        Self { conditional: true, ..Self::from(error) }
    }

    /// The details as JSON.
    pub fn details(&self, request_id: &str) -> String {
        let violations = self.error.field_violations.iter();
        let details = Details {
            kind: self.code.uri(),
            title: self.code.title(),
            status: self.status().as_u16(),
            detail: &self.error.message,
            code: self.code.as_str(),
            request_id,
            errors: violations
                .map(|it| Wrong { field: &it.field, detail: &it.description })
                .collect(),
            metadata: &self.error.metadata,
        };
        serde_json::to_string(&details).unwrap_or_default()
    }

    pub fn status(&self) -> StatusCode {
        self.code.status(self.conditional)
    }

    /// Whether the same request may succeed later.
    pub fn passes(&self) -> bool {
        matches!(self.code, Code::Reason(reason) if reason.worth_repeating())
    }

    /// How long to wait before that, if somebody knows.
    pub fn retry_after(&self) -> Option<Duration> {
        self.error.retry_after
    }

    /// The problem in the client's words. The headers that the response has already are kept.
    pub fn worded(&self, mut response: Response, format: Format, request_id: &str) -> Response {
        let (content_type, body) = match format {
            Format::Json => (PROBLEM_JSON, Body::from(self.details(request_id))),
            Format::Text => match self.text {
                Some(text) => (TEXT, Body::from(text)),
                None => (TEXT, Body::from(self.error.message.clone())),
            },
        };
        *response.body_mut() = body;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        // Else caches may keep some, such as a 404, for as long as they like.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.append(VARY, HeaderValue::from_static("accept"));
        if let Some(wait) = self.error.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let code = Code::Reason(error.reason);
        Self { code, error: Box::new(error), conditional: false, text: code.old_text() }
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        ApiError::from(reason).into()
    }
}

impl IntoResponse for Problem {
    /// A response for the edge to word.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}
