//! `configapi completions`: what makes a shell complete our commands.

use std::io::{self, Write as _};

use clap::Args;
use clap_complete::Shell;

use crate::cli::command;
use crate::failure::Failure;

/// Print what makes a shell complete these commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi completions bash > ~/.local/share/bash-completion/completions/configapi
  configapi completions zsh > ~/.zfunc/_configapi
  configapi completions fish > ~/.config/fish/completions/configapi.fish")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "configapi", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
