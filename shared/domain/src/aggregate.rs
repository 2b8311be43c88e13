//! The config as an aggregate: what may happen to it, and what it is after it happened.

use crate::{
    Action, BrokenRule, Command, ConfigEvent, Content, RestoreRefusal, RestoreSource, Version,
};

/// A config at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigValue {
    /// How many events its stream has.
    pub version: Version,
    /// What those events made of it.
    pub state: State,
}

/// What a config is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing ever happened to it.
    #[default]
    Unborn,
    /// It has a value.
    Live(Content),
    /// It was deleted, and had this content before.
    Deleted(Content),
}

/// Decides one command against a config: the event that it leads to, or the rule that it breaks.
pub fn decide(config: &ConfigValue, command: &Command) -> Result<ConfigEvent, BrokenRule> {
    let actual = config.version;
    if let Some(expected) = command.expected_version
        && expected != actual
    {
        return Err(BrokenRule::VersionConflict { expected, actual });
    }
    match &command.action {
        Action::Set(content) => decide_set(config, content),
        Action::Delete => decide_delete(config),
        Action::Restore(source) => decide_restore(config, source),
    }
}

fn decide_set(config: &ConfigValue, content: &Content) -> Result<ConfigEvent, BrokenRule> {
    let old_value = match &config.state {
        State::Unborn => None,
        State::Live(old) => Some(old.value.clone()),
        State::Deleted(_) => {
            return Err(BrokenRule::Deleted { version: config.version });
        }
    };
    Ok(ConfigEvent::Set { content: content.clone(), old_value })
}

fn decide_delete(config: &ConfigValue) -> Result<ConfigEvent, BrokenRule> {
    match &config.state {
        State::Unborn => Err(BrokenRule::NotFound),
        State::Live(content) => Ok(ConfigEvent::Deleted { deleted: content.clone() }),
        State::Deleted(_) => Err(BrokenRule::AlreadyDeleted { version: config.version }),
    }
}

fn decide_restore(config: &ConfigValue, source: &RestoreSource) -> Result<ConfigEvent, BrokenRule> {
    let refused = |refusal| Err(BrokenRule::RestoreRefused(refusal));
    let old_value = match &config.state {
        State::Unborn => return Err(BrokenRule::NotFound),
        State::Live(content) => Some(content.value.clone()),
        State::Deleted(_) => None,
    };
    let (content, restored_version) = match (source, &config.state) {
        // A delete always follows a version with a value: nothing else may follow a delete but a
        // Restore, so the version before it holds what was deleted.
        (RestoreSource::LastValue, State::Deleted(last)) => {
            (last.clone(), Version(config.version.0.saturating_sub(1)))
        }
        (RestoreSource::LastValue, _) => return refused(RestoreRefusal::NotDeleted),
        (RestoreSource::Nothing(point), _) => return refused(RestoreRefusal::Nothing(*point)),
        (RestoreSource::NotYet(position), _) => return refused(RestoreRefusal::NotYet(*position)),
        (RestoreSource::Past(past), _) => match &past.content {
            Some(content) => (content.clone(), past.version),
            None => {
                return refused(RestoreRefusal::WasDelete { version: past.version });
            }
        },
    };
    Ok(ConfigEvent::Restored { content, old_value, restored_version })
}

/// What a config is after an event.
#[must_use]
pub fn evolve(config: &ConfigValue, event: &ConfigEvent) -> ConfigValue {
    ConfigValue::after(config.version.next(), event)
}

impl ConfigValue {
    /// What a config is whose last event, at `version`, was this one.
    pub fn after(version: Version, event: &ConfigEvent) -> Self {
        let state = match event {
            ConfigEvent::Set { content, .. } | ConfigEvent::Restored { content, .. } => {
                State::Live(content.clone())
            }
            ConfigEvent::Deleted { deleted } => State::Deleted(deleted.clone()),
        };
        Self { version, state }
    }
}
