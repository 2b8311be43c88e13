//! Configs as YAML: the same as in JSON, streamed. Anchors, tags and several documents are refused:
//! a file of configs needs none of them, and they are how small files become large.

use std::io::{self, BufRead, Write};

use saphyr_parser::{BufferedInput, Event, Parser, ScalarStyle, ScanError};
use serde_json::{Map, Value};

use super::characters::{Characters, Trouble};
use super::{Entry, ReadError, Take};
use crate::output::yaml::{quoted, scalar};

/// The deepest that lists and objects may be within each other.
const MAX_DEPTH: usize = 16;

/// Hands over the entries of a file.
pub fn read(input: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    let mut events = Events::new(input);
    match events.document()? {
        None => return Ok(()),
        Some(Node::Object) => {}
        Some(Node::Text(_) | Node::Null | Node::List) => {
            return Err(events.wrong("must be names and values, as in `name: value`"));
        }
        Some(Node::End) => return Err(events.wrong("must not end here")),
    }
    loop {
        let name = match events.node()? {
            Node::Text(name) => name,
            Node::End => break,
            Node::Null | Node::List | Node::Object => return Err(events.wrong("must be a name")),
        };
        let mut content_type = String::new();
        let value = match events.node()? {
            Node::Text(value) => value,
            Node::Object => content(&mut events, &mut content_type)?,
            node => return Err(events.not_a_value(&node)),
        };
        take(Entry { name, value, content_type })?;
    }
    events.end()
}

/// The value of an object with `value` and `content_type`.
fn content<R: BufRead>(
    events: &mut Events<'_, R>,
    content_type: &mut String,
) -> Result<String, ReadError> {
    let mut value = None;
    loop {
        let field = match events.node()? {
            Node::Text(field) => field,
            Node::End => break,
            Node::Null | Node::List | Node::Object => return Err(events.wrong("must be a name")),
        };
        let text = match events.node()? {
            Node::Text(text) => text,
            node => return Err(events.not_a_value(&node)),
        };
        match field.as_str() {
            "value" if value.is_none() => value = Some(text),
            "content_type" if content_type.is_empty() => *content_type = text,
            _ => return Err(events.wrong("must have `value` and `content_type` only")),
        }
    }
    value.ok_or_else(|| events.wrong("must have a `value`"))
}

/// Writes one entry.
pub fn write(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let mut text = String::with_capacity(entry.name.len() + entry.value.len() + 8);
    scalar(&mut text, &entry.name);
    if entry.content_type.is_empty() {
        text.push_str(": ");
        quoted(&mut text, &entry.value);
    } else {
        text.push_str(":\n  value: ");
        quoted(&mut text, &entry.value);
        text.push_str("\n  content_type: ");
        scalar(&mut text, &entry.content_type);
    }
    text.push('\n');
    out.write_all(text.as_bytes())
}

/// A whole document, small enough for memory. Numbers and flags stay the texts that they are.
pub fn tree(input: impl BufRead) -> Result<Value, String> {
    let mut events = Events::new(input);
    let told = |error| match error {
        ReadError::Wrong(why) => why,
        ReadError::Io(error) => error.to_string(),
        ReadError::Stopped => "stopped".to_owned(),
    };
    let Some(node) = events.document().map_err(told)? else { return Ok(Value::Null) };
    let tree = branch(&mut events, node, MAX_DEPTH).map_err(told)?;
    events.end().map_err(told)?;
    Ok(tree)
}

fn branch<R: BufRead>(
    events: &mut Events<'_, R>,
    node: Node,
    depth_left: usize,
) -> Result<Value, ReadError> {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return Err(events.wrong("is nested too deeply"));
    };
    match node {
        Node::Text(text) => Ok(Value::String(text)),
        Node::Null => Ok(Value::Null),
        Node::End => Err(events.wrong("must not end here")),
        Node::List => {
            let mut list = Vec::new();
            loop {
                match events.node()? {
                    Node::End => return Ok(Value::Array(list)),
                    node => list.push(branch(events, node, depth_left)?),
                }
            }
        }
        Node::Object => {
            let mut object = Map::new();
            loop {
                let name = match events.node()? {
                    Node::End => return Ok(Value::Object(object)),
                    Node::Text(name) => name,
                    _ => return Err(events.wrong("must be a name")),
                };
                let node = events.node()?;
                let value = branch(events, node, depth_left)?;
                if object.insert(name, value).is_some() {
                    return Err(events.wrong("has the same name twice"));
                }
            }
        }
    }
}

/// What comes next in a file.
enum Node {
    Text(String),
    Null,
    List,
    Object,
    End,
}

/// The file as it unfolds.
struct Events<'i, R: BufRead + 'i> {
    parser: Parser<'i, BufferedInput<Characters<R>>>,
    trouble: Trouble,
    line: usize,
}

impl<'i, R: BufRead + 'i> Events<'i, R> {
    fn new(input: R) -> Self {
        let characters = Characters::new(input);
        let trouble = characters.trouble();
        Self { parser: Parser::new_from_iter(characters), trouble, line: 1 }
    }

    /// What the document begins with; none if there is no document.
    fn document(&mut self) -> Result<Option<Node>, ReadError> {
        loop {
            match self.event()? {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd => return Ok(None),
                event => return self.node_of(event).map(Some),
            }
        }
    }

    fn node(&mut self) -> Result<Node, ReadError> {
        let event = self.event()?;
        self.node_of(event)
    }

    fn node_of(&mut self, event: Event<'_>) -> Result<Node, ReadError> {
        match event {
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                Err(self.wrong("has an anchor (&), which is not supported"))
            }
            Event::Scalar(text, ScalarStyle::Plain, _, None)
                if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") =>
            {
                Ok(Node::Null)
            }
            Event::Scalar(text, _, _, None) => Ok(Node::Text(text.into_owned())),
            Event::SequenceStart(_, None) => Ok(Node::List),
            Event::MappingStart(_, None) => Ok(Node::Object),
            Event::SequenceEnd | Event::MappingEnd => Ok(Node::End),
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                Err(self.wrong("has a tag (!), which is not supported"))
            }
            Event::Alias(_) => Err(self.wrong("has an alias (*), which is not supported")),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Err(self.wrong("must not end here")),
        }
    }

    /// Nothing may come after the document.
    fn end(&mut self) -> Result<(), ReadError> {
        loop {
            match self.event()? {
                Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(()),
                _ => return Err(self.wrong("must be one document")),
            }
        }
    }

    fn event(&mut self) -> Result<Event<'i>, ReadError> {
        let next = self.parser.next_event();
        // The parser takes trouble for the end of the file; it is not.
        if let Some(error) = self.trouble.take() {
            return Err(ReadError::Io(error));
        }
        match next {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err(scan_error(&error)),
            None => Ok(Event::StreamEnd),
        }
    }

    fn wrong(&self, why: &str) -> ReadError {
        ReadError::Wrong(format!("line {}: {why}", self.line))
    }

    fn not_a_value(&self, node: &Node) -> ReadError {
        self.wrong(match node {
            Node::Null => "null is not a value; \"\" is the empty one",
            _ => "must be a value, or an object with `value` and `content_type`",
        })
    }
}

fn scan_error(error: &ScanError) -> ReadError {
    ReadError::Wrong(format!("line {}: {}", error.marker().line(), error.info()))
}
