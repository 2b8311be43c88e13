//! The write server with failpoints: the same program under a name of its own, so that it is never
//! taken for the one that is shipped.

use std::io;
use std::process::ExitCode;

#[path = "main.rs"]
mod shipped;

fn main() -> io::Result<ExitCode> {
    shipped::main()
}
