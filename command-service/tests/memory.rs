//! What a committer remembers between its batches: as much as it may, as it is now, and what other
//! writers did while it was idle.

use std::sync::Arc;
use std::time::Duration;

use configapi_command_service::committer::{
    CommitQueue, Committer, CommitterMetrics, Limits, Refusal, Submission, Wish, WishedAction,
};
use configapi_domain::{ConfigEvent, ConfigKey, Content, ContentType, Provenance, Value, Version};
use configapi_event_log::{EventLog as _, MemoryLog, decode, seal};
use prometheus_client::registry::Registry;
use tokio::task::yield_now;

use crate::faulty_log::FaultyLog;
use crate::support::{TestClock, memory_log, rows};

/// A committer on a log that tells what it was asked for.
struct Stage {
    inner: Arc<MemoryLog>,
    log: Arc<FaultyLog>,
    queue: CommitQueue,
    registry: Registry,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let inner = memory_log();
        let log = FaultyLog::new(inner.clone());
        let mut registry = Registry::default();
        let metrics = CommitterMetrics::register(&mut registry);
        let clock = Arc::<TestClock>::default();
        let committer = Committer::new(log.clone(), clock, limits, metrics);
        tokio::spawn(committer.worker.run());
        Self { inner, log, queue: committer.queue, registry }
    }

    /// Sets a config whose version is this.
    async fn set(&self, name: &str, version: u64) {
        self.queue.submit(set(name, Some(version))).await.unwrap();
    }

    /// How often a config was looked up.
    fn look_ups(&self, name: &str) -> usize {
        let stream = format!("default/{name}");
        self.log.look_ups().concat().iter().filter(|asked| **asked == stream).count()
    }

    fn tells(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().any(|told| told == line)
    }

    /// Returns when the committer knows of this position, with nobody telling it.
    async fn knows_of(&self, position: u64) {
        let line = format!("configapi_command_log_head_position {position}");
        let knows = async {
            while !self.tells(&line) {
                yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), knows).await.unwrap();
    }
}

fn set(name: &str, expected_version: Option<u64>) -> Submission {
    let content = Content::untyped(Value::parse("1").unwrap());
    wish(name, expected_version, WishedAction::Set(content))
}

fn wish(name: &str, expected_version: Option<u64>, action: WishedAction) -> Submission {
    Submission {
        wishes: vec![Wish {
            key: ConfigKey::parse("", name).unwrap(),
            expected_version: expected_version.map(Version),
            action,
        }],
        provenance: Provenance::default(),
        request: None,
        validate_only: false,
        deadline: None,
    }
}

/// A committer with nothing else to do looks around at once.
fn looking_around() -> Limits {
    Limits { probe_every: Duration::from_millis(1), ..Limits::default() }
}

/// Room for a few small configs.
fn forgetful() -> Limits {
    Limits { cache_bytes: 2_000, ..Limits::default() }
}

#[tokio::test]
async fn what_there_is_no_more_room_for_is_looked_up_again() {
    let stage = Stage::new(forgetful());
    let names: Vec<_> = (0..20).map(|number| format!("c{number}")).collect();
    for name in &names {
        stage.set(name, 0).await;
    }
    stage.set("c19", 1).await;
    assert_eq!(stage.look_ups("c19"), 1, "the newest is remembered");
    for name in &names[..19] {
        stage.set(name, 1).await;
    }
    let known = names.iter().filter(|name| stage.look_ups(name) == 1).count();
    assert!(known < 12, "{known} of twenty were remembered in 2,000 bytes");
    assert_eq!(stage.look_ups("c0"), 2);
}

#[tokio::test]
async fn what_is_used_again_and_again_stays_while_others_come_and_go() {
    let stage = Stage::new(forgetful());
    stage.set("hot", 0).await;
    for round in 0..50 {
        stage.set(&format!("c{round}"), 0).await;
        // Refused by what is remembered, which nothing renews.
        assert!(stage.queue.submit(set("hot", Some(7))).await.is_err());
    }
    assert_eq!(stage.look_ups("hot"), 1);
    stage.set("c0", 1).await;
    assert_eq!(stage.look_ups("c0"), 2);
}

#[tokio::test]
async fn a_large_value_leaves_its_room_to_others_when_it_is_set_anew() {
    let stage = Stage::new(Limits { cache_bytes: 50_000, ..Limits::default() });
    let names: Vec<_> = (0..10).map(|number| format!("c{number}")).collect();
    let content = Content::untyped(Value::parse("x".repeat(10_000)).unwrap());
    for name in &names {
        let large = wish(name, Some(0), WishedAction::Set(content.clone()));
        stage.queue.submit(large).await.unwrap();
    }
    for name in &names {
        stage.set(name, 1).await;
    }
    let look_ups = || names.iter().map(|name| stage.look_ups(name)).sum::<usize>();
    let before = look_ups();
    assert!(before > 14, "{before} look-ups: five large ones are remembered at most");
    for name in &names {
        stage.set(name, 2).await;
    }
    assert_eq!(look_ups(), before, "small ones are all remembered");
}

#[tokio::test]
async fn what_kind_of_text_a_value_is_takes_room_too() {
    let stage = Stage::new(forgetful());
    let names: Vec<_> = (0..8).map(|number| format!("c{number}")).collect();
    let content_type = ContentType::parse(&"k".repeat(255)).unwrap();
    let content = Content { value: Value::parse("1").unwrap(), content_type };
    for version in 0..2 {
        for name in &names {
            let set = wish(name, Some(version), WishedAction::Set(content.clone()));
            stage.queue.submit(set).await.unwrap();
        }
    }
    let look_ups = names.iter().map(|name| stage.look_ups(name)).sum::<usize>();
    assert!(look_ups > 8, "all eight were remembered in 2,000 bytes");
}

#[tokio::test]
async fn the_name_of_a_config_takes_room_too() {
    let stage = Stage::new(forgetful());
    let names: Vec<_> = (0..8).map(|number| format!("{}{number}", "n".repeat(250))).collect();
    for version in 0..2 {
        for name in &names {
            stage.set(name, version).await;
        }
    }
    let look_ups = names.iter().map(|name| stage.look_ups(name)).sum::<usize>();
    assert!(look_ups > 8, "all eight were remembered in 2,000 bytes");
}

#[tokio::test]
async fn what_is_forgotten_in_a_new_epoch_leaves_its_room_to_others() {
    let stage = Stage::new(forgetful());
    let names: Vec<_> = (0..8).map(|number| format!("c{number}")).collect();
    for version in 0..3 {
        for name in &names {
            stage.set(name, version).await;
        }
        if version == 0 {
            let head = stage.inner.head().await.unwrap();
            stage.inner.begin_epoch(&head).await.unwrap();
        }
    }
    for name in &names {
        assert_eq!(stage.look_ups(name), 2, "{name} was looked up in each epoch, and remembered");
    }
}

#[tokio::test]
async fn what_is_remembered_is_what_was_set_whatever_its_size() {
    let stage = Stage::new(Limits::default());
    let kind = |size: usize| {
        ContentType::parse(if size.is_multiple_of(2) { "" } else { "text/x" }).unwrap()
    };
    let sizes = [0, 1, 200, 199, 4_096, 4_097, 1_000_000, 3, 300, 44, 43, 0, 5_001, 5_000];
    let mut actions = Vec::new();
    for (size, letter) in sizes.into_iter().zip('a'..) {
        let value = Value::parse(String::from(letter).repeat(size)).unwrap();
        actions.push(WishedAction::Set(Content { value, content_type: kind(size) }));
        actions.push(WishedAction::Delete);
        actions.push(WishedAction::Restore(None));
    }
    let mut before = None;
    for (action, version) in actions.into_iter().zip(0..) {
        stage.queue.submit(wish("a", Some(version), action.clone())).await.unwrap();
        let row = rows(&*stage.inner).await.pop().unwrap();
        let event = decode(&row).unwrap().event;
        match (&event, &action) {
            (ConfigEvent::Set { content, old_value }, WishedAction::Set(wished)) => {
                assert_eq!(content, wished);
                assert_eq!(*old_value, before.map(|before: Content| before.value));
                before = Some(content.clone());
            }
            (ConfigEvent::Deleted { deleted }, WishedAction::Delete) => {
                assert_eq!(Some(deleted), before.as_ref());
            }
            (ConfigEvent::Restored { content, old_value: None, .. }, WishedAction::Restore(_)) => {
                assert_eq!(Some(content), before.as_ref());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.look_ups("a"), 1);
}

#[tokio::test]
async fn what_others_wrote_while_there_was_nothing_to_do_is_known() {
    let stage = Stage::new(looking_around());
    stage.set("a", 0).await;
    let other = Committer::new(
        stage.inner.clone(),
        Arc::<TestClock>::default(),
        Limits::default(),
        CommitterMetrics::unregistered(),
    );
    tokio::spawn(other.worker.run());
    for _ in 0..3 {
        other.queue.submit(set("a", None)).await.unwrap();
    }
    stage.knows_of(4).await;
    stage.set("a", 4).await;
    assert_eq!(stage.look_ups("a"), 1);
    assert!(stage.tells("configapi_command_races_lost_total 0"));
}

/// It was known before somebody wrote over it what cannot be read here.
#[tokio::test]
async fn what_cannot_be_read_since_is_not_known_any_more() {
    let stage = Stage::new(looking_around());
    stage.set("a", 0).await;
    let head = stage.inner.head().await.unwrap();
    let mut row = rows(&*stage.inner).await.pop().unwrap();
    (row.position, row.version) = (row.position.next(), row.version.next());
    row.event_type = "ConfigForeseen".into();
    seal(head.hash, &mut row);
    stage.inner.append(&head, std::slice::from_ref(&row)).await.unwrap();
    stage.knows_of(2).await;
    let Err(Refusal::Broken(why)) = stage.queue.submit(set("a", None)).await else {
        panic!("it was to be refused")
    };
    assert!(why.contains("ConfigForeseen"), "{why}");
    assert_eq!(stage.look_ups("a"), 2);
    assert_eq!(stage.log.appended(), [1], "nothing was tried");
}
