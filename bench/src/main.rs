//! `configapi-bench`: the benchmarks as a program. Everything is in the library.

use std::process::ExitCode;

use configapi_bench::cli::{self, Arguments};
use configapi_runtime::settings;

fn main() -> ExitCode {
    cli::run(&settings::parse_or_exit::<Arguments>())
}
