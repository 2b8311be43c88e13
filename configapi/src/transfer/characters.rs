//! The characters of a file, read line by line, with a count of the lines. Bytes that are not UTF-8
//! end it, and whoever reads on finds out why.

use std::cell::RefCell;
use std::io::{self, BufRead, ErrorKind};
use std::rc::Rc;

/// The characters of a file.
#[derive(Debug)]
pub struct Characters<R> {
    input: R,
    buffer: Vec<u8>,
    line: String,
    /// Where in the line the next character is.
    at: usize,
    lines: u64,
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
        Self { input, buffer: Vec::new(), line: String::new(), at: 0, lines: 0, trouble }
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
        self.buffer.clear();
        self.line.clear();
        self.at = 0;
        let text = self.input.read_until(b'\n', &mut self.buffer).and_then(|_| {
            std::str::from_utf8(&self.buffer)
                .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
        });
        match text {
            Ok("") => false,
            Ok(text) => {
                self.line.push_str(text);
                self.lines += 1;
                true
            }
            Err(error) => {
                *self.trouble.0.borrow_mut() = Some(error);
                false
            }
        }
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
