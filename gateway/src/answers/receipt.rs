//! What commands did.

use configapi_proto::v1::{EventKind, Receipt};
use serde::Serialize;
use utoipa::ToSchema;

use super::hex;
use crate::moment::Time;

/// What one command did, or with `dry_run` would do, to one config.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptView<'a> {
    /// The namespace of the config.
    namespace: &'a str,
    /// The name of the config.
    name: &'a str,
    /// The version of the config after the command.
    version: u64,
    /// The position of the command's event; 0 if nothing was written because of `dry_run`.
    position: u64,
    /// The token to read this write with; empty if nothing was written because of `dry_run`.
    token: &'a str,
    /// When the event was recorded; null if nothing was written because of `dry_run`.
    #[schema(required)]
    recorded_at: Option<Time>,
    /// What happened: `ConfigValueSet`, `ConfigValueDeleted` or `ConfigValueRestored`.
    event_type: &'static str,
    /// The `Idempotency-Key` of the command, or else the id of the request, as in `x-request-id`.
    request_id: &'a str,
    /// The event's link in the hash chain, in hexadecimal.
    hash: String,
}

impl<'a> ReceiptView<'a> {
    pub fn of(receipt: &'a Receipt) -> Self {
        Self {
            namespace: &receipt.namespace,
            name: &receipt.name,
            version: receipt.version,
            position: receipt.position,
            token: &receipt.token,
            recorded_at: Time::of(receipt.recorded_at.as_ref()),
            event_type: match receipt.kind() {
                EventKind::Set => "ConfigValueSet",
                EventKind::Deleted => "ConfigValueDeleted",
                EventKind::Restored => "ConfigValueRestored",
                EventKind::Unspecified => "",
            },
            request_id: &receipt.request_id,
            hash: hex(&receipt.hash),
        }
    }
}

/// What an Apply did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipts)]
pub(crate) struct ReceiptsView<'a> {
    /// One receipt for each command, in the order of the commands.
    pub receipts: Vec<ReceiptView<'a>>,
}
