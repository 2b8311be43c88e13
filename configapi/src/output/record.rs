//! One thing to print, whatever the form: fields with names, in their order.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Fields with names, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record(Vec<(&'static str, Field)>);

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Fields within.
    Record(Record),
    /// Several of the same.
    List(Vec<Record>),
}

impl Record {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, field: impl Into<Field>) -> Self {
        self.0.push((name, field.into()));
        self
    }

    /// With one more field, if there is one.
    #[must_use]
    pub fn maybe(self, name: &'static str, field: Option<impl Into<Field>>) -> Self {
        match field {
            Some(field) => self.with(name, field),
            None => self,
        }
    }

    /// With one more field, if the text is not empty.
    #[must_use]
    pub fn text(self, name: &'static str, text: String) -> Self {
        if text.is_empty() { self } else { self.with(name, text) }
    }

    /// All fields.
    pub fn fields(&self) -> &[(&'static str, Field)] {
        &self.0
    }

    /// A field as plain text; empty if there is none.
    pub fn plain(&self, name: &str) -> String {
        let field = self.0.iter().find(|(field, _)| *field == name);
        field.map(|(_, field)| field.plain()).unwrap_or_default()
    }

    /// These fields on one line, with tabs between; a single one as it is.
    pub fn raw_line(&self, names: &[&str]) -> String {
        match names {
            [name] => self.plain(name),
            names => {
                let fields: Vec<_> = names.iter().map(|name| escaped(&self.plain(name))).collect();
                fields.join("\t")
            }
        }
    }
}

impl Field {
    /// The field as plain text.
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Record(record) => {
                let fields = record.fields().iter();
                fields
                    .map(|(name, field)| format!("{name}={}", field.plain()))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            Self::List(records) => format!("{} of them", records.len()),
        }
    }
}

/// A text that holds no tabs and no line breaks.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Field {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Field {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Record> for Field {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
}

impl From<Vec<Record>> for Field {
    fn from(records: Vec<Record>) -> Self {
        Self::List(records)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Record(record) => record.serialize(serializer),
            Self::List(records) => serializer.collect_seq(records),
        }
    }
}
