//! How the outcome of a write is printed.

use super::records::RECEIPT_COLUMNS;
use crate::arguments::WriteArguments;
use crate::failure::Failure;
use crate::output::terminal::say;
use crate::output::{Printer, Record, Sheet};

/// Raw, a receipt is its token: what a read may wait for.
const RAW: &[&str] = &["token"];

/// Prints the receipt of one command.
pub fn print_one(receipt: &Record, write: &WriteArguments) -> Result<(), Failure> {
    Printer::new(write.output.format()).one(receipt, RAW)?;
    tell_dry_run(write);
    Ok(())
}

/// Prints the receipts of many commands.
pub fn print_all(
    receipts: impl Iterator<Item = Record>,
    write: &WriteArguments,
) -> Result<(), Failure> {
    let mut printer = Printer::new(write.output.format());
    let mut sheet = Sheet::new(&mut printer, RECEIPT_COLUMNS, RAW);
    for receipt in receipts {
        sheet.push(&receipt)?;
    }
    sheet.finish()?;
    tell_dry_run(write);
    Ok(())
}

fn tell_dry_run(write: &WriteArguments) {
    if write.dry_run {
        say("this was a dry run: nothing was written");
    }
}
