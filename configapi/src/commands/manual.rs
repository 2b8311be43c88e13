//! `configapi man`: the manual pages, made from the same words as the help.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use crate::cli::command;
use crate::failure::Failure;

/// Print the manual page, or write all of them to a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi man | man --local-file -
  configapi man --dir ~/.local/share/man/man1")]
pub struct ManualArguments {
    /// Write a page for each command to this directory
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

pub fn run(arguments: &ManualArguments) -> Result<(), Failure> {
    let Some(dir) = &arguments.dir else {
        let mut page = Vec::new();
        Man::new(command()).render(&mut page)?;
        return Ok(io::stdout().write_all(&page)?);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command(), dir))
        .map_err(|error| Failure::io(&format!("cannot write to {}", dir.display()), &error))
}
