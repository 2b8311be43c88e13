//! As much of Postgres's protocol as it takes to know when a client asks for a commit of events:
//! a statement of its own that inserts them, or the COMMIT of a transaction that did. It never
//! changes what it sees.

use std::collections::HashMap;

/// How much of a message is looked at; the beginning tells all that matters.
const MAX_PREFIX_BYTES: usize = 8 * 1024;
/// What tells the statement that appends.
const INSERTS_EVENTS: &[u8] = b"INSERT INTO configapi.events";
/// The first message of a session has no type, only a length and one of these codes.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const HEADER_BYTES: usize = 5;
const STARTUP_HEADER_BYTES: usize = 8;

/// What a client sends, message by message.
#[derive(Debug, Default)]
pub struct Frontend {
    is_started: bool,
    header: Vec<u8>,
    prefix: Vec<u8>,
    left: usize,
    session: Session,
}

/// What is known of a session.
#[derive(Debug, Default)]
struct Session {
    /// Statements by name, and whether each inserts events.
    statements: HashMap<Vec<u8>, bool>,
    is_in_transaction: bool,
    /// Whether the open transaction has inserted events.
    has_inserted: bool,
    /// Whether the next Sync commits events.
    is_sync_commit: bool,
}

impl Frontend {
    /// Takes the bytes that come next. Tells after how many of them a request to commit events is
    /// complete, and how many of them come before its last message.
    pub fn take(&mut self, bytes: &[u8]) -> Option<CommitRequest> {
        let mut at = 0;
        let mut message_start = 0;
        let mut found = None;
        while at < bytes.len() {
            if self.left == 0 && self.header.is_empty() {
                message_start = at;
            }
            at += self.take_some(&bytes[at..]);
            let is_complete = self.left == 0 && self.header.is_empty();
            if is_complete && self.session.take_asked_to_commit() {
                found.get_or_insert(CommitRequest { before: message_start, end: at });
            }
        }
        found
    }

    /// Takes a part of one message; tells how many bytes it took.
    fn take_some(&mut self, bytes: &[u8]) -> usize {
        let header_bytes = if self.is_started { HEADER_BYTES } else { STARTUP_HEADER_BYTES };
        if self.left == 0 {
            let missing = header_bytes - self.header.len();
            let taken = missing.min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            if self.header.len() == header_bytes {
                self.begin_message();
            }
            return taken;
        }
        let taken = self.left.min(bytes.len());
        let kept = taken.min(MAX_PREFIX_BYTES.saturating_sub(self.prefix.len()));
        self.prefix.extend_from_slice(&bytes[..kept]);
        self.left -= taken;
        if self.left == 0 {
            self.end_message();
        }
        taken
    }

    fn begin_message(&mut self) {
        let length_at = usize::from(self.is_started);
        let length = number(&self.header[length_at..]) as usize;
        self.prefix.clear();
        // The length counts itself, and at the start the code too.
        self.left = length.saturating_sub(self.header.len() - length_at);
        if self.left == 0 {
            self.end_message();
        }
    }

    fn end_message(&mut self) {
        if self.is_started {
            self.session.note(self.header[0], &self.prefix);
        } else {
            self.is_started = !matches!(number(&self.header[4..]), SSL_REQUEST | GSS_REQUEST);
        }
        self.header.clear();
    }
}

/// Where in the bytes just taken a client asks for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitRequest {
    /// How many bytes come before the message that makes it a commit.
    pub before: usize,
    /// After how many bytes that message is complete.
    pub end: usize,
}

impl Session {
    fn note(&mut self, kind: u8, body: &[u8]) {
        match kind {
            b'P' => {
                let (name, rest) = text(body);
                let inserts = contains(rest, INSERTS_EVENTS);
                self.statements.insert(name.to_vec(), inserts);
            }
            b'B' => {
                let (_portal, rest) = text(body);
                let (name, _) = text(rest);
                if self.statements.get(name).copied().unwrap_or_default() {
                    self.has_inserted = true;
                }
            }
            b'S' if self.has_inserted && !self.is_in_transaction => self.is_sync_commit = true,
            b'Q' => self.note_query(text(body).0),
            _ => {}
        }
    }

    fn note_query(&mut self, sql: &[u8]) {
        let begins_with = |word: &[u8]| {
            sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if begins_with(b"BEGIN") {
            (self.is_in_transaction, self.has_inserted) = (true, false);
        } else if begins_with(b"COMMIT") {
            self.is_sync_commit = self.has_inserted;
            self.is_in_transaction = false;
        } else if begins_with(b"ROLLBACK") {
            (self.is_in_transaction, self.has_inserted) = (false, false);
        }
    }

    fn take_asked_to_commit(&mut self) -> bool {
        let is_asked = std::mem::take(&mut self.is_sync_commit);
        if is_asked {
            self.has_inserted = false;
        }
        is_asked
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// A text that ends with a zero, and what follows.
fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
