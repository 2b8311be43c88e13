//! The field of a multipart form that says the value.

use std::convert::Infallible;

use bytes::Bytes;
use configapi_proto::ApiError;
use futures_util::stream;
use multer::Multipart;

use super::value::{NewValue, from_utf8, missing};
use crate::problem::Problem;

/// A form has a value, perhaps a content type, and whatever else a browser adds.
const MAX_FIELDS: usize = 16;

pub(super) async fn value(content_type: &str, body: Bytes) -> Result<NewValue, Problem> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| ApiError::invalid("body", "needs a boundary in its Content-Type"))?;
    let whole = stream::iter([Ok::<_, Infallible>(body)]);
    let mut form = Multipart::new(whole, boundary);
    let (mut value, mut content_type) = (None, String::new());
    for _ in 0..MAX_FIELDS {
        let Some(field) = form.next_field().await.map_err(broken)? else { break };
        let name = field.name().map(str::to_owned);
        let bytes = field.bytes().await.map_err(broken)?;
        match name.as_deref() {
            Some("value") if value.is_some() => {
                return Err(ApiError::invalid("value", "must be said only once").into());
            }
            Some("value") => value = Some(from_utf8(bytes)?),
            Some("content_type") => content_type = from_utf8(bytes)?,
            _ => {}
        }
    }
    Ok(NewValue { value: value.ok_or_else(missing)?, content_type })
}

fn broken(_error: multer::Error) -> ApiError {
    ApiError::invalid("body", "is not a well-formed multipart form")
}
