//! Entity tags and the requests that depend on them. A config's tag is its version, and that of its record
//! says so beside it: a cache must not take one for the other. A list's is the state of the log that it was
//! read at.

use configapi_proto::{ApiError, Reason, key};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::accepts::Format;
use crate::asked::invalid_header;
use crate::problem::Problem;

/// A version that no config ever has: no log has so many events. A command that expects it is checked
/// like any other, and not done.
pub(crate) const NO_VERSION: u64 = 1 << 63;

/// What stands behind the version in the tag of a record.
const OF_RECORD: &str = "-json";

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Nothing.
    None,
    /// The config is at this version; 0 if it must never have existed.
    Version(u64),
    /// The config exists, at whatever version.
    Exists,
    /// Something that never holds, and why it does not.
    Never(&'static str),
}

impl Precondition {
    /// The precondition of a write.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        // A list of no tags is matched by nothing, so nothing stands against the write.
        let none_of = single(headers, &IF_NONE_MATCH)?.filter(|tags| !tags.is_empty());
        match (single(headers, &IF_MATCH)?, none_of) {
            (None, None) => Ok(Self::None),
            (Some("*"), None) => Ok(Self::Exists),
            (Some(tag), None) => match version_of(tag) {
                Some(version) => Ok(Self::Version(version)),
                // No version of any config ever had this tag.
                None if is_tag(tag) => {
                    Ok(Self::Never("If-Match names no version that a config can have"))
                }
                None => Err(invalid_header(&IF_MATCH, "must be an entity tag such as \"3\", or *")),
            },
            (None, Some("*")) => Ok(Self::Version(0)),
            (Some(_), Some("*")) => {
                Ok(Self::Never("If-Match and If-None-Match: * cannot hold at the same time"))
            }
            (_, Some(_)) => Err(invalid_header(&IF_NONE_MATCH, "must be * on a write")),
        }
    }
}

/// A precondition that does not hold, as the command server found when it refused the command. What was
/// expected is told in the client's words, if they name a version.
pub(crate) fn failed(detail: &str, expected: Option<&str>, refused: ApiError) -> Problem {
    let mut metadata = refused.metadata;
    // A config that is deleted is at the version of its delete; the others that are refused never were.
    let deleted = metadata.remove(key::DELETED_VERSION);
    metadata
        .entry(key::ACTUAL_VERSION.into())
        .or_insert_with(|| deleted.unwrap_or_else(|| "0".to_owned()));
    metadata.remove(key::EXPECTED_VERSION);
    if let Some(expected) = expected {
        metadata.insert(key::EXPECTED_VERSION.into(), expected.to_owned());
    }
    Problem::of_conditional(ApiError { metadata, ..ApiError::new(Reason::VersionConflict, detail) })
}

/// Whether `If-None-Match` of a read names this tag.
pub(crate) fn has_already(headers: &HeaderMap, tag: Option<&HeaderValue>) -> bool {
    let Some(tag) = tag.and_then(|tag| tag.to_str().ok()) else { return false };
    let tag = without_weakness(tag);
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || without_weakness(known) == tag)
}

fn without_weakness(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The tag of a config at a version, in this form.
pub(crate) fn tag_of(version: u64, format: Format) -> Option<HeaderValue> {
    let form = match format {
        Format::Text => "",
        Format::Json => OF_RECORD,
    };
    HeaderValue::try_from(format!("\"{version}{form}\"")).ok()
}

/// The tag of an answer about many configs, from what stands for the state that it is about.
pub(crate) fn tag_of_state(state: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("W/\"{state}\"")).ok().filter(|_| !state.is_empty())
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str().map(str::trim) {
            Ok(text) if !text.contains(',') => Ok(Some(text)),
            _ => Err(invalid_header(name, "must be a single entity tag or *")),
        },
        (Some(_), Some(_)) => Err(invalid_header(name, "must be a single entity tag or *")),
    }
}

/// Whether a text is an entity tag, as RFC 9110 writes them, or a list of none.
fn is_tag(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let opaque = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    opaque.is_some_and(|opaque| !opaque.contains('"'))
}

/// The version that a tag names, in whichever form it was read. A weak tag does not match in a precondition,
/// as RFC 9110 has it.
fn version_of(tag: &str) -> Option<u64> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    let digits = text.strip_suffix(OF_RECORD).unwrap_or(text);
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_tag_is_a_version_and_nothing_else_matches() {
        let of = |value| Precondition::of(&headers(IF_MATCH, value));
        assert_eq!(of("\"3\"").unwrap(), Precondition::Version(3));
        assert_eq!(of("*").unwrap(), Precondition::Exists);
        for value in ["\"0\"", "\"03\"", "\"abc\"", "W/\"3\"", "\"\"", "\"-1\"", ""] {
            assert!(matches!(of(value).unwrap(), Precondition::Never(_)), "{value}");
        }
        for value in ["3", "\"", "{}", "\"3\", \"4\"", "\"3\"x"] {
            assert_eq!(of(value).unwrap_err().status(), 400, "{value}");
        }
    }

    #[test]
    fn a_star_says_that_nothing_may_be_there() {
        let of = |value| Precondition::of(&headers(IF_NONE_MATCH, value));
        assert_eq!(of("*").unwrap(), Precondition::Version(0));
        assert_eq!(of("").unwrap(), Precondition::None);
        assert_eq!(of("\"3\"").unwrap_err().status(), 400);
    }

    #[test]
    fn a_reader_that_has_it_already_is_recognised() {
        let tag = tag_of(3, Format::Text);
        for value in ["\"3\"", "W/\"3\"", "\"2\", \"3\"", "*"] {
            assert!(has_already(&headers(IF_NONE_MATCH, value), tag.as_ref()), "{value}");
        }
        for value in ["\"2\"", "3", "\"33\"", "\"3-json\""] {
            assert!(!has_already(&headers(IF_NONE_MATCH, value), tag.as_ref()), "{value}");
        }
    }
}
