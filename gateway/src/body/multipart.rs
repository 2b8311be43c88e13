//! The field of a multipart form that says the value.

use std::convert::Infallible;

use bytes::Bytes;
use configapi_proto::ApiError;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use multer::Multipart;
use utoipa::ToSchema;

use super::value::{NewValue, from_utf8, missing};
use super::{is_readable, unsupported};
use crate::problem::Problem;

/// How a part's bytes were written, for ways that take no others: `curl -F 'value=@file;encoder=base64'`.
const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// The forms' fields, for the API's description. Names from elsewhere could hold anything, so that
/// fields that are not known are refused here.
#[derive(ToSchema)]
#[schema(as = ValueForm)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what is read field by field")]
pub(crate) struct ValueForm {
    /// The value: text of 0 to 1,000,000 bytes without NUL.
    #[schema(pattern = "^[^\\u0000]*$", max_length = 1_000_000)]
    value: String,
    /// What kind of text the value is, such as `application/json`. It is kept, not checked.
    #[schema(pattern = "^[ -~]*$", max_length = 255, nullable = false)]
    content_type: Option<String>,
}

pub(super) async fn value(content_type: &str, body: Bytes) -> Result<NewValue, Problem> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| ApiError::invalid("body", "needs a boundary in its Content-Type"))?;
    let whole = stream::iter([Ok::<_, Infallible>(body)]);
    let mut form = Multipart::new(whole, boundary);
    let (mut value, mut content_type) = (None, None);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        // What a part says of itself goes for it as for a whole body: no value is changed in silence.
        if !field.headers().get(CONTENT_TYPE).is_none_or(is_readable_type) {
            return Err(unsupported(
                "Content-Type: the charset must be utf-8, in each part as well",
            ));
        }
        if !field.headers().get(CONTENT_TRANSFER_ENCODING).is_none_or(is_as_it_is) {
            return Err(unsupported("Content-Transfer-Encoding: send the parts as they are"));
        }
        let name = field.name().map(str::to_owned);
        let bytes = field.bytes().await.map_err(broken)?;
        match name.as_deref() {
            Some("value") if value.is_some() => {
                return Err(ApiError::invalid("value", "must be said only once").into());
            }
            Some("value") => value = Some(from_utf8(bytes)?),
            Some("content_type") if content_type.is_some() => {
                return Err(ApiError::invalid("content_type", "must be said only once").into());
            }
            Some("content_type") => content_type = Some(from_utf8(bytes)?),
            _ => return Err(ApiError::invalid("body", "has a field that is not known").into()),
        }
    }
    let content_type = content_type.unwrap_or_default();
    Ok(NewValue { value: value.ok_or_else(missing)?, content_type })
}

fn is_readable_type(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    text.split_once(';').is_none_or(|(_, parameters)| is_readable(parameters))
}

/// Whether bytes of a part mean themselves.
fn is_as_it_is(encoding: &HeaderValue) -> bool {
    let plain = [&b"7bit"[..], b"8bit", b"binary"];
    plain.iter().any(|plain| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(plain))
}

fn broken(_error: multer::Error) -> ApiError {
    ApiError::invalid("body", "is not a well-formed multipart form")
}
