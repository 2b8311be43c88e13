//! The JSON of answers: what the contract's messages look like to REST clients. Fields are never
//! renamed or dropped here; old clients read them.

mod change;
mod diff;
mod receipt;
mod record;
mod state;
mod status;

pub(crate) use self::change::ChangeView;
pub(crate) use self::diff::{DiffEntryView, DiffView};
pub(crate) use self::receipt::{ReceiptView, ReceiptsView};
pub(crate) use self::record::{NameAndValue, RecordView};
pub(crate) use self::state::StateView;
pub(crate) use self::status::StatusView;

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
