//! The form of the file that `configapi apply` takes. What it does not know it refuses: a command
//! that is half understood must not be sent.

use std::fmt;

use configapi_proto::timestamp_from_micros;
use configapi_proto::v1::command::Action;
use configapi_proto::v1::restore_target::Moment as Target;
use configapi_proto::v1::{Command, DeleteAction, RestoreAction, RestoreTarget, SetAction};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::json;
use crate::arguments::{Moment, NotAMoment};
use crate::failure::Failure;
use crate::transfer::{BYTE_ORDER_MARK, without_value, yaml};

/// What a file says.
#[derive(Debug)]
pub struct Changes {
    pub commands: Vec<Command>,
    pub reason: String,
}

/// One command of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    set: Option<String>,
    delete: Option<String>,
    restore: Option<String>,
    namespace: Option<String>,
    expected_version: Option<Whole>,
    value: Option<Scalar>,
    content_type: Option<String>,
    version: Option<Whole>,
    position: Option<Whole>,
    at: Option<String>,
}

/// Reads a file; commands without a namespace are about this one.
pub fn parse(text: &str, name: &str, namespace: &str) -> Result<Changes, Failure> {
    let bad = |why: String| {
        Failure::refused(format!("{name}: {why}"))
            .with_hint("`configapi apply --help` shows what a file looks like")
    };
    let (items, reason) = tree(text).and_then(items).map_err(bad)?;
    let mut commands = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let command = parse_item(item)
            .and_then(|item| command(item, namespace))
            .map_err(|why| bad(format!("{}: {why}", command_at(index))))?;
        commands.push(command);
    }
    Ok(Changes { commands, reason })
}

/// What a command is called in messages: people count from one.
pub fn command_at(index: usize) -> String {
    format!("command {} of the file", index + 1)
}

/// The commands, and the reason if there is one. Told by hand: the usual errors repeat what they
/// found.
fn items(tree: Value) -> Result<(Vec<Value>, String), String> {
    let mut fields = match tree {
        Value::Array(items) => return Ok((items, String::new())),
        Value::Object(fields) => fields,
        _ => return Err("must be a list of commands, or an object with `commands`".to_owned()),
    };
    let reason = match fields.remove("reason") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(reason)) => reason,
        Some(_) => return Err("`reason` must be a text".to_owned()),
    };
    let Some(Value::Array(items)) = fields.remove("commands") else {
        return Err("`commands` must be a list of commands".to_owned());
    };
    match fields.keys().next() {
        None => Ok((items, reason)),
        Some(unknown) => Err(format!("`{unknown}` is neither `commands` nor `reason`")),
    }
}

fn parse_item(item: Value) -> Result<Item, String> {
    let Some(fields) = item.as_object() else {
        return Err("must be an object, such as {set: NAME, value: TEXT}".to_owned());
    };
    // What a template left empty is no wish for less: without its condition a command does more.
    if let Some((field, _)) = fields.iter().find(|(field, it)| it.is_null() && *field != "value") {
        return Err(format!("`{field}` is empty; leave it out, or say what it is"));
    }
    Item::deserialize(item).map_err(|error| without_value(&error))
}

/// JSON if it is, else YAML.
fn tree(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim_start().starts_with(['{', '['])
        && let Ok(json::Tree(tree)) = serde_json::from_str(text)
    {
        return Ok(tree);
    }
    yaml::tree(text.as_bytes())
}

fn command(item: Item, namespace: &str) -> Result<Command, String> {
    let has_target = item.version.is_some() || item.position.is_some() || item.at.is_some();
    let has_content = item.value.is_some() || item.content_type.is_some();
    let (name, action) = match (&item.set, &item.delete, &item.restore) {
        (Some(_), None, None) if has_target => {
            return Err("`version`, `position` and `at` belong to restore".to_owned());
        }
        (Some(name), None, None) => {
            let value = item.value.ok_or("set wants a `value`; \"\" is the empty one")?.0;
            let content_type = item.content_type.unwrap_or_default();
            (name, Action::Set(SetAction { value, content_type }))
        }
        (None, Some(_), None) if has_content || has_target => {
            return Err("delete wants no more than a name".to_owned());
        }
        (None, Some(name), None) => (name, Action::Delete(DeleteAction {})),
        (None, None, Some(_)) if has_content => {
            return Err("restore wants a moment, not a `value`".to_owned());
        }
        (None, None, Some(name)) => {
            let target = target(item.version, item.position, item.at.as_deref())?;
            (name, Action::Restore(RestoreAction { target }))
        }
        _ => return Err("must have exactly one of `set`, `delete` and `restore`".to_owned()),
    };
    Ok(Command {
        namespace: item.namespace.unwrap_or_else(|| namespace.to_owned()),
        name: name.clone(),
        expected_version: item.expected_version.map(|version| version.0),
        action: Some(action),
    })
}

fn target(
    version: Option<Whole>,
    position: Option<Whole>,
    at: Option<&str>,
) -> Result<Option<RestoreTarget>, String> {
    let moment = match (version, position, at) {
        (None, None, None) => return Ok(None),
        (Some(version), None, None) => Target::Version(version.0),
        (None, Some(position), None) => Target::Position(position.0),
        (None, None, Some(at)) => match at.parse() {
            Ok(Moment::Time(micros)) => Target::Time(timestamp_from_micros(micros)),
            Err(error @ NotAMoment::WithoutOffset) => return Err(format!("`at`: {error}")),
            Ok(Moment::Position(_) | Moment::Token(_)) | Err(NotAMoment::Unknown) => {
                return Err("`at` must be a time, such as 2024-01-15T10:30:00Z".to_owned());
            }
        },
        _ => return Err("must have at most one of `version`, `position` and `at`".to_owned()),
    };
    Ok(Some(RestoreTarget { moment: Some(moment) }))
}

/// A whole number, or a text of digits: in YAML they look alike.
struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Whole, E> {
                text.parse().map(Whole).map_err(|_| E::custom("must be a whole number"))
            }
        }

        deserializer.deserialize_any(WholeVisitor)
    }
}

/// A text, or a number or flag whose text is beyond doubt.
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(crate::transfer::ScalarVisitor).map(Self)
    }
}
