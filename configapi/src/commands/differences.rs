//! What differs, as it is shown before it is changed: the first of it, and how much more there is.

use std::io::{self, IsTerminal as _};

use clap::Args;
use configapi_proto::v1::DiffKind;

use super::diff::difference;
use crate::failure::Failure;
use crate::output::terminal::{Paint, has_colours, say};
use crate::output::{Format, Printer};

/// The longest part of a value that is kept to be shown, in bytes.
const MAX_SHOWN_BYTES: usize = 1_024;

/// How much of it.
#[derive(Debug, Clone, Copy, Args)]
pub struct ShowArguments {
    /// How many differences to show
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 40,
        value_parser = clap::value_parser!(u16).range(..=10_000)
    )]
    show: u16,
}

impl ShowArguments {
    /// So many differences at most.
    pub fn most(self) -> usize {
        usize::from(self.show)
    }
}

/// As much of a value as is kept to be shown.
pub fn beginning(value: &str) -> String {
    value[..value.floor_char_boundary(MAX_SHOWN_BYTES)].to_owned()
}

/// Shows differences on stdout as a table, else on stderr: there stdout is for the report.
#[derive(Debug)]
pub struct Differences {
    printer: Printer,
    shown: u64,
}

impl Differences {
    /// None is shown yet.
    pub fn new(format: Format) -> Self {
        Self { printer: Printer::new(format), shown: 0 }
    }

    /// Shows one.
    pub fn show(
        &mut self,
        kind: DiffKind,
        name: &str,
        from: &str,
        to: &str,
    ) -> Result<(), Failure> {
        let is_table = self.printer.format() == Format::Table;
        let is_terminal =
            if is_table { self.printer.is_terminal() } else { io::stderr().is_terminal() };
        let paint = Paint::new(has_colours(is_terminal));
        let line = difference(kind, name, from, to, paint, is_terminal);
        self.shown += 1;
        if is_table {
            self.printer.line(&line)?;
        } else {
            say(&line);
        }
        Ok(())
    }

    /// Says how many of all were not shown.
    pub fn finish(mut self, all: u64) -> Result<(), Failure> {
        let flushed = self.printer.flush();
        let left = all.saturating_sub(self.shown);
        if left > 0 {
            say(&format!("… and {left} more differences (--show says how many to show)"));
        }
        Ok(flushed?)
    }
}
