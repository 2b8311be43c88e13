//! Request bodies: bounded in size, each by its route and all of them together, and known by their
//! content type.

pub(crate) mod json_error;
pub(crate) mod misplaced;
pub(crate) mod multipart;
pub(crate) mod object;
mod taken;
pub(crate) mod value;
pub(crate) mod whole;

use axum::body::Body;
use configapi_proto::ApiError;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::DeserializeOwned;

use self::object::Object;
pub(crate) use self::taken::Taken;
use self::taken::all;
use crate::app::App;
use crate::asked::{Asked, only};
use crate::problem::{Code, Problem};

/// The largest body that says one value: a megabyte, every byte of it escaped as `\u0000`.
pub(crate) const MAX_VALUE_BODY_BYTES: usize = 6_500_000;
/// The largest body of an Apply.
pub(crate) const MAX_APPLY_BODY_BYTES: usize = 16 << 20;
/// The largest body of a Restore.
pub(crate) const MAX_RESTORE_BODY_BYTES: usize = 4 << 10;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media<'a> {
    None,
    Json,
    Text,
    Form,
    Multipart(&'a str),
}

impl<'a> Media<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Problem> {
        if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
            return Err(unsupported("Content-Encoding: send the body as it is"));
        }
        let Some(value) = only(headers, &CONTENT_TYPE)? else { return Ok(Self::None) };
        let text = value.to_str().map_err(|_| unsupported("Content-Type: is not readable"))?;
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        if !is_readable(parameters) {
            return Err(unsupported("Content-Type: the charset must be utf-8"));
        }
        match name.trim().to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            "text/plain" => Ok(Self::Text),
            "application/x-www-form-urlencoded" => Ok(Self::Form),
            "multipart/form-data" => Ok(Self::Multipart(text)),
            _ => Err(unsupported(
                "Content-Type: must be application/json, text/plain, \
                 application/x-www-form-urlencoded or multipart/form-data",
            )),
        }
    }
}

/// Whether text of a content type with these parameters is UTF-8.
fn is_readable(parameters: &str) -> bool {
    let charset = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, charset)| charset.trim().trim_matches('"'));
    let readable =
        |it: &str| ["utf-8", "utf8", "us-ascii"].iter().any(|ok| ok.eq_ignore_ascii_case(it));
    charset.is_none_or(readable)
}

fn unsupported(detail: &str) -> Problem {
    Problem::http(Code::UnsupportedMediaType, detail)
}

/// A JSON body, or nothing if the request has none or says null.
pub(crate) async fn json<T: DeserializeOwned>(
    app: &App,
    asked: &mut Asked,
    body: Body,
    max_bytes: usize,
) -> Result<Option<T>, Problem> {
    let media = Media::of(&asked.headers)?;
    let (bytes, room) = all(app, body, max_bytes).await?;
    let said = match media {
        _ if bytes.is_empty() => Ok(None),
        Media::Json => Ok(parse_json::<Option<Object<T>>>(&bytes)?.map(|Object(said)| said)),
        _ => Err(unsupported("Content-Type: must be application/json")),
    }?;
    asked.has_come(app, room)?;
    Ok(said)
}

/// Reads JSON, which is UTF-8 in every part of it: also in the fields that nobody asks for, which
/// the parser passes over without a look.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to() + 1;
        ApiError::invalid("body", format!("must be valid UTF-8 (it is not from byte {byte} on)"))
    })?;
    serde_json::from_str(text).map_err(|error| json_error::problem::<T>(text, &error))
}
