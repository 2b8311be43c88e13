//! How the outcome of a write is printed.

use std::io::{self, ErrorKind};

use super::records::RECEIPT_COLUMNS;
use crate::arguments::WriteArguments;
use crate::failure::Failure;
use crate::output::terminal::say;
use crate::output::{Printer, Record, Sheet};

/// Raw, a receipt is its token: what a read may wait for.
const RAW: &[&str] = &["token"];

/// Prints the receipt of the one command that was sent under this id.
pub fn print_one(
    receipt: &Record,
    request_id: &str,
    write: &WriteArguments,
) -> Result<(), Failure> {
    told(Printer::new(write.output.format()).one(receipt, RAW), request_id, write)
}

/// Prints the receipts of many commands.
pub fn print_all(
    receipts: impl Iterator<Item = Record>,
    request_id: &str,
    write: &WriteArguments,
) -> Result<(), Failure> {
    told(print_sheet(receipts, write), request_id, write)
}

fn print_sheet(receipts: impl Iterator<Item = Record>, write: &WriteArguments) -> io::Result<()> {
    let mut printer = Printer::new(write.output.format());
    let mut sheet = Sheet::new(&mut printer, RECEIPT_COLUMNS, RAW);
    for receipt in receipts {
        sheet.push(&receipt)?;
    }
    sheet.finish()
}

/// What came of it. What is written stays so, whatever becomes of its receipt, and who is told of a
/// failure must not take the write for one.
fn told(printed: io::Result<()>, request_id: &str, write: &WriteArguments) -> Result<(), Failure> {
    match printed {
        Ok(()) if write.dry_run => {
            say("this was a dry run: nothing was written");
            Ok(())
        }
        Err(error) if !write.dry_run && error.kind() != ErrorKind::BrokenPipe => {
            let message = format!("it is written, but its receipt cannot be printed: {error}");
            let hint = format!("the same command with --request-id {request_id} prints it again");
            Err(Failure::try_again(message).with_hint(hint))
        }
        printed => Ok(printed?),
    }
}
