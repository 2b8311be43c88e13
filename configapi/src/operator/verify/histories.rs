//! Whether each event follows from the history of its config: what a query server asks before it serves
//! one. Of a config only digests are kept, and only of so many configs as have room: the others get a pass
//! of their own, and so do versions that came back. Nothing is asked but the log: an index may be wrong.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;

use configapi_event_log::Recorded;
use configapi_event_log::domain::{ConfigEvent, Content, ContentType, Position, Value, Version};

/// The most configs that are known at once: as many as a table of two million places takes, which is some
/// 90 MB and, while it grows to that, half as much again.
const MAX_CONFIGS: usize = 7 << 18;
/// The most versions that came back and are looked for at once: 48 bytes each.
const MAX_CLAIMS: usize = 500_000;

/// The first of the two numbers is also what configs are divided by into parts.
type Name = (u64, u64);

/// What is known of configs, of a part of all at a time, as far as the log was read.
#[derive(Debug)]
pub struct Histories {
    /// By chance, so that nobody can make a log whose digests meet.
    keys: [RandomState; 2],
    limits: Limits,
    /// Whether the log is read from its first event on; else what came before is believed.
    is_whole: bool,
    /// None once all parts were read.
    part: Option<RangeInclusive<u64>>,
    configs: HashMap<Name, Known>,
    /// What is said of versions in this pass, from a position on.
    claims: Vec<Claim>,
    claims_from: Option<Position>,
    /// The first position whose claim has no room.
    claims_left: Option<Position>,
    /// What was said in the pass before, in order.
    looked_for: Vec<Claim>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    configs: usize,
    claims: usize,
}

/// A config after its newest event.
#[derive(Debug, Clone, Copy)]
struct Known {
    version: Version,
    /// None if it was deleted.
    content: Option<ContentDigest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentDigest {
    value: NonZeroU64,
    content_type: u64,
}

/// That a version had this content.
#[derive(Debug, Clone, Copy)]
struct Claim {
    name: Name,
    version: Version,
    content: ContentDigest,
    /// The event that says so.
    position: Position,
}

/// An event that cannot be the next of its config.
#[derive(Debug, thiserror::Error)]
#[error(
    "the event at position {position} does not follow from the history of its config: {problem}"
)]
pub struct Unfoldable {
    position: Position,
    problem: &'static str,
}

impl Histories {
    /// Nothing is known yet of what is read from this position on.
    pub fn from(position: Position) -> Self {
        Self::within(Limits { configs: MAX_CONFIGS, claims: MAX_CLAIMS }, position)
    }

    fn within(limits: Limits, position: Position) -> Self {
        Self {
            keys: [RandomState::new(), RandomState::new()],
            limits,
            is_whole: position == Position::GENESIS,
            part: Some(0..=u64::MAX),
            configs: HashMap::new(),
            claims: Vec::new(),
            claims_from: Some(position),
            claims_left: None,
            looked_for: Vec::new(),
        }
    }

    /// Takes in the next event of the log.
    pub fn follow(&mut self, event: &Recorded) -> Result<(), Unfoldable> {
        let name = self.name_of(event.key.stream());
        let content = event.event.content().map(|content| self.content(content));
        self.must_be_as_claimed(name, event.version, content)?;
        if let (ConfigEvent::Restored { restored_version: version, .. }, Some(content)) =
            (&event.event, content)
        {
            let (version, position) = (*version, event.position);
            self.note(Claim { name, version, content, position });
        }
        if !self.has_room_for(name) {
            return Ok(());
        }
        let known = self.configs.get(&name).copied();
        if known.is_some() || self.is_whole || event.version == Version(1) {
            self.must_follow(known, event)
                .map_err(|problem| Unfoldable { position: event.position, problem })?;
        }
        while known.is_none() && self.configs.len() >= self.limits.configs {
            self.leave_half_for_later();
        }
        if self.has_room_for(name) {
            self.configs.insert(name, Known { version: event.version, content });
        }
        Ok(())
    }

    /// After the end of the log: whether it has to be read again, for configs that had no room, or for
    /// versions that came back.
    pub fn begin_next_pass(&mut self) -> bool {
        let end = self.part.take().map_or(u64::MAX, |part| *part.end());
        self.part = end.checked_add(1).map(|next| next..=u64::MAX);
        self.configs.clear();
        self.looked_for = std::mem::take(&mut self.claims);
        self.looked_for.sort_unstable_by_key(|claim| (claim.name, claim.version));
        self.claims_from = self.claims_left.take();
        self.part.is_some() || !self.looked_for.is_empty()
    }

    fn has_room_for(&self, name: Name) -> bool {
        self.part.as_ref().is_some_and(|part| part.contains(&name.0))
    }

    /// Makes room: what is forgotten here is followed from its first event on in another pass.
    fn leave_half_for_later(&mut self) {
        let Some(part) = &mut self.part else { return };
        let (start, end) = (*part.start(), *part.end());
        *part = start..=start + (end - start) / 2;
        self.configs.retain(|name, _| part.contains(&name.0));
    }

    fn note(&mut self, claim: Claim) {
        if self.claims_from.is_none_or(|from| claim.position < from) {
            return;
        }
        if self.claims.len() < self.limits.claims {
            self.claims.push(claim);
        } else {
            self.claims_left.get_or_insert(claim.position);
        }
    }

    /// There is such a version, or the claim was refused as one of a version that does not come before it.
    fn must_be_as_claimed(
        &self,
        name: Name,
        version: Version,
        content: Option<ContentDigest>,
    ) -> Result<(), Unfoldable> {
        let place = (name, version);
        let first = self.looked_for.partition_point(|claim| (claim.name, claim.version) < place);
        let claims = self.looked_for[first..].iter();
        for claim in claims.take_while(|claim| (claim.name, claim.version) == place) {
            let problem = match content {
                Some(content) if content == claim.content => continue,
                Some(_) => "what is restored is not what that version had",
                None => "a version is restored that was a delete",
            };
            return Err(Unfoldable { position: claim.position, problem });
        }
        Ok(())
    }

    /// By the rules of the projection of a query server, and in its words.
    fn must_follow(&self, known: Option<Known>, event: &Recorded) -> Result<(), &'static str> {
        let expected = known.map_or(Version(1), |known| known.version.next());
        if event.version != expected {
            return Err("its version is not the next one");
        }
        let live = known.and_then(|known| known.content);
        let old_value = match &event.event {
            ConfigEvent::Set { .. } if known.is_some() && live.is_none() => {
                return Err("a deleted config is set");
            }
            ConfigEvent::Deleted { .. } if live.is_none() => {
                return Err("a config without a value is deleted");
            }
            ConfigEvent::Deleted { deleted } if live != Some(self.content(deleted)) => {
                return Err("what is deleted is not what it had");
            }
            ConfigEvent::Restored { .. } if known.is_none() => {
                return Err("a config that never existed is restored");
            }
            ConfigEvent::Restored { restored_version: version, .. }
                if *version == Version::NONE || *version >= expected =>
            {
                return Err("a version is restored that does not come before it");
            }
            ConfigEvent::Deleted { .. } => return Ok(()),
            ConfigEvent::Set { old_value, .. } | ConfigEvent::Restored { old_value, .. } => {
                old_value
            }
        };
        if old_value.as_ref().map(|value| self.value(value)) != live.map(|content| content.value) {
            return Err("the value before it is not what it says");
        }
        Ok(())
    }

    fn name_of(&self, stream: &str) -> Name {
        let [one, other] = &self.keys;
        (one.hash_one(stream), other.hash_one(stream))
    }

    fn value(&self, value: &Value) -> NonZeroU64 {
        let [keys, _] = &self.keys;
        NonZeroU64::MIN | keys.hash_one(value.as_str())
    }

    fn content(&self, content: &Content) -> ContentDigest {
        let [keys, _] = &self.keys;
        let content_type = content.content_type.as_ref().map(ContentType::as_str);
        ContentDigest {
            value: self.value(&content.value),
            content_type: keys.hash_one(content_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use configapi_event_log::domain::{ConfigKey, Provenance, Timestamp};
    use configapi_event_log::{CommandPart, Hash};

    use super::*;

    const LIMITS: Limits = Limits { configs: 4, claims: 3 };

    /// That something happened to a config, known by its number.
    fn event(position: u64, config: usize, version: u64, event: ConfigEvent) -> Recorded {
        Recorded {
            position: Position(position),
            version: Version(version),
            recorded_at: Timestamp(0),
            key: ConfigKey::parse("", &format!("c{config}")).unwrap(),
            event,
            provenance: Provenance::default(),
            request: None,
            part: CommandPart::WHOLE,
            hash: Hash::ZERO,
        }
    }

    fn content(text: &str) -> Content {
        Content::untyped(Value::parse(text).unwrap())
    }

    fn set(position: u64, config: usize, version: u64) -> Recorded {
        let old_value = (version > 1).then(|| content("1").value);
        event(position, config, version, ConfigEvent::Set { content: content("1"), old_value })
    }

    fn restored(position: u64, config: usize, version: u64, text: &str) -> Recorded {
        let (content, old_value) = (content(text), Some(content("1").value));
        let restored_version = Version(1);
        let restored = ConfigEvent::Restored { content, old_value, restored_version };
        event(position, config, version, restored)
    }

    /// In how many passes a log is followed, and what is found.
    fn followed(log: &[Recorded]) -> (usize, Result<(), Unfoldable>) {
        let mut histories = Histories::within(LIMITS, Position::GENESIS);
        let mut passes = 0;
        loop {
            passes += 1;
            for event in log {
                if let Err(error) = histories.follow(event) {
                    return (passes, Err(error));
                }
                assert!(histories.configs.len() <= LIMITS.configs);
                assert!(histories.claims.len() <= LIMITS.claims);
            }
            if !histories.begin_next_pass() {
                return (passes, Ok(()));
            }
        }
    }

    fn sets(configs: usize) -> Vec<Recorded> {
        (1..).zip(0..configs).map(|(position, config)| set(position, config, 1)).collect()
    }

    #[test]
    fn configs_that_have_no_room_are_followed_in_another_pass() {
        let configs = 50;
        let mut log = sets(configs);
        for config in 0..configs {
            log.push(set(51, config, 2));
            let (passes, found) = followed(&log);
            assert!(found.is_ok());
            assert!(passes >= configs / LIMITS.configs, "{passes}");
            log.push(set(52, config, 4));
            let error = followed(&log).1.unwrap_err();
            assert_eq!(error.position, Position(52));
            log.truncate(50);
        }
    }

    #[test]
    fn versions_that_came_back_are_looked_for_in_another_pass() {
        let configs = 11;
        let mut log = sets(configs);
        assert_eq!(followed(&sets(1)).0, 1);
        for (position, config) in (12..).zip(0..configs) {
            log.push(restored(position, config, 2, "1"));
        }
        assert!(followed(&log).1.is_ok());
        for forged in configs..log.len() {
            let mut log = log.clone();
            let (position, config) = (log[forged].position, forged - configs);
            log[forged] = restored(position.0, config, 2, "2");
            let error = followed(&log).1.unwrap_err();
            assert_eq!(error.position, position);
        }
    }
}
