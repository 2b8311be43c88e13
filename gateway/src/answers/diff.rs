//! How a config differs between two moments.

use configapi_proto::v1::{DiffEntry, DiffKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::{RecordView, StateView};

/// What differs between two moments.
#[derive(Debug, ToSchema)]
#[schema(as = Diff)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub(crate) struct DiffView<'a> {
    /// The state compared from.
    from: StateView<'a>,
    /// The state compared to.
    to: StateView<'a>,
    /// The configs that differ, ordered by namespace and name.
    entries: Vec<DiffEntryView<'a>>,
}

/// One config that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DiffEntry)]
pub(crate) struct DiffEntryView<'a> {
    /// The namespace of the config.
    namespace: &'a str,
    /// The name of the config.
    name: &'a str,
    /// How it differs: `added`, `changed` or `removed`.
    kind: &'static str,
    /// The config at the first moment; null if it was added.
    #[schema(required)]
    from: Option<RecordView<'a>>,
    /// The config at the second moment; null if it was removed.
    #[schema(required)]
    to: Option<RecordView<'a>>,
}

impl<'a> DiffEntryView<'a> {
    pub fn of(entry: &'a DiffEntry) -> Self {
        Self {
            namespace: &entry.namespace,
            name: &entry.name,
            kind: match entry.kind() {
                DiffKind::Added => "added",
                DiffKind::Changed => "changed",
                DiffKind::Removed => "removed",
                DiffKind::Unspecified => "",
            },
            from: entry.from.as_ref().map(RecordView::of),
            to: entry.to.as_ref().map(RecordView::of),
        }
    }
}
