//! The configs that the committer knows: a bounded cache of aggregates, each as of the head. Two
//! generations make a cheap approximation of "least recently used".

use std::collections::HashMap;
use std::sync::Arc;

use configapi_domain::{ConfigValue, State};
use configapi_runtime::memory;

/// From how many configs on they are spread over so much memory that large pages are worth it.
const MANY_CONFIGS: usize = 1 << 13;

/// A bounded cache of aggregates by stream.
#[derive(Debug)]
pub(super) struct Aggregates {
    young: HashMap<Arc<str>, ConfigValue>,
    old: HashMap<Arc<str>, ConfigValue>,
    young_bytes: usize,
    generation_bytes: usize,
}

impl Aggregates {
    /// A cache that holds about so many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_bytes: 0,
            generation_bytes: limit_bytes / 2,
        }
    }

    /// The aggregate of a stream, if it is known.
    pub fn get(&mut self, stream: &Arc<str>) -> Option<&ConfigValue> {
        if !self.young.contains_key(stream) {
            let config = self.old.remove(stream)?;
            self.put(stream, config);
        }
        self.young.get(stream)
    }

    /// Remembers an aggregate.
    pub fn put(&mut self, stream: &Arc<str>, config: ConfigValue) {
        self.young_bytes += weight_bytes(stream, &config);
        if let Some(before) = self.young.insert(Arc::clone(stream), config) {
            self.young_bytes = self.young_bytes.saturating_sub(weight_bytes(stream, &before));
        } else {
            // The newest word is in the young generation; an old one must not outlive it.
            self.old.remove(stream);
            if self.young.len() >= MANY_CONFIGS {
                memory::hold_much();
            }
        }
        if self.young_bytes > self.generation_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    /// Brings an aggregate up to date, if it is known.
    pub fn refresh(&mut self, stream: &Arc<str>, config: ConfigValue) {
        if self.young.contains_key(stream) || self.old.contains_key(stream) {
            self.put(stream, config);
        }
    }

    /// Forgets one aggregate.
    pub fn forget(&mut self, stream: &Arc<str>) {
        if let Some(config) = self.young.remove(stream) {
            self.young_bytes = self.young_bytes.saturating_sub(weight_bytes(stream, &config));
        }
        self.old.remove(stream);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_bytes = 0;
    }
}

/// About what an aggregate weighs, its place in the map included.
pub(super) fn weight_bytes(stream: &str, config: &ConfigValue) -> usize {
    const FIXED_BYTES: usize = 160;
    let content = match &config.state {
        State::Unborn => 0,
        State::Live(content) | State::Deleted(content) => content.value.as_str().len(),
    };
    FIXED_BYTES + stream.len() + content
}
