//! Why a command of this binary could not do what it was asked: one sentence, what to do about it,
//! and the exit code. Must never hold a value.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use configapi_proto::{ApiError, Reason, key};

use crate::output::terminal::{Paint, has_colours, printable};

/// Exit code: the request was refused, and will be again as it stands.
pub const EXIT_REFUSED: u8 = 1;
/// Exit code: what was typed cannot be meant.
const EXIT_USAGE: u8 = 2;
/// Exit code: the system could not answer now; a repeat may help.
pub const EXIT_TRY_AGAIN: u8 = 3;
/// Exit code: a fault in the software.
const EXIT_FAULT: u8 = 70;

/// What a command of an Apply may have its fields in.
const ACTIONS: [&str; 3] = [".set", ".delete", ".restore"];

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// There is something to say.
    Told(Box<Told>),
    /// Whoever read our output has gone. There is nobody to tell, and nothing went wrong.
    OutputClosed,
}

/// What is said about a failure.
#[derive(Debug)]
pub struct Told {
    exit_code: u8,
    message: String,
    hints: Vec<String>,
    error: Option<ApiError>,
}

impl Failure {
    /// A refusal with its own sentence.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::told(EXIT_REFUSED, message)
    }

    /// Arguments that each are right but do not go together.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::told(EXIT_USAGE, message)
    }

    /// Something that may work later.
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::told(EXIT_TRY_AGAIN, message)
    }

    /// Something that must not happen.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::told(EXIT_FAULT, message)
    }

    /// A file, or anything else of this machine, that could not be used.
    pub fn io(what: &str, error: &io::Error) -> Self {
        Self::told(EXIT_REFUSED, format!("{what}: {error}"))
    }

    /// Output that is only good as a whole, and is not. That its reader has gone is told here.
    pub fn not_whole(what: &str, place: &str, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => {
                Self::try_again(format!("whoever read the {what} has gone; it is not whole"))
            }
            _ => Self::io(&format!("cannot write {place}"), error),
        }
    }

    /// That what was done cannot be printed. It stays done, and who is told of a failure must not take it
    /// for one of that.
    pub fn unprinted(done: &str, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::io(&format!("{done}, but its report cannot be printed"), error),
        }
    }

    /// What came of printing something that matters less than what the command does: that its reader
    /// has gone neither ends the command nor changes its exit code.
    pub fn unless_closed(printed: Result<(), Self>) -> Result<(), Self> {
        match printed {
            Ok(()) | Err(Self::OutputClosed) => Ok(()),
            Err(told) => Err(told),
        }
    }

    fn told(exit_code: u8, message: impl Into<String>) -> Self {
        let (message, hints) = (message.into(), Vec::new());
        Self::Told(Box::new(Told { exit_code, message, hints, error: None }))
    }

    /// Adds what can be done about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hints.push(hint.into());
        }
        self
    }

    /// Names the commands of an Apply as whoever typed it knows them, where the server counts them.
    #[must_use]
    pub fn with_commands_named(mut self, name: impl Fn(usize) -> Option<String>) -> Self {
        let Self::Told(told) = &mut self else { return self };
        let index = told.error.as_ref().and_then(|error| error.metadata.get(key::COMMAND_INDEX));
        let named = index.and_then(|index| name(index.parse().ok()?));
        for text in told.hints.iter_mut().chain([&mut told.message]) {
            *text = commands_named(text, &name);
        }
        if let Some(named) = named.filter(|named| !told.message.contains(named)) {
            told.message = format!("{named}: {}", told.message);
        }
        self
    }

    /// What there is to say.
    pub fn message(&self) -> &str {
        match self {
            Self::Told(told) => &told.message,
            Self::OutputClosed => "",
        }
    }

    /// What a server answered, if that is why.
    pub fn error(&self) -> Option<&ApiError> {
        match self {
            Self::Told(told) => told.error.as_ref(),
            Self::OutputClosed => None,
        }
    }

    /// Says it on stderr, and gives the exit code.
    pub fn report(self) -> ExitCode {
        let Self::Told(told) = self else { return ExitCode::SUCCESS };
        let paint = Paint::new(has_colours(io::stderr().is_terminal()));
        let mut text = format!("{} {}\n", paint.error("error:"), printable(&told.message));
        for hint in &told.hints {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {} {}", paint.faint("hint:"), printable(hint));
        }
        // Nothing can be done about a closed stderr; the exit code still tells.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(told.exit_code)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let message = format!("{} ({})", error.message, error.reason);
        let mut failure = Self::told(error.reason.exit_code(), message);
        for violation in error.field_violations.iter().skip(1) {
            failure = failure.with_hint(format!("{}: {}", violation.field, violation.description));
        }
        if let Some(hint) = hint(&error) {
            failure = failure.with_hint(hint);
        }
        if let Self::Told(told) = &mut failure {
            told.error = Some(error);
        }
        failure
    }
}

/// Output that fails: because its reader has gone, or for another reason.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::io("cannot write the output", &error),
        }
    }
}

/// Puts names in the place of where commands lie in a request: of `commands[1].set.value` that is the
/// name of the second one, and `value`.
fn commands_named(text: &str, name: impl Fn(usize) -> Option<String>) -> String {
    let mut named = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("commands[") {
        named.push_str(before);
        let found = after
            .split_once(']')
            .and_then(|(index, after)| Some((name(index.parse().ok()?)?, after)));
        let Some((command, after)) = found else {
            named.push_str("commands[");
            rest = after;
            continue;
        };
        named.push_str(&command);
        let field = ACTIONS.iter().find_map(|action| after.strip_prefix(action));
        rest = match field.or(Some(after)).and_then(|field| field.strip_prefix('.')) {
            Some(field) => {
                named.push_str(": ");
                field
            }
            None => after,
        };
    }
    named + rest
}

/// What somebody at a terminal can do about it.
fn hint(error: &ApiError) -> Option<String> {
    let detail = |key: &str| error.metadata.get(key);
    let hint = match error.reason {
        Reason::ConfigNotFound if detail(key::DELETED).is_some() => {
            "it was deleted: `configapi history` shows what it was, `configapi restore` brings it \
             back"
                .to_owned()
        }
        Reason::ConfigNotFound => {
            "`configapi list` shows the names; is it in another --namespace?".to_owned()
        }
        Reason::ConfigAlreadyDeleted => "`configapi history` shows by whom and why".to_owned(),
        Reason::ConfigDeleted => "bring it back with `configapi restore` first".to_owned(),
        Reason::RestoreRefused => {
            "`configapi history` shows the versions; choose one that had a value with --version"
                .to_owned()
        }
        Reason::VersionConflict => {
            "somebody was faster: read it again, and decide anew with its new version".to_owned()
        }
        Reason::RequestIdReused => "leave out --request-id to get a new one".to_owned(),
        Reason::LimitExceeded | Reason::Unavailable => {
            let again = match error.retry_after {
                Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                None => "try again".to_owned(),
            };
            match detail(key::REACHED_TOKEN) {
                Some(reached) => format!("the server has read up to {reached}; {again}"),
                None => again,
            }
        }
        Reason::OutcomeUnknown => {
            let id = detail(key::REQUEST_ID)?;
            format!("repeat the same command with --request-id {id} to learn what became of it")
        }
        Reason::LogChanged
            if error.precondition_violations.iter().any(|it| it.subject == "store") =>
        {
            "an operator leads the server back to its log; if the other one is right, start the \
             server anew"
                .to_owned()
        }
        // Of a write, which stands on no token.
        Reason::LogChanged if !error.precondition_violations.is_empty() => {
            "an operator brings the log back, or announces its loss with `configapi begin-epoch`; \
             restarting the server would hide it"
                .to_owned()
        }
        Reason::LogChanged => {
            "the log was restored or lost its tail: start over without the old token".to_owned()
        }
        Reason::DeadlineExceeded => "give it more time with --timeout".to_owned(),
        Reason::InvalidArgument
        | Reason::Unauthenticated
        | Reason::PermissionDenied
        | Reason::Internal => return None,
    };
    Some(hint)
}
