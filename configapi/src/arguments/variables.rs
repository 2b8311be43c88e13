//! What is wrong with an argument that nobody typed: its value came from a variable.

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

/// The error of these arguments of a command, which names the variable too if what is wrong came from
/// there.
pub fn named(mut error: Error, command: Command, arguments: &[OsString]) -> Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let mut built = command.clone();
    built.build();
    let Some(variable) = variable_of(&built, shown) else { return error };
    let parsed = without(command, &variable).try_get_matches_from(arguments);
    let is_typed = parsed.is_err_and(|other| {
        other.kind() == error.kind()
            && other.get(ContextKind::InvalidArg) == error.get(ContextKind::InvalidArg)
    });
    if !is_typed {
        let named = format!("{shown} ({})", variable.display());
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

/// The variable of the argument that clap shows like this, if it is set.
fn variable_of(command: &Command, shown: &str) -> Option<OsString> {
    let arguments = command.get_arguments().filter(|argument| argument.to_string() == shown);
    let mut set =
        arguments.filter_map(Arg::get_env).filter(|variable| std::env::var_os(variable).is_some());
    set.next()
        .map(OsStr::to_owned)
        .or_else(|| command.get_subcommands().find_map(|sub| variable_of(sub, shown)))
}

/// The command for one who does not look at this variable.
fn without(command: Command, variable: &OsStr) -> Command {
    let forget = |argument: Arg| match argument.get_env() {
        Some(its) if its == variable => argument.env(Resettable::Reset),
        _ => argument,
    };
    command.mut_args(forget).mut_subcommands(|sub| without(sub, variable))
}
