//! Texts that come again and again: a million events have a few hundred authors. One that was read before
//! is neither checked nor held once more. Bounded, because the texts are the callers'.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;

use configapi_domain::{Actor, ContentType, Invalid, ReasonText};
use foldhash::quality::RandomState;

/// The most texts of a kind that are remembered; then all are forgotten, and it begins again.
const MAX_REMEMBERED: usize = 4_096;

/// The texts that many events share.
#[derive(Debug)]
pub struct Texts {
    actors: Known<Actor>,
    reasons: Known<ReasonText>,
    content_types: Known<ContentType>,
    max_remembered: usize,
}

impl Default for Texts {
    fn default() -> Self {
        Self { max_remembered: MAX_REMEMBERED, ..Self::unremembered() }
    }
}

impl Texts {
    /// Texts of which none is remembered: for one event alone.
    pub(crate) fn unremembered() -> Self {
        let (actors, reasons) = (HashSet::default(), HashSet::default());
        Self { actors, reasons, content_types: HashSet::default(), max_remembered: 0 }
    }

    pub(crate) fn actor(&mut self, text: &str) -> Result<Actor, Invalid> {
        shared(&mut self.actors, text, self.max_remembered, || Actor::parse(text))
    }

    pub(crate) fn reason(&mut self, text: &str) -> Result<ReasonText, Invalid> {
        shared(&mut self.reasons, text, self.max_remembered, || ReasonText::parse(text))
    }

    pub(crate) fn content_type(&mut self, text: &str) -> Result<Option<ContentType>, Invalid> {
        if let Some(known) = self.content_types.get(text) {
            return Ok(Some(known.clone()));
        }
        let parsed = ContentType::parse(text)?;
        if let Some(parsed) = &parsed {
            remember(&mut self.content_types, parsed, self.max_remembered);
        }
        Ok(parsed)
    }
}

/// Values that are equal to some text, so that equal ones share one allocation.
type Known<T> = HashSet<T, RandomState>;

fn shared<T: Borrow<str> + Hash + Eq + Clone>(
    known: &mut Known<T>,
    text: &str,
    max_remembered: usize,
    parse: impl FnOnce() -> Result<T, Invalid>,
) -> Result<T, Invalid> {
    if let Some(known) = known.get(text) {
        return Ok(known.clone());
    }
    let parsed = parse()?;
    remember(known, &parsed, max_remembered);
    Ok(parsed)
}

fn remember<T: Hash + Eq + Clone>(known: &mut Known<T>, value: &T, max_remembered: usize) {
    if known.len() >= max_remembered {
        known.clear();
    }
    if max_remembered > 0 {
        known.insert(value.clone());
    }
}
