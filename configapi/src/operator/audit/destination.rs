//! Where the records of an audit go: stdout, a file or an HTTP endpoint. One of them, and what was
//! typed wins over the environment.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use configapi_runtime::settings;

use super::board::Board;
use super::sink::{FileSink, NotAPostUrl, PipeSink, PostSink, PostUrl, Sink, StandardOutput};
use crate::failure::Failure;

#[derive(Debug, Args)]
struct Flags {
    /// Append the records to this file instead of stdout
    #[arg(long, env = "CONFIGAPI_AUDIT_FILE", value_name = "PATH")]
    file: Option<PathBuf>,

    /// Begin a new file before one gets larger than this; the old one is renamed to PATH.000001,
    /// PATH.000002…
    #[arg(
        long,
        env = "CONFIGAPI_AUDIT_ROTATE_BYTES",
        value_name = "BYTES",
        default_value = "64MiB",
        value_parser = settings::some_byte_size
    )]
    rotate_bytes: usize,

    /// How many renamed files are kept; the oldest are deleted (default: all are kept)
    #[arg(long, env = "CONFIGAPI_AUDIT_KEEP", value_name = "FILES", requires = "file")]
    keep: Option<usize>,

    /// POST the records, as lines of JSON, to this http or https URL without a user instead; a status
    /// of 2xx takes them over
    #[arg(long, env = "CONFIGAPI_AUDIT_POST", value_name = "URL", hide_env_values = true)]
    post: Option<MaybePostUrl>,

    /// How long one POST may take
    #[arg(
        long,
        env = "CONFIGAPI_AUDIT_POST_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = settings::some_duration
    )]
    post_timeout: Duration,

    /// A file that holds what to send as the header `Authorization`, such as `Bearer …`; read
    /// before every POST
    #[arg(
        long,
        env = "CONFIGAPI_AUDIT_POST_AUTHORIZATION_FILE",
        value_name = "PATH",
        requires = "post"
    )]
    post_authorization_file: Option<PathBuf>,
}

/// What is said of an endpoint. Whether it is one is asked once it counts: a variable that is wrong does no
/// harm to what was typed in its place.
#[derive(Debug, Clone)]
struct MaybePostUrl(Result<PostUrl, NotAPostUrl>);

impl FromStr for MaybePostUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}

/// The flags after it was decided which of them counts. To clap a variable is as good as a flag, so
/// it cannot be left to it.
#[derive(Debug)]
pub struct Destination(Flags);

impl Args for Destination {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Destination {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::from_arg_matches(matches)?;
        let is_typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        if flags.file.is_some() && flags.post.is_some() {
            match (is_typed("file"), is_typed("post")) {
                (true, false) => flags.post = None,
                (false, true) => flags.file = None,
                (true, true) | (false, false) => return Err(conflict()),
            }
        }
        if matches!(flags.post, Some(MaybePostUrl(Err(_)))) {
            return Err(wrong(ErrorKind::ValueValidation, POST));
        }
        Ok(Self(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags as clap shows them.
const FILE: &str = "--file <PATH>";
const POST: &str = "--post <URL>";

/// Says it as clap does, so that the flag and its variable are named.
fn wrong(kind: ErrorKind, flag: &str) -> clap::Error {
    let mut error = clap::Error::new(kind);
    error.insert(ContextKind::InvalidArg, ContextValue::String(flag.to_owned()));
    error
}

fn conflict() -> clap::Error {
    let mut error = wrong(ErrorKind::ArgumentConflict, FILE);
    error.insert(ContextKind::PriorArg, ContextValue::String(POST.to_owned()));
    error
}

impl Destination {
    /// The file that they go to, if they go to one.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Where the records go. An endpoint that does not take them is not tried for ever by an audit that
    /// runs `once`.
    pub fn sink(&self, once: bool, board: &Board) -> Result<Box<dyn Sink>, Failure> {
        let Self(flags) = self;
        match (&flags.file, &flags.post) {
            (Some(path), _) if is_no_file(path) => Ok(Box::new(PipeSink::new(path, board.clone()))),
            (Some(path), _) => {
                Ok(Box::new(FileSink::open(path, flags.rotate_bytes as u64, flags.keep)?))
            }
            (None, Some(MaybePostUrl(Ok(url)))) => {
                let sink = PostSink::new(
                    url.clone(),
                    flags.post_timeout,
                    flags.post_authorization_file.clone(),
                    once,
                    board.clone(),
                )?;
                Ok(Box::new(sink))
            }
            // One that is none was refused when the flags were read.
            (None, None | Some(MaybePostUrl(Err(_)))) => Ok(Box::new(StandardOutput::default())),
        }
    }
}

/// Whether there is something that takes records and keeps none: a pipe or a device.
fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}
