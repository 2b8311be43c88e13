//! The characters of a file, read line by line, long lines in parts, with a count of the lines. Bytes that
//! are not UTF-8 end it, and whoever reads on finds out why.

use std::cell::RefCell;
use std::io::{self, BufRead, ErrorKind, Read as _};
use std::rc::Rc;

/// The most bytes of a line that are read together.
const PART_BYTES: u64 = 64 << 10;

/// The characters of a file.
#[derive(Debug)]
pub struct Characters<R> {
    input: R,
    /// What was read of a character that is not whole yet.
    buffer: Vec<u8>,
    /// A line, or a part of one.
    line: String,
    /// Where in it the next character is.
    at: usize,
    lines: u64,
    is_within_line: bool,
    trouble: Trouble,
}

/// What ended the characters before the file ended. Clones are the same trouble.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Rc<RefCell<Option<io::Error>>>);

impl Trouble {
    /// What it was, if there was any.
    pub fn take(&self) -> Option<io::Error> {
        self.0.borrow_mut().take()
    }
}

impl<R: BufRead> Characters<R> {
    /// From the beginning.
    pub fn new(input: R) -> Self {
        let trouble = Trouble::default();
        let (buffer, line) = (Vec::new(), String::new());
        Self { input, buffer, line, at: 0, lines: 0, is_within_line: false, trouble }
    }

    /// The number of the line that was read last.
    pub fn line_number(&self) -> u64 {
        self.lines
    }

    /// What ends the characters early.
    pub fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    /// The next character, which stays the next.
    pub fn peek(&mut self) -> Option<char> {
        if self.at >= self.line.len() && !self.read_line() {
            return None;
        }
        self.line.get(self.at..)?.chars().next()
    }

    fn read_line(&mut self) -> bool {
        self.line.clear();
        self.at = 0;
        while self.line.is_empty() {
            match self.read_part() {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    *self.trouble.0.borrow_mut() = Some(error);
                    return false;
                }
            }
        }
        self.lines += u64::from(!self.is_within_line);
        self.is_within_line = !self.line.ends_with('\n');
        true
    }

    /// Reads more, which may be less than a character; false at the end of the file.
    fn read_part(&mut self) -> io::Result<bool> {
        let mut input = (&mut self.input).take(PART_BYTES);
        let length = input.read_until(b'\n', &mut self.buffer)?;
        let whole = match std::str::from_utf8(&self.buffer) {
            Ok(text) => text,
            Err(error) if length > 0 && error.error_len().is_none() => {
                let (whole, _) = self.buffer.split_at(error.valid_up_to());
                std::str::from_utf8(whole).unwrap_or_default()
            }
            Err(_) => return Err(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text")),
        };
        self.line.push_str(whole);
        self.buffer.drain(..self.line.len());
        Ok(length > 0)
    }
}

impl<R: BufRead> Iterator for Characters<R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}
