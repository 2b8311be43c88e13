//! What a request says beside its path and body: id, trace, freshness, patience, identity. Headers
//! are moved out of the request, not copied, so this comes after everything else that reads them.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use configapi_proto::{ApiError, Token};
use configapi_runtime::request_id::RequestId;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::app::App;
use crate::body::Taken;
use crate::edge::NotAdmitted;
use crate::freshness::{Level, Wish};
use crate::problem::Problem;
use crate::query::{self, Parameters};
use crate::upstream::Along;

/// The header in which a token travels, in both directions.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("configapi-token");
/// Who changes a config.
pub(crate) const ACTOR: HeaderName = HeaderName::from_static("configapi-actor");
/// Why a config is changed.
pub(crate) const REASON: HeaderName = HeaderName::from_static("configapi-reason");
/// What makes a command repeatable.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// `wait=0` means not to wait for anything, but an answer takes its time all the same.
const MIN_WAIT: Duration = Duration::from_millis(200);

/// What a request says beside its path and body.
#[derive(Debug)]
pub(crate) struct Asked {
    pub headers: HeaderMap,
    pub along: Along,
    pub wish: Wish,
    /// How long an answer may take.
    patience: Duration,
    /// If it was not before its body was there.
    not_admitted: Option<NotAdmitted>,
    /// Of such a request.
    place: Option<OwnedSemaphorePermit>,
    /// That its body takes.
    room: Taken,
}

impl FromRequestParts<App> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let request_id =
            parts.extensions.get::<RequestId>().cloned().unwrap_or_else(RequestId::generate);
        let headers = std::mem::take(&mut parts.headers);
        let patience = wait(&headers)
            .map_or(app.limits.timeout, |wait| wait.clamp(MIN_WAIT, app.limits.max_wait));
        let along = Along::of(&headers, request_id, Instant::now() + patience);
        let level = level(&parts.uri)?;
        let token = only(&headers, &TOKEN)?.map(token).transpose()?;
        let not_admitted = parts.extensions.get().copied();
        let wish = Wish { level, token };
        Ok(Self { headers, along, wish, patience, not_admitted, place: None, room: None })
    }
}

impl Asked {
    /// All of the body is here. Only now does the request take its place, and the time for the answer
    /// begins: how many bodies may come at a time, and how long each may take, has limits of its own.
    pub fn has_come(&mut self, app: &App, room: Taken) -> Result<(), Problem> {
        self.room = room;
        if let Some(NotAdmitted { is_one_of_many }) = self.not_admitted.take() {
            self.place = Some(app.admit(is_one_of_many)?);
        }
        self.along.deadline = Instant::now() + self.patience;
        Ok(())
    }

    /// The text of a header; empty if it is not there.
    pub fn text(&self, name: &HeaderName) -> Result<&str, Problem> {
        let Some(value) = only(&self.headers, name)? else { return Ok("") };
        std::str::from_utf8(value.as_bytes()).map_err(|_| invalid_header(name, "must be UTF-8"))
    }

    /// The client's id of a command; empty if it has none. Quotes around it, as the draft standard
    /// has them, are not part of it.
    pub fn idempotency_key(&self) -> Result<&str, Problem> {
        let text = self.text(&IDEMPOTENCY_KEY)?;
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let key = quoted.unwrap_or(text);
        if key.is_empty() && self.headers.contains_key(IDEMPOTENCY_KEY) {
            return Err(invalid_header(&IDEMPOTENCY_KEY, "must not be empty"));
        }
        Ok(key)
    }
}

/// A header that is wrong.
pub(crate) fn invalid_header(name: &HeaderName, wants: &str) -> Problem {
    ApiError::invalid(name.as_str(), wants).into()
}

/// A header that says one thing. Nobody knows which of two is meant.
pub(crate) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(invalid_header(name, "must be said only once")),
    }
}

fn token(value: &HeaderValue) -> Result<Token, Problem> {
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map_err(|error: configapi_proto::InvalidToken| invalid_header(&TOKEN, &error.to_string()))
}

/// `Prefer: wait=N`, in seconds. Preferences that are not understood are ignored, as they may be.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
        .map(Duration::from_secs)
}

fn level(uri: &Uri) -> Result<Level, Problem> {
    let mut values = query::values(uri, "consistency");
    let level = match values.next().as_deref() {
        None => return Ok(Level::default()),
        Some("any") => Level::Any,
        Some("own-writes") => Level::OwnWrites,
        Some("linearizable") => Level::Linearizable,
        Some(_) => {
            let wants = "must be any, own-writes or linearizable";
            return Err(ApiError::invalid("consistency", wants).into());
        }
    };
    // Nobody knows which of two is meant.
    match values.next() {
        None => Ok(level),
        Some(_) => Err(ApiError::invalid("consistency", "must be said only once").into()),
    }
}

/// The parameters of a query string, as the route wants them.
#[derive(Debug)]
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned + Default + Parameters> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        if parts.uri.query().is_none_or(str::is_empty) {
            return Ok(Self(T::default()));
        }
        if let Some(known) = T::KNOWN {
            query::check_known(&parts.uri, known)?;
        }
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let what = text.split_once("query string: ").map_or(&*text, |(_, what)| what);
                Err(wrong_query(what).into())
            }
        }
    }
}

/// What is wrong with a query, which names the parameter if it is one that the route knows.
fn wrong_query(what: &str) -> ApiError {
    let twice = what.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`'));
    match (twice, what.split_once(": ")) {
        (Some(parameter), _) => ApiError::invalid(parameter, "must be said only once"),
        (None, Some((parameter, wants))) if query::is_name(parameter) => {
            let one_of = one_of(wants);
            ApiError::invalid(parameter, one_of.as_deref().unwrap_or(wants))
        }
        (None, _) => ApiError::invalid("query", what),
    }
}

/// What a parameter may be that is one of a few words, in our own.
fn one_of(wants: &str) -> Option<String> {
    let (_, known) = wants.strip_prefix("unknown variant ")?.rsplit_once(", expected ")?;
    Some(format!("must be {}", known.replace('`', "")))
}

/// A parameter that is there or not: `?dry_run`, `?dry_run=true`, `?dry_run=1`.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match std::borrow::Cow::<'de, str>::deserialize(deserializer)?.as_ref() {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(D::Error::custom("must be true or false")),
    }
}

impl FromRequestParts<App> for crate::accepts::Format {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Infallible> {
        // Found out once, at the edge.
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}
