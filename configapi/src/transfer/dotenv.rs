//! Configs as `.env` lines: `NAME=value`, quoted where it is needed. Names are taken as they are,
//! and nothing is expanded.

use std::io::{self, BufRead, Write};

use super::characters::Characters;
use super::{Entry, ReadError, Take};

/// The longest name, in characters; more than the contract allows, so that the server can say so.
const MAX_NAME_CHARS: usize = 1_024;
/// The longest value that the contract allows, in bytes.
const MAX_VALUE_BYTES: usize = 1_000_000;

/// Hands over the entries of a file.
pub fn read(input: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    let mut lines = Lines { characters: Characters::new(input) };
    while lines.skip_to_entry() {
        let name = lines.name()?;
        let value = lines.value()?;
        take(Entry { name, value, content_type: String::new() })?;
    }
    match lines.characters.trouble().take() {
        Some(error) => Err(ReadError::Io(error)),
        None => Ok(()),
    }
}

/// Whether a shell takes this as the name of a variable.
pub fn is_variable(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(is_of_name)
}

/// Writes one entry. Line breaks are written as they are: between quotes, `\n` is no line break to a
/// shell.
pub fn write(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    let mut line = String::with_capacity(entry.name.len() + entry.value.len() + 4);
    line.push_str(&entry.name);
    line.push('=');
    if entry.value.chars().all(is_plain) {
        line.push_str(&entry.value);
    } else if entry.value.contains(['$', '`']) && !entry.value.contains(['\'', '\\']) {
        // What a shell takes for an escape within double quotes not every reader does.
        line.extend(["'", entry.value.as_str(), "'"]);
    } else {
        line.push('"');
        for c in entry.value.chars() {
            match c {
                '"' | '\\' | '$' | '`' => line.extend(['\\', c]),
                c => line.push(c),
            }
        }
        line.push('"');
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

struct Lines<R> {
    characters: Characters<R>,
}

impl<R: BufRead> Lines<R> {
    /// Passes over empty lines and comments; false at the end of the file.
    fn skip_to_entry(&mut self) -> bool {
        while let Some(c) = self.characters.peek() {
            match c {
                '#' => self.skip_line(),
                c if c.is_whitespace() => {
                    self.characters.next();
                }
                _ => return true,
            }
        }
        false
    }

    fn skip_line(&mut self) {
        self.characters.by_ref().find(|c| *c == '\n');
    }

    fn skip_blanks(&mut self) {
        while matches!(self.characters.peek(), Some(' ' | '\t')) {
            self.characters.next();
        }
    }

    /// The name, and the `=` after it. `export` may come before.
    fn name(&mut self) -> Result<String, ReadError> {
        let mut name = self.word()?;
        self.skip_blanks();
        if name == "export" && self.characters.peek().is_some_and(|c| c != '=') {
            name = self.word()?;
            self.skip_blanks();
        }
        match self.characters.peek() {
            Some('=') if !name.is_empty() => {
                self.characters.next();
                Ok(name)
            }
            _ => Err(self.wrong("must be NAME=value")),
        }
    }

    fn word(&mut self) -> Result<String, ReadError> {
        let mut word = String::new();
        let mut chars = 0;
        while let Some(c) = self.characters.peek().filter(|c| *c != '=' && !c.is_whitespace()) {
            self.characters.next();
            word.push(c);
            chars += 1;
            if chars > MAX_NAME_CHARS {
                return Err(self.wrong("has a name that is too long"));
            }
        }
        Ok(word)
    }

    fn value(&mut self) -> Result<String, ReadError> {
        self.skip_blanks();
        match self.characters.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.characters.next();
                let mut value = self.quoted(quote)?;
                // As shells have it: a quote within quotes is one of its own between two others.
                while quote == '\'' && self.characters.peek() == Some('\\') {
                    self.characters.next();
                    let is_quote = self.characters.next() == Some('\'');
                    if !is_quote || self.characters.next() != Some('\'') {
                        return Err(self.wrong("has text after the closing quote"));
                    }
                    let more = self.quoted(quote)?;
                    self.push(&mut value, '\'')?;
                    for c in more.chars() {
                        self.push(&mut value, c)?;
                    }
                }
                self.skip_blanks();
                match self.characters.peek() {
                    None | Some('\n' | '\r') => {}
                    Some('#') => self.skip_line(),
                    Some(_) => return Err(self.wrong("has text after the closing quote")),
                }
                Ok(value)
            }
            _ => self.bare(),
        }
    }

    /// Up to the end of the line, or to a comment.
    fn bare(&mut self) -> Result<String, ReadError> {
        let mut value = String::new();
        while let Some(c) = self.characters.peek().filter(|c| *c != '\n') {
            if c == '#' && (value.is_empty() || value.ends_with([' ', '\t'])) {
                self.skip_line();
                break;
            }
            self.characters.next();
            self.push(&mut value, c)?;
        }
        value.truncate(value.trim_end().len());
        Ok(value)
    }

    fn quoted(&mut self, quote: char) -> Result<String, ReadError> {
        let mut value = String::new();
        loop {
            match self.characters.next() {
                None => return Err(self.wrong("has a quote that is never closed")),
                Some(c) if c == quote => return Ok(value),
                Some('\\') if quote == '"' => match self.characters.next() {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some(c @ ('"' | '\\' | '$' | '`')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                    None => return Err(self.wrong("has a quote that is never closed")),
                },
                Some(c) => self.push(&mut value, c)?,
            }
        }
    }

    fn push(&self, value: &mut String, c: char) -> Result<(), ReadError> {
        value.push(c);
        if value.len() > MAX_VALUE_BYTES {
            Err(self.wrong("has a value that is too long"))
        } else {
            Ok(())
        }
    }

    fn wrong(&self, why: &str) -> ReadError {
        ReadError::Wrong(format!("line {}: {why}", self.characters.line_number()))
    }
}
