//! Places in the code at which a test can make a process fail from inside. Only a build with the
//! feature `failpoints` has them: in any other they come to nothing, and a process that is told of
//! one refuses to start, so that nobody believes in a fault that is not there.

#[cfg(not(feature = "failpoints"))]
mod absent;
#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
mod orders;

#[cfg(not(feature = "failpoints"))]
pub use absent::arm;
#[cfg(feature = "failpoints")]
pub use armed::arm;

/// The variable that says which failpoints strike: `NAME=ACTION[@FIRST[xTIMES]]`, more than
/// one separated by `;`. A point strikes when it is passed for the FIRST time (1), and from then on so
/// many TIMES (1). An ACTION is `exit` (the process is gone, as after kill -9), `panic`, `error`,
/// or a pause like `pause(500ms)`.
pub const VARIABLE: &str = "CONFIGAPI_FAILPOINTS";

/// A place at which a process can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failpoint(&'static str);

impl Failpoint {
    /// The place with this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

/// What a failpoint wants to be taken for: a failure of what was done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the failpoint {0} wants it to fail")]
pub struct Injected(&'static str);

/// The variable says something that this program cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: {0}")]
pub struct WrongFailpoints(String);
