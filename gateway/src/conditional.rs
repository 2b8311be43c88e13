//! Entity tags and the requests that depend on them. A config's tag is its version, and that of its record
//! says so beside it: a cache must not take one for the other. A list's is the state of the log that it was
//! read at.

use configapi_proto::v1::{Config, ReadState};
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
        let must_be_star = || invalid_header(&IF_NONE_MATCH, "must be * on a write");
        let none_of = Tags::of(headers, &IF_NONE_MATCH).map_err(|_| must_be_star())?;
        // A list of no tags is matched by nothing, so nothing stands against the write.
        let none_of = none_of.filter(|tags| !tags.is_empty());
        match (Tags::of(headers, &IF_MATCH)?, none_of) {
            (None, None) => Ok(Self::None),
            (Some(Tags::Any), None) => Ok(Self::Exists),
            (Some(Tags::These(tags)), None) if tags.len() > 1 => {
                Err(invalid_header(&IF_MATCH, "must be a single entity tag or *"))
            }
            (Some(Tags::These(tags)), None) => match tags.first().copied().and_then(version_of) {
                Some(version) => Ok(Self::Version(version)),
                // No version of any config ever had this tag.
                None => Ok(Self::Never("If-Match names no version that a config can have")),
            },
            (None, Some(Tags::Any)) => Ok(Self::Version(0)),
            (Some(_), Some(Tags::Any)) => {
                Ok(Self::Never("If-Match and If-None-Match: * cannot hold at the same time"))
            }
            (_, Some(Tags::These(_))) => Err(must_be_star()),
        }
    }
}

/// What `If-Match` of a read wants of the answer. It holds of what was found, so it comes after all that
/// else keeps a read from being answered, and before `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No more than that there is one.
    Anything,
    /// A config at one of these versions.
    Versions(Vec<u64>),
}

impl Wanted {
    /// What a read wants.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(match Tags::of(headers, &IF_MATCH)? {
            None | Some(Tags::Any) => Self::Anything,
            Some(Tags::These(tags)) => {
                Self::Versions(tags.into_iter().filter_map(version_of).collect())
            }
        })
    }

    /// Whether it is this config. Both of its tags name the version, as they do before a write: a write
    /// answers with that of the value, also to those who read the record next.
    pub fn is_met_by(&self, config: &Config, state: Option<&ReadState>) -> Result<(), Problem> {
        let Self::Versions(versions) = self else { return Ok(()) };
        let actual = config.version;
        if versions.contains(&actual) {
            return Ok(());
        }
        let Config { namespace, name, .. } = config;
        let found = format!("the config is at version {actual}");
        let error = match versions[..] {
            [version] => {
                differs(format!("{namespace}/{name}: expected version {version}, {found}"), state)
                    .with_metadata(key::EXPECTED_VERSION, version)
            }
            _ => differs(format!("{namespace}/{name}: If-Match names others, {found}"), state),
        };
        Err(Problem::of_conditional(error.with_metadata(key::ACTUAL_VERSION, actual)))
    }

    /// Whether it is an answer about many configs. Their tags are weak, and so none of them is sure to
    /// be the same.
    pub fn is_met_by_many(&self, state: Option<&ReadState>) -> Result<(), Problem> {
        match self {
            Self::Anything => Ok(()),
            Self::Versions(_) => {
                let why = "If-Match can only be * here, because the entity tag is a weak one";
                Err(Problem::of_conditional(differs(why, state)))
            }
        }
    }
}

/// An answer that is not the one that its reader wants, and the state that it is about.
fn differs(detail: impl Into<String>, state: Option<&ReadState>) -> ApiError {
    let error = ApiError::new(Reason::VersionConflict, detail);
    match state {
        Some(state) => error.with_metadata(key::TOKEN, &state.token),
        None => error,
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

/// The entity tags in a header, as RFC 9110 writes them.
enum Tags<'a> {
    /// `*`
    Any,
    These(Vec<&'a str>),
}

impl<'a> Tags<'a> {
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let wrong = || invalid_header(name, "must be an entity tag such as \"3\", or *");
        let lines = headers.get_all(name);
        let mut said = lines.iter();
        match (said.next(), said.next()) {
            (None, _) => return Ok(None),
            (Some(line), None) if line == "*" => return Ok(Some(Self::Any)),
            (Some(_), _) => {}
        }
        let mut tags = Vec::new();
        for line in lines {
            tags.extend(listed(line.to_str().map_err(|_| wrong())?).ok_or_else(wrong)?);
        }
        Ok(Some(Self::These(tags)))
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::These(tags) if tags.is_empty())
    }
}

/// The entity tags of a list, which may have none, or nothing between two commas.
fn listed(mut text: &str) -> Option<Vec<&str>> {
    let mut tags = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Some(tags);
        }
        let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
        let (_, rest) = opaque.split_once('"')?;
        let (tag, rest) = text.split_at(text.len() - rest.len());
        tags.push(tag);
        text = rest.trim_start_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with(',') {
            return None;
        }
    }
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
