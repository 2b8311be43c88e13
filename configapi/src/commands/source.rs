//! Where a text comes from: a file, or stdin.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write as _};
use std::path::PathBuf;

use crate::failure::Failure;

/// Bytes that are put aside together.
const SPOOLED_TOGETHER_BYTES: usize = 64 << 10;

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What is piped in.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<PathBuf> for Source {
    /// As people name it: `-` is stdin.
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path) }
    }
}

impl Source {
    /// What it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Opens it.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, Failure> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(Failure::io(&format!("cannot read {}", self.name()), &error)),
            },
        }
    }

    /// Opens it as a file that can be read more than once. What is piped in is first put into a file
    /// without a name, in the directory for temporary files; how much that may be, the disk says.
    pub fn open_to_reread(&self) -> Result<File, Failure> {
        let cannot = |error| Failure::io(&format!("cannot read {}", self.name()), &error);
        match self {
            Self::Stdin => self.spooled(&mut io::stdin().lock()),
            Self::File(path) => {
                let mut file = File::open(path).map_err(cannot)?;
                // A pipe with a name can be read only once.
                let is_plain = file.metadata().map_err(cannot)?.is_file();
                if is_plain { Ok(file) } else { self.spooled(&mut file) }
            }
        }
    }

    /// Puts all of it into a file without a name. What fails may be either side, and says which.
    fn spooled(&self, from: &mut dyn Read) -> Result<File, Failure> {
        let name = self.name();
        let cannot_keep = |error| {
            let directory = std::env::temp_dir();
            let what = format!("cannot keep {name} for a while in {}", directory.display());
            Failure::io(&what, &error).with_hint(
                "TMPDIR names another directory; a file that is named and not piped is read in place",
            )
        };
        let mut file = tempfile::tempfile().map_err(cannot_keep)?;
        let mut bytes = vec![0; SPOOLED_TOGETHER_BYTES];
        loop {
            match from.read(&mut bytes) {
                Ok(0) => return Ok(file),
                Ok(length) => file.write_all(&bytes[..length]).map_err(cannot_keep)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io(&format!("cannot read {name}"), &error)),
            }
        }
    }
}

/// All of a text that is at most so long.
pub fn read_text(source: &Source, max_bytes: u64) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .open()?
        .take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(&format!("cannot read {}", source.name()), &error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max_bytes) {
        let message = format!("{} is longer than {max_bytes} bytes", source.name());
        return Err(Failure::refused(message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::refused(format!("{} is not UTF-8 text: look at byte {at}", source.name()))
            .with_hint("encode what is not text, for example with base64")
    })
}
