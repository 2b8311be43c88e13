//! Snapshots that cannot be gone on from, and what was told of them: a start that is tried again and again
//! says it once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// What was told of each.
#[derive(Debug, Default)]
pub(super) struct Useless(BTreeMap<PathBuf, Vec<String>>);

/// How much is remembered of one snapshot. One of which there is more to tell was changed as often.
const MAX_TOLD: usize = 8;

impl Useless {
    /// Forgets those that are gone.
    pub fn keep_only<'a>(&mut self, there: impl Iterator<Item = &'a PathBuf>) {
        let there: BTreeSet<_> = there.collect();
        self.0.retain(|path, _| there.contains(path));
    }

    /// Whether it was not told yet that this is wrong with one. It is told now.
    pub fn is_news(&mut self, path: &Path, why: &dyn fmt::Display) -> bool {
        let (told, why) = (self.0.entry(path.to_owned()).or_default(), why.to_string());
        if told.contains(&why) {
            return false;
        }
        if told.len() == MAX_TOLD {
            told.remove(0);
        }
        told.push(why);
        true
    }
}
