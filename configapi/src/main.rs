//! The `configapi` binary. All of it is in the library.

use std::process::ExitCode;

/// Requests are many small allocations that are freed by another thread than made them; this one
/// is made for that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    configapi::main()
}
