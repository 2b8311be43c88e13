//! The file of an import, which is read from its beginning several times.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::sync::Mutex;
use std::time::SystemTime;

use configapi_proto::v1::SetRequest;

use super::digest::Digest;
use super::plan::{Difference, Planner};
use crate::commands::source::Source;
use crate::failure::Failure;
use crate::transfer::{Entry, FileForm, ReadError, read};

/// The most bytes that a name has.
const MAX_NAME_BYTES: usize = 256;
/// Bytes that are read together.
const BUFFER_BYTES: usize = 256 * 1024;

/// The file of an import.
#[derive(Debug)]
pub struct Input {
    name: String,
    form: FileForm,
    prefix: String,
    file: Mutex<File>,
    opened: Seen,
}

/// What tells that a file is still as it was.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    modified: SystemTime,
}

impl Seen {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
}

/// A file of which nothing is read that came into it since it was opened.
struct Unchanged<'a> {
    file: &'a File,
    opened: &'a Seen,
}

impl Read for Unchanged<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(into)?;
        // Looked at afterwards: what was read before that is what was there.
        if Seen::of(self.file)? == *self.opened {
            Ok(length)
        } else {
            Err(io::Error::other("it was written into"))
        }
    }
}

/// What a first look at a file tells.
#[derive(Debug, Default)]
pub struct Survey {
    /// What all names begin with.
    pub common_prefix: String,
}

impl Input {
    /// Opens the file.
    pub fn open(source: &Source, form: FileForm, prefix: String) -> Result<Self, Failure> {
        let (name, file) = (source.name(), source.open_to_reread()?);
        let opened = Seen::of(&file);
        let opened = opened.map_err(|error| Failure::io(&format!("cannot read {name}"), &error))?;
        Ok(Self { name, form, prefix, file: Mutex::new(file), opened })
    }

    /// Reads the file for the first time: is it what it should be, and what are its names like?
    pub fn survey(&self) -> Result<Survey, Failure> {
        let mut common: Option<String> = None;
        let mut names = Vec::new();
        self.entries(&mut |entry| {
            names.push(Digest::of(&entry.name));
            match &mut common {
                None => common = Some(entry.name),
                Some(common) => {
                    let same = common.bytes().zip(entry.name.bytes()).take_while(|(a, b)| a == b);
                    let same = same.count();
                    // Two characters may begin with the same bytes.
                    common.truncate(common.floor_char_boundary(same));
                }
            }
            Ok(())
        })?;
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(self.named_twice(twice[0])?);
        }
        let mut common_prefix = common.unwrap_or_default();
        common_prefix.truncate(beginning_of_a_name(&common_prefix));
        Ok(Survey { common_prefix })
    }

    /// Hands over what has to be changed, until no more is wanted.
    pub fn changes(
        &self,
        planner: &Planner,
        take: &mut dyn FnMut(SetRequest) -> bool,
    ) -> Result<(), Failure> {
        self.entries(&mut |entry| match planner.compare(&entry) {
            Difference::None => Ok(()),
            Difference::Added | Difference::Changed { .. } => {
                let is_wanted = planner.change(entry).is_none_or(&mut *take);
                if is_wanted { Ok(()) } else { Err(ReadError::Stopped) }
            }
        })
    }

    /// Hands over the entries that are wanted. They are those that were shown, and agreed to: a file that
    /// somebody has written into meanwhile is not read on.
    pub fn entries(
        &self,
        take: &mut dyn FnMut(Entry) -> Result<(), ReadError>,
    ) -> Result<(), Failure> {
        let cannot = |error| Failure::io(&format!("cannot read {}", self.name), &error);
        let Ok(mut file) = self.file.lock() else {
            return Err(Failure::fault("reading the file broke off"));
        };
        file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        let unchanged = Unchanged { file: &file, opened: &self.opened };
        let reader = BufReader::with_capacity(BUFFER_BYTES, unchanged);
        let wanted = &mut |entry: Entry| {
            if entry.name.starts_with(&self.prefix) { take(entry) } else { Ok(()) }
        };
        match read(self.form, reader, wanted) {
            Ok(()) | Err(ReadError::Stopped) => Ok(()),
            Err(ReadError::Io(_)) if Seen::of(&file).map_err(cannot)? != self.opened => {
                let message = format!("{} was written into while it was being imported", self.name);
                Err(Failure::refused(message).with_hint("run it again, to see what differs now"))
            }
            Err(ReadError::Io(error)) => Err(cannot(error)),
            Err(ReadError::Wrong(why)) => Err(Failure::refused(format!("{}: {why}", self.name))
                .with_hint("is it of another form? --form says which")),
        }
    }

    fn named_twice(&self, digest: Digest) -> Result<Failure, Failure> {
        let mut name = String::new();
        self.entries(&mut |entry| {
            if Digest::of(&entry.name) == digest {
                name = entry.name;
                return Err(ReadError::Stopped);
            }
            Ok(())
        })?;
        Ok(Failure::refused(format!("{}: {name} is named twice", self.name))
            .with_hint("nothing was written; keep the one that is meant"))
    }
}

/// How many bytes of this a name may begin with. What is no name is refused as one when it is to be
/// set; to ask for what begins like it would be refused as a prefix that nobody gave.
fn beginning_of_a_name(text: &str) -> usize {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
    text.bytes().take(MAX_NAME_BYTES).take_while(is_allowed).count()
}
