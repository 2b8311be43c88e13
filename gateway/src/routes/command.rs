//! The commands of an Apply, as its body says them.

use std::fmt;

use configapi_proto::v1::command::Action;
use configapi_proto::v1::{Command, DeleteAction, RestoreAction, SetAction};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::params::name;
use super::restore::{Target, present};
use crate::body::object::Object;
use crate::body::{json_error, whole};
use crate::problem::Problem;

/// One command: `{"action": "set", "name": "a", "value": "1"}`.
#[derive(Debug, ToSchema)]
#[schema(as = Command)]
#[serde(tag = "action", rename_all = "lowercase")]
pub(super) enum CommandBody {
    /// Give a config a value.
    Set {
        /// The namespace; that of the query, or else the default one, if it is left out.
        #[serde(default)]
        #[schema(pattern = "^[a-z0-9-]*$", max_length = 64)]
        namespace: String,
        /// The name of the config.
        #[schema(schema_with = name)]
        name: String,
        /// The version that the config must be at; 0: it must never have existed.
        #[serde(default)]
        expected_version: Option<u64>,
        /// The value.
        #[schema(pattern = "^[^\\u0000]*$", max_length = 1_000_000)]
        value: String,
        /// What kind of text the value is.
        #[serde(default)]
        #[schema(pattern = "^[ -~]*$", max_length = 255)]
        content_type: String,
    },
    /// Delete a config.
    Delete {
        /// The namespace; that of the query, or else the default one, if it is left out.
        #[serde(default)]
        #[schema(pattern = "^[a-z0-9-]*$", max_length = 64)]
        namespace: String,
        /// The name of the config.
        #[schema(schema_with = name)]
        name: String,
        /// The version that the config must be at.
        #[serde(default)]
        expected_version: Option<u64>,
    },
    /// Bring a config back or roll it back.
    Restore {
        /// The namespace; that of the query, or else the default one, if it is left out.
        #[serde(default)]
        #[schema(pattern = "^[a-z0-9-]*$", max_length = 64)]
        namespace: String,
        /// The name of the config.
        #[schema(schema_with = name)]
        name: String,
        /// The version that the config must be at.
        #[serde(default)]
        expected_version: Option<u64>,
        /// What to go back to; the last value of a deleted config if it is left out.
        #[serde(default)]
        #[schema(value_type = Option<Target>)]
        to: Option<Object<Target>>,
    },
}

impl CommandBody {
    /// The namespace that the command says; empty if it says none.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Set { namespace, .. }
            | Self::Delete { namespace, .. }
            | Self::Restore { namespace, .. } => namespace,
        }
    }

    /// The command on the wire. `index` is its place in the request; `elsewhere` is the namespace of
    /// commands that do not say theirs.
    pub fn on_wire(self, index: usize, elsewhere: &str) -> Result<Command, Problem> {
        let command = |namespace: String, name, expected_version, action| Command {
            namespace: if namespace.is_empty() { elsewhere.to_owned() } else { namespace },
            name,
            expected_version,
            action: Some(action),
        };
        Ok(match self {
            Self::Set { namespace, name, expected_version, value, content_type } => {
                let action = Action::Set(SetAction { value, content_type });
                command(namespace, name, expected_version, action)
            }
            Self::Delete { namespace, name, expected_version } => {
                command(namespace, name, expected_version, Action::Delete(DeleteAction {}))
            }
            Self::Restore { namespace, name, expected_version, to } => {
                let target = match to {
                    Some(Object(target)) => target.on_wire(&format!("commands[{index}].to."))?,
                    None => None,
                };
                let action = Action::Restore(RestoreAction { target });
                command(namespace, name, expected_version, action)
            }
        })
    }
}

/// All that commands may say. They are read as this first: what tells kinds of commands apart may come
/// last, and an error must name the member that is wrong.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    action: String,
    #[serde(default, deserialize_with = "present")]
    namespace: Option<String>,
    name: String,
    #[serde(default, deserialize_with = "whole::optional")]
    expected_version: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    value: Option<String>,
    #[serde(default, deserialize_with = "present")]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "said")]
    #[expect(clippy::option_option, reason = "null is something that only a restore may say")]
    to: Option<Option<Object<Target>>>,
}

/// What is there, even if it is null.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl<'de> Deserialize<'de> for CommandBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Members { action, namespace, name, expected_version, value, content_type, to } =
            Members::deserialize(deserializer)?;
        let namespace = namespace.unwrap_or_default();
        let none = |member: &'static str, is_there: bool, kind: &str| {
            if is_there {
                return Err(json_error::member(member, &format!("does not go with {kind}")));
            }
            Ok(())
        };
        match action.as_str() {
            "set" => {
                none("to", to.is_some(), "set")?;
                let value = value.ok_or_else(|| D::Error::missing_field("value"))?;
                let content_type = content_type.unwrap_or_default();
                Ok(Self::Set { namespace, name, expected_version, value, content_type })
            }
            "delete" => {
                none("value", value.is_some(), "delete")?;
                none("content_type", content_type.is_some(), "delete")?;
                none("to", to.is_some(), "delete")?;
                Ok(Self::Delete { namespace, name, expected_version })
            }
            "restore" => {
                none("value", value.is_some(), "restore")?;
                none("content_type", content_type.is_some(), "restore")?;
                let to = to.flatten();
                Ok(Self::Restore { namespace, name, expected_version, to })
            }
            _ => Err(json_error::member("action", "must be set, delete or restore")),
        }
    }
}

/// The most commands of one Apply.
const MAX_COMMANDS: usize = 1_000;

/// As many commands as an Apply may have. More are counted, and not kept: the smallest take many times
/// as much memory as they have bytes.
#[derive(Debug)]
pub(super) struct Commands(pub Vec<CommandBody>);

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Commands;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Commands, A::Error> {
                let mut commands = Vec::new();
                while commands.len() < MAX_COMMANDS {
                    let Some(Object(command)) = array.next_element()? else {
                        return Ok(Commands(commands));
                    };
                    commands.push(command);
                }
                let mut count = MAX_COMMANDS;
                while array.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                if count > MAX_COMMANDS {
                    let wants = format_args!("1 to {MAX_COMMANDS}, are {count}");
                    return Err(json_error::expected(wants));
                }
                Ok(Commands(commands))
            }
        }

        deserializer.deserialize_seq(Array)
    }
}
