//! What an import says: before, what differs; after, what became of it.

use configapi_proto::v1::{DiffKind, GetRequest, PointInTime, ReadState, point_in_time};

use super::plan::{Difference, Plan, Planner, Shown};
use crate::client::Queries;
use crate::commands::differences::Differences;
use crate::failure::Failure;
use crate::output::terminal::{printable, say};
use crate::output::{Format, Printer, Record};

/// Refusals that are told one by one.
const MAX_REFUSALS_TOLD: usize = 20;

/// What became of an import.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many changes were made, or in a dry run would have been.
    pub written: u64,
    /// How many were refused.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<Refusal>,
    /// How many configs were found to have become what the file says without this import.
    pub found: u64,
    /// Whether all changes were one.
    pub is_one_change: bool,
    /// What a read may wait for to see them all.
    pub token: String,
}

/// A change that was refused.
#[derive(Debug)]
pub struct Refusal {
    pub name: String,
    pub reason: String,
    pub message: String,
}

impl Outcome {
    /// What to say of an import that ends here, of what it has made and of how it goes on.
    pub fn so_far(&self) -> String {
        format!(
            "{} changes are known to be made; run the same import again to go on: what was written \
             counts as unchanged",
            self.written
        )
    }

    /// Counts a refusal, and keeps it if it is one of the first.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.refused += 1;
        if self.refusals.len() < MAX_REFUSALS_TOLD {
            self.refusals.push(refusal);
        }
    }
}

/// Shows what differs.
pub async fn print_differences(
    plan: &Plan,
    planner: &Planner,
    state: &ReadState,
    queries: &Queries,
    format: Format,
) -> Result<(), Failure> {
    let mut differences = Differences::new(format);
    for shown in &plan.shown {
        let name = format!("{}/{}", planner.namespace, shown.name);
        let (kind, from) = match shown.difference {
            Difference::None => continue,
            Difference::Added => (DiffKind::Added, String::new()),
            Difference::Changed { .. } => {
                (DiffKind::Changed, old_value(shown, planner, state, queries).await?)
            }
        };
        differences.show(kind, &name, &from, &shown.value)?;
    }
    differences.finish(plan.changes())
}

/// What a config was in the state that was compared with.
async fn old_value(
    shown: &Shown,
    planner: &Planner,
    state: &ReadState,
    queries: &Queries,
) -> Result<String, Failure> {
    let moment = point_in_time::Moment::Token(state.token.clone());
    let request = GetRequest {
        namespace: planner.namespace.clone(),
        name: shown.name.clone(),
        at: Some(PointInTime { moment: Some(moment) }),
        consistency: None,
    };
    let answer = queries.ask(request, async |mut client, query| client.get(query).await).await?;
    Ok(answer.config.map(|config| config.value).unwrap_or_default())
}

/// Says what became of it.
pub fn print_report(
    plan: &Plan,
    outcome: &Outcome,
    is_dry_run: bool,
    format: Format,
) -> Result<(), Failure> {
    for refusal in &outcome.refusals {
        let Refusal { name, reason, message } = refusal;
        say(&format!("refused: {}: {} ({reason})", printable(name), printable(message)));
    }
    let shown = u64::try_from(outcome.refusals.len()).unwrap_or(u64::MAX);
    if outcome.refused > shown {
        say(&format!("… and {} more refusals", outcome.refused - shown));
    }
    let written = if is_dry_run { "would_write" } else { "written" };
    let record = Record::new()
        .with("added", plan.added)
        .with("changed", plan.changed)
        .with("unchanged", plan.unchanged + outcome.found)
        .with(written, outcome.written)
        .with("refused", outcome.refused)
        .with("as_one_change", outcome.is_one_change)
        .text("token", outcome.token.clone());
    let printed = Printer::new(format).one(&record, &["token"]);
    if is_dry_run {
        say("this was a dry run: nothing was written");
    } else if outcome.refused > 0 {
        say("run it again to see what differs now");
    }
    match printed {
        Err(error) if !is_dry_run && outcome.written > 0 => {
            let done = match outcome.written {
                1 => "1 change is made".to_owned(),
                many => format!("{many} changes are made"),
            };
            Err(Failure::unprinted(&done, &error))
        }
        printed => Ok(printed?),
    }
}
