//! Configs as a Java properties file, as `java.util.Properties` writes and reads it. Whatever is
//! not ASCII is escaped, so it does not matter which encoding the reader assumes.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use super::characters::Characters;
use super::{Entry, ReadError, Take};

/// The longest name or value, in bytes: that of the longest value that the contract allows.
const MAX_TEXT_BYTES: usize = 1_000_000;

/// Hands over the entries of a file.
pub fn read(input: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    let mut lines = Lines { characters: Characters::new(input) };
    while lines.skip_to_entry() {
        let name = lines.text(|c| matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}'))?;
        lines.skip_blanks();
        if matches!(lines.characters.peek(), Some('=' | ':')) {
            lines.characters.next();
            lines.skip_blanks();
        }
        let value = lines.text(|_| false)?;
        take(Entry { name, value, content_type: String::new() })?;
    }
    match lines.characters.trouble().take() {
        Some(error) => Err(ReadError::Io(error)),
        None => Ok(()),
    }
}

/// Writes one entry.
pub fn write(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let mut line = String::with_capacity(entry.name.len() + entry.value.len() + 4);
    escaped(&mut line, &entry.name, true);
    line.push('=');
    escaped(&mut line, &entry.value, false);
    line.push('\n');
    out.write_all(line.as_bytes())
}

fn escaped(line: &mut String, text: &str, is_name: bool) {
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\u{c}' => line.push_str("\\f"),
            ' ' if is_name || index == 0 => line.push_str("\\ "),
            '=' | ':' | '#' | '!' => line.extend(['\\', c]),
            ' '..='~' => line.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(line, "\\u{unit:04X}");
                }
            }
        }
    }
}

struct Lines<R> {
    characters: Characters<R>,
}

impl<R: BufRead> Lines<R> {
    /// Passes over empty lines and comments; false at the end of the file.
    fn skip_to_entry(&mut self) -> bool {
        while let Some(c) = self.characters.peek() {
            match c {
                '#' | '!' => {
                    self.characters.by_ref().find(|c| matches!(c, '\n' | '\r'));
                }
                ' ' | '\t' | '\u{c}' | '\n' | '\r' => {
                    self.characters.next();
                }
                _ => return true,
            }
        }
        false
    }

    fn skip_blanks(&mut self) {
        while matches!(self.characters.peek(), Some(' ' | '\t' | '\u{c}')) {
            self.characters.next();
        }
    }

    /// The text up to the end of the line, or to a character that ends it.
    fn text(&mut self, ends: impl Fn(char) -> bool) -> Result<String, ReadError> {
        let mut text = String::new();
        while let Some(c) = self.characters.peek().filter(|c| !matches!(c, '\n' | '\r')) {
            if ends(c) {
                break;
            }
            self.characters.next();
            if c == '\\' {
                self.escape(&mut text)?;
            } else {
                text.push(c);
            }
            if text.len() > MAX_TEXT_BYTES {
                return Err(self.wrong("has a text that is too long"));
            }
        }
        Ok(text)
    }

    fn escape(&mut self, text: &mut String) -> Result<(), ReadError> {
        match self.characters.next() {
            None => {}
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('f') => text.push('\u{c}'),
            Some('u') => text.push(self.unicode()?),
            // The line goes on on the next one.
            Some('\n') => self.skip_blanks(),
            Some('\r') => {
                if self.characters.peek() == Some('\n') {
                    self.characters.next();
                }
                self.skip_blanks();
            }
            Some(c) => text.push(c),
        }
        Ok(())
    }

    /// A character of four hexadecimal digits, or one of the others as a pair of these.
    fn unicode(&mut self) -> Result<char, ReadError> {
        let first = self.code_unit()?;
        if let Some(c) = char::from_u32(u32::from(first)) {
            return Ok(c);
        }
        let is_pair = self.characters.next() == Some('\\') && self.characters.next() == Some('u');
        let pair = if is_pair { [first, self.code_unit()?] } else { [first, 0] };
        match char::decode_utf16(pair).next() {
            Some(Ok(c)) => Ok(c),
            _ => Err(self.wrong("has half a character (a lone surrogate)")),
        }
    }

    fn code_unit(&mut self) -> Result<u16, ReadError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.characters.next().and_then(|c| c.to_digit(16));
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            unit = unit * 16 + digit.ok_or_else(|| self.wrong("wants four digits after \\u"))?;
        }
        Ok(unit)
    }

    fn wrong(&self, why: &str) -> ReadError {
        ReadError::Wrong(format!("line {}: {why}", self.characters.line_number()))
    }
}
