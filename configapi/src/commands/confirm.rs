//! Asking whoever types before much is changed.

use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Whether somebody is there to answer. Not whether stderr is a terminal: it may go to a `tee`, and the
/// question with it.
pub fn somebody_is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks whether to; whatever is not clearly a yes is a no.
pub fn confirmed(question: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N] ")).map_err(|error| {
        Failure::io("nothing was written: cannot ask whether to", &error)
            .with_hint("--yes does not ask")
    })?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
