//! The ways to say a config's new value: JSON, plain text, and forms.

use std::cell::LazyCell;
use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use configapi_proto::ApiError;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::misplaced::{Member, Misplaced};
use super::object::Object;
use super::{MAX_VALUE_BODY_BYTES, Media, all, multipart, parse_json};
use crate::app::App;
use crate::asked::Asked;
use crate::problem::Problem;
use crate::target::Target;

/// A new value, however it was said.
pub(crate) struct NewValue {
    pub value: String,
    /// Empty if the body did not say.
    pub content_type: String,
}

/// A new value as JSON or as a form. Other members are ignored, as they always were, but for those that
/// commands have elsewhere: `expected_version`, for one, is refused.
#[derive(Debug, ToSchema)]
#[schema(as = NewValue)]
pub(crate) struct ValueBody {
    /// The value: text of 0 to 1,000,000 bytes without NUL.
    #[serde(default)]
    #[schema(value_type = String, required, pattern = "^[^\\u0000]*$", max_length = 1_000_000)]
    value: Said,
    /// What kind of text the value is, such as `application/json`. It is kept, not checked.
    #[serde(default)]
    #[schema(pattern = "^[ -~]*$", max_length = 255)]
    content_type: String,
    #[schema(ignore)]
    misplaced: Misplaced,
}

/// Takes a value from the body of a PUT about this config.
pub(crate) async fn take(
    app: &App,
    asked: &mut Asked,
    body: Body,
    target: &Target,
) -> Result<NewValue, Problem> {
    let media = Media::of(&asked.headers)?;
    let (bytes, room) = all(app, body, MAX_VALUE_BODY_BYTES).await?;
    let said = match media {
        Media::Json => {
            let Object(ValueBody { value, content_type, misplaced }) = parse_json(&bytes)?;
            misplaced.check(target)?;
            Ok(NewValue { value: value.into_text()?, content_type })
        }
        // Without a body nobody has said anything; an empty text has to be said to be one.
        Media::None if bytes.is_empty() => Err(missing()),
        Media::None | Media::Text => {
            Ok(NewValue { value: from_utf8(bytes)?, content_type: String::new() })
        }
        Media::Form => from_form(&bytes, target),
        Media::Multipart(content_type) => multipart::value(content_type, bytes).await,
    }?;
    asked.has_come(app, room)?;
    Ok(said)
}

/// A body's bytes as text, without a copy if they are not shared.
pub(super) fn from_utf8(bytes: Bytes) -> Result<String, Problem> {
    String::from_utf8(bytes.into())
        .map_err(|_| ApiError::invalid("value", "must be valid UTF-8").into())
}

pub(super) fn missing() -> Problem {
    ApiError::invalid("value", "is missing").into()
}

fn from_form(bytes: &[u8], target: &Target) -> Result<NewValue, Problem> {
    let (mut value, mut content_type) = (None, None);
    let mut misplaced = Misplaced::default();
    // A look at all of the body, and so at most one, however many pairs want to know.
    let says_replacement = LazyCell::new(|| percent_decode(bytes).decode_utf8().is_ok());
    for (name, text) in form_urlencoded::parse(bytes) {
        // What is not UTF-8 has been replaced; a value must not be changed in silence.
        if text.contains(char::REPLACEMENT_CHARACTER) && !*says_replacement {
            return Err(ApiError::invalid("value", "must be valid UTF-8").into());
        }
        match Member::of(&name) {
            Member::Value if value.is_some() => {
                return Err(ApiError::invalid("value", "must be said only once").into());
            }
            Member::Value => value = Some(text.into_owned()),
            Member::ContentType if content_type.is_some() => {
                return Err(ApiError::invalid("content_type", "must be said only once").into());
            }
            Member::ContentType => content_type = Some(text.into_owned()),
            member => misplaced.hear(member, &text),
        }
    }
    misplaced.check(target)?;
    match value {
        Some(value) => Ok(NewValue { value, content_type: content_type.unwrap_or_default() }),
        None if bytes.first() == Some(&b'{') => {
            let hint = "is missing; the body looks like JSON: say Content-Type: application/json";
            Err(ApiError::invalid("value", hint).into())
        }
        None => Err(missing()),
    }
}

impl<'de> Deserialize<'de> for ValueBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ValueBodyVisitor)
    }
}

struct ValueBodyVisitor;

impl<'de> Visitor<'de> for ValueBodyVisitor {
    type Value = ValueBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ValueBody, A::Error> {
        let (mut value, mut content_type) = (None, None);
        let mut misplaced = Misplaced::default();
        while let Some(member) = map.next_key()? {
            match member {
                Member::Value if value.is_some() => {
                    return Err(A::Error::duplicate_field("value"));
                }
                Member::Value => value = Some(map.next_value()?),
                Member::ContentType if content_type.is_some() => {
                    return Err(A::Error::duplicate_field("content_type"));
                }
                Member::ContentType => content_type = Some(map.next_value()?),
                member => misplaced.read(member, &mut map)?,
            }
        }
        Ok(ValueBody {
            value: value.unwrap_or_default(),
            content_type: content_type.unwrap_or_default(),
            misplaced,
        })
    }
}

/// What stands where a value belongs. Only its kind is remembered if it is no text.
#[derive(Debug, Default)]
pub(super) enum Said {
    #[default]
    Nothing,
    Text(String),
    Other(&'static str),
}

impl Said {
    fn into_text(self) -> Result<String, Problem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Nothing => Err(missing()),
            Self::Other(kind) => {
                Err(ApiError::invalid("value", format!("must be a string, is {kind}")).into())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SaidVisitor)
    }
}

struct SaidVisitor;

impl<'de> Visitor<'de> for SaidVisitor {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Said, E> {
        Ok(Said::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Said, E> {
        Ok(Said::Text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Said, E> {
        Ok(Said::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Said, E> {
        Ok(Said::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Said, E> {
        Ok(Said::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Said, E> {
        Ok(Said::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Said, E> {
        Ok(Said::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Said, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Said::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Said::Other("an object"))
    }
}
