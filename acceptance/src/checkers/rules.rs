//! The rules of a config, once more and independently: which command may do what to it.

use super::history::{Action, Command};

/// A config as the rules see it.
#[derive(Clone, Copy)]
pub struct Config<'a> {
    /// Its version; 0 if it never existed.
    pub version: u64,
    /// Whether it has a value now.
    pub is_live: bool,
    /// Whether it had a value at a version; none if that is not known.
    pub had_value_at: &'a dyn Fn(u64) -> Option<bool>,
}

/// Whether a command may be done to the config.
pub fn allows(config: Config<'_>, command: &Command) -> bool {
    const RULES: [&str; 5] = [
        "VERSION_CONFLICT",
        "CONFIG_NOT_FOUND",
        "CONFIG_ALREADY_DELETED",
        "CONFIG_DELETED",
        "RESTORE_REFUSED",
    ];
    !RULES.iter().any(|reason| breaks(config, command, reason) == Some(true))
}

/// Whether a command breaks the rule that a reason stands for; none if the reason is no rule's.
pub fn breaks(config: Config<'_>, command: &Command, reason: &str) -> Option<bool> {
    let exists = config.version > 0;
    Some(match reason {
        "VERSION_CONFLICT" => command.expected_version.is_some_and(|it| it != config.version),
        "CONFIG_NOT_FOUND" => !exists && !matches!(command.action, Action::Set(_)),
        "CONFIG_ALREADY_DELETED" => {
            exists && !config.is_live && matches!(command.action, Action::Delete)
        }
        "CONFIG_DELETED" => exists && !config.is_live && matches!(command.action, Action::Set(_)),
        "RESTORE_REFUSED" => match command.action {
            Action::RestoreLast => exists && config.is_live,
            Action::RestoreVersion(version) => {
                let is_known = (1..=config.version).contains(&version);
                exists && !(is_known && (config.had_value_at)(version) != Some(false))
            }
            Action::Set(_) | Action::Delete => false,
        },
        _ => return None,
    })
}

/// Whether a refusal for this reason says nothing about the config, only about the server.
pub fn is_about_the_server(reason: &str) -> bool {
    matches!(reason, "LIMIT_EXCEEDED" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "LOG_CHANGED")
}
