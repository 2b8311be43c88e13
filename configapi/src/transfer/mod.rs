//! Configs as files, one entry in memory at a time: reading and writing JSON, YAML, .env and Java
//! properties. What is written here is read here byte for byte.

mod bounded;
mod characters;
mod dotenv;
mod json;
mod properties;
mod scalar;
pub mod yaml;

use std::io::{self, BufRead, Write};
use std::path::Path;

use clap::ValueEnum;

use self::bounded::Bounded;
pub use self::scalar::ScalarVisitor;

/// The form of a file of configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileForm {
    /// An object: name to value, or to an object with `value` and `content_type`
    Json,
    /// The same as YAML
    Yaml,
    /// NAME=value lines, quoted as shells read them; without content types
    Env,
    /// A Java properties file; without content types
    Properties,
}

impl FileForm {
    /// The form that the name of a file tells.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Some(Self::Json),
            Some("yaml" | "yml") => Some(Self::Yaml),
            Some("env") => Some(Self::Env),
            Some("properties") => Some(Self::Properties),
            _ if name == ".env" || name.starts_with(".env.") => Some(Self::Env),
            _ => None,
        }
    }

    /// Whether a file of this form says what kind of text a value is.
    pub fn has_content_types(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }

    /// Whether those that a file of this form is for take this name.
    pub fn takes_name(self, name: &str) -> bool {
        self != Self::Env || dotenv::is_variable(name)
    }
}

/// One config in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, within whichever namespace.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Empty if nobody said, or if the form of the file has no place for it.
    pub content_type: String,
}

/// Why a file could not be read to its end.
#[derive(Debug)]
pub enum ReadError {
    /// It is not what it should be. Never repeats a value.
    Wrong(String),
    /// It could not be read.
    Io(io::Error),
    /// Whoever took the entries wants no more.
    Stopped,
}

/// What an error of serde says, without what it found where something else should be.
pub fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let is_about_kinds = text.starts_with("invalid type: ") || text.starts_with("invalid value: ");
    match text.rsplit_once(", expected ").filter(|_| is_about_kinds) {
        Some((found, wants)) => {
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("{kind}, expected {wants}")
        }
        None => text,
    }
}

/// Takes the entries of a file, one after the other.
pub type Take<'a> = dyn FnMut(Entry) -> Result<(), ReadError> + 'a;

/// The mark that some editors put before a text, to say that it is UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Hands over the entries of a file in their order.
pub fn read(form: FileForm, input: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    let mut input = Bounded::new(input);
    let allowance = input.allowance();
    let take: &mut Take<'_> = &mut |entry| {
        allowance.renew();
        take(entry)
    };
    if input.fill_buf().map_err(ReadError::Io)?.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    match form {
        FileForm::Json => json::read(input, take),
        FileForm::Yaml => yaml::read(input, take),
        FileForm::Env => dotenv::read(input, take),
        FileForm::Properties => properties::read(input, take),
    }
}

/// Writes the entries of a file.
#[derive(Debug)]
pub struct EntryWriter<W> {
    out: W,
    form: FileForm,
    entries: u64,
}

impl<W: Write> EntryWriter<W> {
    /// Nothing is written yet.
    pub fn new(form: FileForm, out: W) -> Self {
        Self { out, form, entries: 0 }
    }

    /// How many were written.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Writes one.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let is_first = self.entries == 0;
        self.entries += 1;
        match self.form {
            FileForm::Json => {
                self.out.write_all(if is_first { b"{\n  " } else { b",\n  " })?;
                json::write(&mut self.out, entry)
            }
            FileForm::Yaml => yaml::write(&mut self.out, entry),
            FileForm::Env => dotenv::write(&mut self.out, entry),
            FileForm::Properties => properties::write(&mut self.out, entry),
        }
    }

    /// Writes the end, and gives back what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        match (self.form, self.entries) {
            (FileForm::Json | FileForm::Yaml, 0) => self.out.write_all(b"{}\n")?,
            (FileForm::Json, _) => self.out.write_all(b"\n}\n")?,
            (FileForm::Yaml | FileForm::Env | FileForm::Properties, _) => {}
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
