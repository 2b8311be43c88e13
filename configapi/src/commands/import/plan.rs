//! What an import has to change: for each entry of the file, whether it differs from the present,
//! and the command that makes it equal. Pure comparison; nothing is sent from here.

use configapi_proto::v1::command::Action;
use configapi_proto::v1::{ApplyRequest, Command, SetAction, SetRequest};

use super::digest::{Digest, Digester};
use super::input::Input;
use super::present::Present;
use crate::commands::apply::MAX_COMMANDS;
use crate::commands::differences::beginning;
use crate::failure::Failure;
use crate::transfer::{Entry, FileForm};

/// The most bytes of values that are one change: the request has to fit the server's limit. What the
/// server records of it has a limit too, which only the server knows to be kept: it counts the values
/// before and how the values are written.
const MAX_ONE_CHANGE_BYTES: usize = 8 << 20;

/// Compares entries with the present.
#[derive(Debug)]
pub struct Planner {
    pub namespace: String,
    pub actor: String,
    pub reason: String,
    pub validate_only: bool,
    pub form: FileForm,
    pub present: Present,
}

/// How an entry differs from the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Not at all.
    None,
    /// There is no such config.
    Added,
    /// There is, with another value or content type.
    Changed {
        /// The version that was compared with.
        version: u64,
    },
}

/// What an import has to change, all in all.
#[derive(Debug, Default)]
pub struct Plan {
    pub added: u64,
    pub changed: u64,
    pub unchanged: u64,
    /// The first differences.
    pub shown: Vec<Shown>,
    /// All changes, as long as they can be one.
    small: Option<Vec<SetRequest>>,
    small_bytes: usize,
}

/// A difference that is shown.
#[derive(Debug)]
pub struct Shown {
    pub name: String,
    /// The beginning of the new value.
    pub value: String,
    pub difference: Difference,
}

impl Planner {
    /// How an entry differs from the present. A file that has no place for content types says
    /// nothing about them.
    pub fn compare(&self, entry: &Entry) -> Difference {
        let Some(known) = self.present.find(&entry.name) else { return Difference::Added };
        let is_same_type =
            !self.form.has_content_types() || known.content_type == entry.content_type;
        if is_same_type && known.value == Digest::of(&entry.value) {
            Difference::None
        } else {
            Difference::Changed { version: known.version }
        }
    }

    /// The command that makes the present equal to an entry, and only the present that was seen.
    pub fn change(&self, entry: Entry) -> Option<SetRequest> {
        let (version, content_type) = match self.compare(&entry) {
            Difference::None => return None,
            Difference::Added => (0, entry.content_type),
            Difference::Changed { version } if self.form.has_content_types() => {
                (version, entry.content_type)
            }
            Difference::Changed { version } => {
                let known = self.present.find(&entry.name);
                (version, known.map(|known| known.content_type.to_owned()).unwrap_or_default())
            }
        };
        let mut request = SetRequest {
            namespace: self.namespace.clone(),
            name: entry.name,
            value: entry.value,
            content_type,
            expected_version: Some(version),
            request_id: String::new(),
            validate_only: self.validate_only,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        };
        request.request_id = digest(self.digester(), &request).finish().request_id();
        Some(request)
    }

    /// With the state that was compared with: what was written before it shows in the comparison,
    /// and must not be taken for what is written now. The same change may be wanted twice, when
    /// somebody deleted the config in between.
    fn digester(&self) -> Digester {
        Digester::default().text(&self.present.state.token)
    }
}

/// All that makes a change this change.
fn digest(digester: Digester, request: &SetRequest) -> Digester {
    digester
        .text(&request.namespace)
        .text(&request.name)
        .text(&request.value)
        .text(&request.content_type)
        .number(request.expected_version.unwrap_or(u64::MAX))
        .text(&request.actor)
        .text(&request.reason)
}

impl Plan {
    /// Reads the whole file and compares.
    pub fn make(
        input: &Input,
        planner: &Planner,
        show: usize,
        one_by_one: bool,
    ) -> Result<Self, Failure> {
        let mut plan = Self { small: (!one_by_one).then(Vec::new), ..Self::default() };
        input.entries(&mut |entry| {
            plan.add(entry, planner, show);
            Ok(())
        })?;
        Ok(plan)
    }

    fn add(&mut self, entry: Entry, planner: &Planner, show: usize) {
        let difference = planner.compare(&entry);
        match difference {
            Difference::None => {
                self.unchanged += 1;
                return;
            }
            Difference::Added => self.added += 1,
            Difference::Changed { .. } => self.changed += 1,
        }
        if self.shown.len() < show {
            let value = beginning(&entry.value);
            self.shown.push(Shown { name: entry.name.clone(), value, difference });
        }
        self.small_bytes = self.small_bytes.saturating_add(entry.value.len());
        if self.small_bytes > MAX_ONE_CHANGE_BYTES {
            self.small = None;
        }
        if let Some(small) = &mut self.small {
            small.extend(planner.change(entry));
        }
        if self.small.as_ref().is_some_and(|small| small.len() > MAX_COMMANDS) {
            self.small = None;
        }
    }

    /// How many configs differ.
    pub fn changes(&self) -> u64 {
        self.added + self.changed
    }

    /// All changes as one, if they can be.
    pub fn as_one(&self, planner: &Planner) -> Option<ApplyRequest> {
        let small = self.small.as_ref()?;
        let id = small.iter().fold(planner.digester(), digest).finish().request_id();
        let commands = small.iter().map(|set| Command {
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            expected_version: set.expected_version,
            action: Some(Action::Set(SetAction {
                value: set.value.clone(),
                content_type: set.content_type.clone(),
            })),
        });
        Some(ApplyRequest {
            commands: commands.collect(),
            request_id: id,
            validate_only: planner.validate_only,
            actor: planner.actor.clone(),
            reason: planner.reason.clone(),
        })
    }
}
