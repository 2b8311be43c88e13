//! Many records of a kind, printed as they come. A table needs to know how wide its columns are, so
//! it holds back its first rows, and only those.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::terminal::{Paint, cut, printable};
use super::{Format, Printer, Record, yaml};

/// Rows that a table holds back to see how wide its columns are.
const ROWS_HELD_BACK: usize = 500;
/// The widest that a cell is shown on a terminal, in characters.
const MAX_CELL_CHARS: usize = 60;
/// The widest that a column is made for its cells, in characters.
const MAX_COLUMN_CHARS: usize = 60;

/// Many records of a kind.
#[derive(Debug)]
pub struct Sheet<'a> {
    printer: &'a mut Printer,
    columns: &'static [&'static str],
    raw: &'static [&'static str],
    held_back: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl<'a> Sheet<'a> {
    /// A table of these columns; raw, only these fields.
    pub fn new(
        printer: &'a mut Printer,
        columns: &'static [&'static str],
        raw: &'static [&'static str],
    ) -> Self {
        Self { printer, columns, raw, held_back: Vec::new(), widths: None, rows: 0 }
    }

    /// How many rows there are so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Prints one more.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        let is_first = self.rows == 0;
        self.rows += 1;
        match self.printer.format {
            Format::Table => self.row(record),
            Format::Json => {
                self.printer.out.write_all(if is_first { b"[\n" } else { b",\n" })?;
                self.printer.json(record)
            }
            Format::Yaml => self.printer.out.write_all(yaml::item(record).as_bytes()),
            Format::Raw => writeln!(self.printer.out, "{}", record.raw_line(self.raw)),
        }
    }

    /// Prints what is left to print.
    pub fn finish(mut self) -> io::Result<()> {
        match self.printer.format {
            Format::Table if self.rows > 0 => self.release()?,
            Format::Json | Format::Yaml if self.rows == 0 => self.printer.out.write_all(b"[]\n")?,
            Format::Json => self.printer.out.write_all(b"\n]\n")?,
            Format::Table | Format::Yaml | Format::Raw => {}
        }
        self.printer.flush()
    }

    fn row(&mut self, record: &Record) -> io::Result<()> {
        let is_terminal = self.printer.is_terminal;
        let cell = |name: &&str| {
            let plain = record.plain(name);
            let shown = printable(&plain);
            if is_terminal { cut(&shown, MAX_CELL_CHARS).into_owned() } else { shown.into_owned() }
        };
        let cells: Vec<_> = self.columns.iter().map(cell).collect();
        if let Some(widths) = &self.widths {
            let line = line(&cells, widths);
            return writeln!(self.printer.out, "{line}");
        }
        self.held_back.push(cells);
        if self.held_back.len() >= ROWS_HELD_BACK { self.release() } else { Ok(()) }
    }

    /// Prints the title and the rows held back.
    fn release(&mut self) -> io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let titles: Vec<_> =
            self.columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
        let width = |column: usize| {
            let cells = self.held_back.iter().chain([&titles]).filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
            widest.min(MAX_COLUMN_CHARS)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let title = self.printer.paint().title(&line(&titles, &widths));
        writeln!(self.printer.out, "{title}")?;
        for row in self.held_back.drain(..) {
            writeln!(self.printer.out, "{}", line(&row, &widths))?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// Cells under each other, two spaces apart, without spaces at the end.
fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        // Writing to a String cannot fail.
        let _ = write!(line, "{cell:width$}  ");
    }
    line.truncate(line.trim_end().len());
    line
}

/// A record as lines, one for each of its fields.
pub(super) fn fields_of(record: &Record, paint: Paint) -> String {
    let width = record.fields().iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, field) in record.fields() {
        let name = format!("{:width$}", name.replace('_', " "));
        let plain = field.plain();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {}", paint.title(&name), printable(&plain));
    }
    text
}
