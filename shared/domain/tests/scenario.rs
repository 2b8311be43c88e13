//! Given, when, then.

use configapi_domain::{
    Action, BrokenRule, Command, ConfigEvent, ConfigKey, ConfigValue, Content, ContentType, Past,
    RestoreSource, Value, Version, decide, evolve,
};

/// A config to which some things happened.
pub(crate) struct Given {
    config: ConfigValue,
    expected_version: Option<Version>,
}

pub(crate) fn given(events: &[ConfigEvent]) -> Given {
    let config = events.iter().fold(ConfigValue::default(), |config, e| evolve(&config, e));
    Given { config, expected_version: None }
}

impl Given {
    /// The command will expect this version.
    pub(crate) fn expecting(mut self, version: u64) -> Self {
        self.expected_version = Some(Version(version));
        self
    }

    pub(crate) fn when(self, action: Action) -> Outcome {
        let command = Command {
            key: ConfigKey::parse("", "a").unwrap(),
            expected_version: self.expected_version,
            action,
        };
        Outcome(decide(&self.config, &command))
    }
}

pub(crate) struct Outcome(Result<ConfigEvent, BrokenRule>);

impl Outcome {
    pub(crate) fn then(self, event: &ConfigEvent) {
        assert_eq!(self.0.as_ref(), Ok(event));
    }

    pub(crate) fn then_refused(self, rule: &BrokenRule, text: &str) {
        assert_eq!(self.0.as_ref(), Err(rule));
        assert_eq!(rule.to_string(), text);
    }
}

pub(crate) fn value(text: &str) -> Value {
    Value::parse(text).unwrap()
}

pub(crate) fn content(text: &str) -> Content {
    Content::untyped(value(text))
}

pub(crate) fn json(text: &str) -> Content {
    let content_type = ContentType::parse("application/json").unwrap();
    Content { value: value(text), content_type }
}

pub(crate) fn was_set(content: Content, old: Option<&str>) -> ConfigEvent {
    ConfigEvent::Set { content, old_value: old.map(value) }
}

pub(crate) fn was_deleted(deleted: Content) -> ConfigEvent {
    ConfigEvent::Deleted { deleted }
}

pub(crate) fn was_restored(content: Content, old: Option<&str>, version: u64) -> ConfigEvent {
    let restored_version = Version(version);
    ConfigEvent::Restored { content, old_value: old.map(value), restored_version }
}

pub(crate) fn set(text: &str) -> Action {
    Action::Set(content(text))
}

pub(crate) fn restore_to(version: u64, content: Option<Content>) -> Action {
    Action::Restore(RestoreSource::Past(Past { version: Version(version), content }))
}
