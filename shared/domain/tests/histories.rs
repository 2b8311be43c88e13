//! Whatever is asked in whatever order, what happened is one consistent story.

use configapi_domain::{
    Action, Command, ConfigEvent, ConfigKey, ConfigValue, Content, ContentType, Past, Point,
    RestoreSource, State, Value, Version, decide, evolve,
};
use proptest::prelude::*;

/// What somebody may ask; a Restore names any version, looked up as the service would.
#[derive(Debug, Clone)]
enum Wish {
    Set(Content),
    Delete,
    RestoreLast,
    RestoreTo(u64),
}

fn wish() -> impl Strategy<Value = Wish> {
    let content = ("[a-c]{0,2}", prop::option::of("text/[a-z]{1,3}"));
    prop_oneof![
        4 => content.prop_map(|(text, kind)| Wish::Set(Content {
            value: Value::parse(text).unwrap(),
            content_type: ContentType::parse(kind.as_deref().unwrap_or("")).unwrap(),
        })),
        3 => Just(Wish::Delete),
        2 => Just(Wish::RestoreLast),
        2 => (0_u64..12).prop_map(Wish::RestoreTo),
    ]
}

fn action(wish: Wish, history: &[ConfigEvent]) -> Action {
    match wish {
        Wish::Set(content) => Action::Set(content),
        Wish::Delete => Action::Delete,
        Wish::RestoreLast => Action::Restore(RestoreSource::LastValue),
        Wish::RestoreTo(version) => {
            let at = usize::try_from(version).unwrap().checked_sub(1);
            Action::Restore(match at.and_then(|at| history.get(at)) {
                Some(event) => RestoreSource::Past(Past {
                    version: Version(version),
                    content: event.content().cloned(),
                }),
                None => RestoreSource::Nothing(Point::Version(Version(version))),
            })
        }
    }
}

/// All states that a config went through, and the events between them.
fn lived(wishes: Vec<(Wish, Option<u64>)>) -> (Vec<ConfigValue>, Vec<ConfigEvent>) {
    let mut states = vec![ConfigValue::default()];
    let mut events = Vec::new();
    for (wish, expected) in wishes {
        let config = states.last().unwrap();
        let command = Command {
            key: ConfigKey::parse("", "a").unwrap(),
            expected_version: expected.map(Version),
            action: action(wish, &events),
        };
        if let Ok(event) = decide(config, &command) {
            assert!(expected.is_none_or(|version| version == config.version.0));
            states.push(evolve(config, &event));
            events.push(event);
        }
    }
    (states, events)
}

fn wishes() -> impl Strategy<Value = Vec<(Wish, Option<u64>)>> {
    let expected = prop_oneof![4 => Just(None), 1 => (0_u64..10).prop_map(Some)];
    prop::collection::vec((wish(), expected), 0..40)
}

fn old_value(config: &ConfigValue) -> Option<&Value> {
    match &config.state {
        State::Live(content) => Some(&content.value),
        State::Unborn | State::Deleted(_) => None,
    }
}

proptest! {
    #[test]
    fn the_version_is_the_number_of_events(wishes in wishes()) {
        let (states, events) = lived(wishes);
        for (count, state) in (0..).zip(&states) {
            prop_assert_eq!(state.version, Version(count));
        }
        prop_assert_eq!(states.len(), events.len() + 1);
    }

    #[test]
    fn a_replay_leads_to_where_the_live_config_is(wishes in wishes()) {
        let (states, events) = lived(wishes);
        let replayed = events.iter().fold(ConfigValue::default(), |config, e| evolve(&config, e));
        prop_assert_eq!(Some(&replayed), states.last());
    }

    #[test]
    fn the_last_event_alone_tells_the_state(wishes in wishes()) {
        let (states, events) = lived(wishes);
        for (event, after) in events.iter().zip(&states[1..]) {
            prop_assert_eq!(&ConfigValue::after(after.version, event), after);
        }
    }

    #[test]
    fn every_event_follows_from_the_state_before_it(wishes in wishes()) {
        let (states, events) = lived(wishes);
        for (index, event) in events.iter().enumerate() {
            let (before, after) = (&states[index], &states[index + 1]);
            match event {
                ConfigEvent::Set { content, old_value: old } => {
                    prop_assert!(!matches!(before.state, State::Deleted(_)));
                    prop_assert_eq!(old.as_ref(), old_value(before));
                    prop_assert_eq!(&after.state, &State::Live(content.clone()));
                }
                ConfigEvent::Deleted { deleted } => {
                    prop_assert_eq!(&before.state, &State::Live(deleted.clone()));
                    prop_assert_eq!(&after.state, &State::Deleted(deleted.clone()));
                }
                ConfigEvent::Restored { content, old_value: old, restored_version } => {
                    prop_assert!(before.state != State::Unborn);
                    prop_assert_eq!(old.as_ref(), old_value(before));
                    let source = &events[usize::try_from(restored_version.0).unwrap() - 1];
                    prop_assert_eq!(source.content(), Some(content), "not what it was then");
                    prop_assert_eq!(&after.state, &State::Live(content.clone()));
                }
            }
        }
    }

    #[test]
    fn a_decision_depends_on_nothing_but_state_and_command(wishes in wishes(), next in wish()) {
        let (states, events) = lived(wishes);
        let command = Command {
            key: ConfigKey::parse("", "a").unwrap(),
            expected_version: None,
            action: action(next, &events),
        };
        let config = states.last().unwrap();
        let rebuilt = events
            .last()
            .map_or_else(ConfigValue::default, |last| ConfigValue::after(config.version, last));
        prop_assert_eq!(decide(config, &command), decide(&rebuilt, &command));
    }
}
