//! What has to be done so that configs become what they were: commands, in parts that are one change each.

use configapi_proto::v1::command::Action;
use configapi_proto::v1::point_in_time::Moment;
use configapi_proto::v1::restore_target::Moment as Target;
use configapi_proto::v1::{
    Command, Config, DeleteAction, DiffEntry, DiffKind, DiffRequest, GetRequest, PointInTime,
    ReadState, RestoreAction, RestoreTarget,
};
use configapi_proto::{Reason, key};

use crate::client::{Pager, Queries};
use crate::commands::apply::MAX_COMMANDS;
use crate::commands::differences::beginning;
use crate::failure::Failure;

/// The most bytes of values, those now and those then, that are recorded with one change.
const MAX_BYTES: usize = 8 << 20;
/// How many configs are put back at most: all of them are known before the first one is.
const MAX_CONFIGS: u64 = 100_000;

/// All that has to be done.
#[derive(Debug, Default)]
pub struct Plan {
    pub parts: Vec<Part>,
    pub restored: u64,
    pub deleted: u64,
    /// The first differences.
    pub shown: Vec<Shown>,
}

/// What is one change.
#[derive(Debug, Default)]
pub struct Part {
    pub commands: Vec<Command>,
    bytes: usize,
}

/// A difference that is shown, the way back.
#[derive(Debug)]
pub struct Shown {
    pub kind: DiffKind,
    pub name: String,
    pub now: String,
    pub then: String,
}

impl Plan {
    /// Looks up what differs between a moment and now.
    pub async fn make(
        queries: &Queries,
        mut request: DiffRequest,
        show: usize,
    ) -> Result<Self, Failure> {
        let mut plan = Self::default();
        let mut pager = Pager::new(None);
        while let Some((page_size, page_token)) = pager.next() {
            (request.page_size, request.page_token) = (page_size, page_token);
            let page = queries
                .ask(request.clone(), async |mut client, query| client.diff(query).await)
                .await?;
            pager.got(page.entries.len(), page.next_page_token);
            let more = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
            if plan.differences().saturating_add(more) > MAX_CONFIGS {
                let message = format!("more than {MAX_CONFIGS} configs differ");
                return Err(Failure::refused(message)
                    .with_hint("put back a part at a time, with --prefix or by namespace"));
            }
            let now = page.to_state.unwrap_or_default();
            for entry in page.entries {
                plan.add(queries, entry, &now, show).await?;
            }
        }
        Ok(plan)
    }

    /// How many configs differ.
    pub fn differences(&self) -> u64 {
        self.restored + self.deleted
    }

    async fn add(
        &mut self,
        queries: &Queries,
        entry: DiffEntry,
        now: &ReadState,
        show: usize,
    ) -> Result<(), Failure> {
        if self.shown.len() < show {
            self.shown.push(shown(&entry));
        }
        let DiffEntry { namespace, name, from, to, .. } = entry;
        let bytes = [&from, &to].into_iter().flatten().map(|config| config.value.len()).sum();
        let action = match &from {
            None => Action::Delete(DeleteAction {}),
            Some(Config { version, .. }) => {
                let moment = Some(Target::Version(*version));
                Action::Restore(RestoreAction { target: Some(RestoreTarget { moment }) })
            }
        };
        let version = match to {
            Some(config) => config.version,
            None => deleted_version(queries, &namespace, &name, now).await?,
        };
        match from {
            None => self.deleted += 1,
            Some(_) => self.restored += 1,
        }
        let (expected_version, action) = (Some(version), Some(action));
        self.push(Command { namespace, name, expected_version, action }, bytes);
        Ok(())
    }

    fn push(&mut self, command: Command, bytes: usize) {
        let is_full = |part: &Part| {
            part.commands.len() == MAX_COMMANDS || part.bytes.saturating_add(bytes) > MAX_BYTES
        };
        if self.parts.last().is_none_or(is_full) {
            self.parts.push(Part::default());
        }
        if let Some(part) = self.parts.last_mut() {
            part.commands.push(command);
            part.bytes = part.bytes.saturating_add(bytes);
        }
    }
}

/// At which version a config was deleted that is not there any more.
async fn deleted_version(
    queries: &Queries,
    namespace: &str,
    name: &str,
    now: &ReadState,
) -> Result<u64, Failure> {
    let request = GetRequest {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        at: Some(PointInTime { moment: Some(Moment::Token(now.token.clone())) }),
        consistency: None,
    };
    let answer = queries.ask(request, async |mut client, query| client.get(query).await).await;
    let Err(failure) = answer else {
        return Err(Failure::fault(format!("{namespace}/{name} is there and is not")));
    };
    let error = failure.error().filter(|error| error.reason == Reason::ConfigNotFound);
    let version = error.and_then(|error| error.metadata.get(key::DELETED_VERSION)?.parse().ok());
    version.ok_or(failure)
}

fn shown(entry: &DiffEntry) -> Shown {
    let kind = match entry.kind() {
        DiffKind::Added => DiffKind::Removed,
        DiffKind::Removed => DiffKind::Added,
        kind @ (DiffKind::Changed | DiffKind::Unspecified) => kind,
    };
    let value = |config: &Option<Config>| {
        config.as_ref().map(|config| beginning(&config.value)).unwrap_or_default()
    };
    let name = format!("{}/{}", entry.namespace, entry.name);
    Shown { kind, name, now: value(&entry.to), then: value(&entry.from) }
}
