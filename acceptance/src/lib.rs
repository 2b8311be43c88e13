//! Starts the real programs, talks to them as users do, and stops them, gently or not. For the
//! tests of the whole system; it knows the wire and the command line, nothing inside.

mod binaries;
pub mod chaos;
pub mod checkers;
mod clients;
mod process;
mod random;
mod system;
mod wait;

pub use binaries::{Binary, path_of};
pub use clients::Rest;
pub use process::Process;
pub use random::Random;
pub use system::{AllInOne, Servers};
pub use wait::{WAIT_LIMIT, eventually};
