//! The newest versions of streams that are in the index: so that it need not be asked, for each event of
//! them, whether its version is taken. It would read a page for nearly each.

use std::collections::HashMap;
use std::sync::Arc;

use configapi_event_log::domain::Version;

/// Of how many streams at most.
const MAX_STREAMS: usize = 1 << 17;
/// How much their names may weigh.
const MAX_NAME_BYTES: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Entered {
    versions: HashMap<Arc<str>, Version>,
    name_bytes: usize,
}

impl Entered {
    pub fn version_of(&self, stream: &str) -> Option<Version> {
        self.versions.get(stream).copied()
    }

    /// Of those that were there before it forgets all if there is no room for these beside them, and takes in
    /// as many of these as there is room for.
    pub fn take_in(&mut self, streams: Vec<(Arc<str>, Version)>) {
        let new = || streams.iter().filter(|(stream, _)| !self.versions.contains_key(stream));
        let name_bytes: usize = new().map(|(stream, _)| stream.len()).sum();
        if self.versions.len() + new().count() > MAX_STREAMS
            || self.name_bytes + name_bytes > MAX_NAME_BYTES
        {
            *self = Self::default();
        }
        for (stream, version) in streams {
            if let Some(known) = self.versions.get_mut(&stream) {
                *known = version;
            } else if self.versions.len() < MAX_STREAMS
                && self.name_bytes + stream.len() <= MAX_NAME_BYTES
            {
                self.name_bytes += stream.len();
                self.versions.insert(stream, version);
            }
        }
    }
}
