//! Members of a body that this request says elsewhere. Foreign members are ignored; but whoever writes
//! `expected_version` into the body of a PUT wants it to hold, and would get a write without a condition.

use axum::body::Body;
use configapi_proto::ApiError;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::object::Object;
use super::taken::unless_larger;
use super::value::Said;
use crate::app::App;
use crate::asked::Asked;
use crate::problem::Problem;
use crate::target::{DEFAULT_NAMESPACE, Target};

/// The largest body of a DELETE that is looked at.
const MAX_DELETE_BODY_BYTES: usize = 4 << 10;

/// What our commands say in members of these names, in either of the forms that their JSON has, and
/// where a PUT and a DELETE say it.
const ELSEWHERE: [(&str, &str); 10] = [
    ("expected_version", "the header If-Match"),
    ("expectedVersion", "the header If-Match"),
    ("request_id", "the header Idempotency-Key"),
    ("requestId", "the header Idempotency-Key"),
    ("validate_only", "the parameter dry_run"),
    ("validateOnly", "the parameter dry_run"),
    ("dry_run", "the parameter dry_run"),
    ("dryRun", "the parameter dry_run"),
    ("actor", "the header ConfigApi-Actor"),
    ("reason", "the header ConfigApi-Reason"),
];
/// What a body that has a value may have misspelt.
const CONTENT_TYPE: (&str, &str) = ("contentType", "content_type");

/// What a member of a body is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Member {
    Value,
    ContentType,
    MisspeltContentType,
    Name,
    Namespace,
    Elsewhere(&'static str, &'static str),
    Foreign,
}

impl Member {
    pub fn of(name: &str) -> Self {
        match name {
            "value" => Self::Value,
            "content_type" => Self::ContentType,
            "contentType" => Self::MisspeltContentType,
            "name" => Self::Name,
            "namespace" => Self::Namespace,
            _ => ELSEWHERE
                .iter()
                .find(|(member, _)| *member == name)
                .map_or(Self::Foreign, |&(member, place)| Self::Elsewhere(member, place)),
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                Ok(Member::of(name))
            }
        }

        deserializer.deserialize_identifier(Name)
    }
}

/// What of a body belongs elsewhere.
#[derive(Debug, Default)]
pub(super) struct Misplaced {
    first: Option<(&'static str, &'static str)>,
    name: Option<String>,
    namespace: Option<String>,
}

impl Misplaced {
    /// Takes note of a member and passes over what it says. Null says nothing.
    pub fn read<'de, A: MapAccess<'de>>(
        &mut self,
        member: Member,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if matches!(member, Member::Name | Member::Namespace) {
            if let Said::Text(text) = map.next_value()? {
                self.hear(member, &text);
            }
        } else if map.next_value::<Option<IgnoredAny>>()?.is_some() {
            self.note(member);
        }
        Ok(())
    }

    /// Takes note of a member that says this text. An empty one says nothing.
    pub fn hear(&mut self, member: Member, text: &str) {
        match member {
            _ if text.is_empty() => {}
            Member::Name => self.name = Some(text.to_owned()),
            Member::Namespace => self.namespace = Some(text.to_owned()),
            _ => self.note(member),
        }
    }

    fn note(&mut self, member: Member) {
        let wrong = match member {
            Member::Elsewhere(member, place) => (member, place),
            Member::MisspeltContentType => CONTENT_TYPE,
            _ => return,
        };
        self.first.get_or_insert(wrong);
    }

    /// Refuses what would be ignored in silence. What a request is about may be said twice.
    pub fn check(self, target: &Target) -> Result<(), Problem> {
        if let Some((member, place)) = self.first {
            let wants = format!("is not read in the body of this request; say {place}");
            return Err(ApiError::invalid(member, wants).into());
        }
        if self.name.is_some_and(|name| name != target.name) {
            return Err(ApiError::invalid("name", "must be the one in the path").into());
        }
        let namespace = match target.namespace.as_str() {
            "" => DEFAULT_NAMESPACE,
            namespace => namespace,
        };
        if self.namespace.is_some_and(|said| said != namespace) {
            let wants = "is not read in the body of this request; say the parameter namespace";
            return Err(ApiError::invalid("namespace", wants).into());
        }
        Ok(())
    }
}

/// Looks for such members in the body of a DELETE, which has no use for any. What is not a small JSON
/// object is ignored, as it always was.
pub(crate) async fn none_in(
    app: &App,
    asked: &mut Asked,
    body: Body,
    target: &Target,
) -> Result<(), Problem> {
    let bytes = unless_larger(app, body, MAX_DELETE_BODY_BYTES).await?;
    asked.has_come(app, None)?;
    let Some(bytes) = bytes else { return Ok(()) };
    match serde_json::from_slice(&bytes) {
        Ok(Object(OnlyMisplaced(misplaced))) => misplaced.check(target),
        Err(_) => Ok(()),
    }
}

struct OnlyMisplaced(Misplaced);

impl<'de> Deserialize<'de> for OnlyMisplaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = OnlyMisplaced;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OnlyMisplaced, A::Error> {
                let mut misplaced = Misplaced::default();
                while let Some(member) = map.next_key()? {
                    match member {
                        // A DELETE has no value, and so none whose kind it could say.
                        Member::MisspeltContentType => misplaced.read(Member::Foreign, &mut map)?,
                        member => misplaced.read(member, &mut map)?,
                    }
                }
                Ok(OnlyMisplaced(misplaced))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
