//! What goes out: records on stdout in the form that was asked for, and files that are only good as
//! a whole. Data only; messages go to stderr.

pub mod file;
mod record;
mod sheet;
pub mod terminal;
pub mod yaml;

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use clap::ValueEnum;
use serde::Serialize;

pub use self::record::{Field, Record};
pub use self::sheet::Sheet;
use self::terminal::{Paint, has_colours};

/// Bytes that wait to be written together.
const BUFFER_BYTES: usize = 64 * 1024;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people; long values are cut on a terminal.
    Table,
    /// JSON; a command that goes on prints one object a line.
    Json,
    /// YAML; a command that goes on prints one document after the other.
    Yaml,
    /// The bare value, or the main fields with tabs between.
    Raw,
}

/// Prints records on stdout.
#[derive(Debug)]
pub struct Printer {
    out: Out,
    format: Format,
    is_terminal: bool,
}

/// Where it goes.
#[derive(Debug)]
enum Out {
    Stdout(BufWriter<StdoutLock<'static>>),
    Held(Vec<u8>),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Held(held) => held.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Held(_) => Ok(()),
        }
    }
}

impl Printer {
    /// Prints in this form.
    pub fn new(format: Format) -> Self {
        let stdout = io::stdout().lock();
        let is_terminal = stdout.is_terminal();
        let out = Out::Stdout(BufWriter::with_capacity(BUFFER_BYTES, stdout));
        Self { out, format, is_terminal }
    }

    /// Prints in this form, for stdout, but holds all of it until it is taken.
    pub fn holding(format: Format) -> Self {
        Self { out: Out::Held(Vec::new()), format, is_terminal: io::stdout().is_terminal() }
    }

    /// What is held, which is no longer held then.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.out {
            Out::Held(bytes) => std::mem::take(bytes),
            Out::Stdout(_) => Vec::new(),
        }
    }

    /// The form.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How to colour what is printed here.
    pub fn paint(&self) -> Paint {
        Paint::new(has_colours(self.is_terminal))
    }

    /// Whether somebody is looking.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Prints one record: as a table, a line for each of its fields; raw, only these fields.
    pub fn one(&mut self, record: &Record, raw: &[&str]) -> io::Result<()> {
        match self.format {
            Format::Table => {
                let text = sheet::fields_of(record, self.paint());
                self.out.write_all(text.as_bytes())?;
            }
            Format::Json => {
                serde_json::to_writer_pretty(&mut self.out, record)?;
                self.out.write_all(b"\n")?;
            }
            Format::Yaml => self.out.write_all(yaml::document(record).as_bytes())?,
            Format::Raw => writeln!(self.out, "{}", record.raw_line(raw))?,
        }
        self.flush()
    }

    /// Prints one of many records that come as they happen; as a table, this line.
    pub fn event(&mut self, record: &Record, raw: &[&str], line: &str) -> io::Result<()> {
        match self.format {
            Format::Table => writeln!(self.out, "{line}"),
            Format::Json => {
                self.json(record)?;
                self.out.write_all(b"\n")
            }
            Format::Yaml => write!(self.out, "---\n{}", yaml::document(record)),
            Format::Raw => writeln!(self.out, "{}", record.raw_line(raw)),
        }
    }

    /// Prints a text as it is, and a line break only if somebody is looking.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        if self.is_terminal && !text.ends_with('\n') {
            self.out.write_all(b"\n")?;
        }
        self.flush()
    }

    /// Prints a line as it is.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Hands on everything printed so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }
}
