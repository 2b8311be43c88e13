//! Where the programs under test are. They are built before the first one is started, so that a
//! test never meets yesterday's: here, or by `scripts/test`, which then says where they are.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A program of this house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `configapi`: everything in one process, and the command line.
    ConfigApi,
    /// The write server by itself.
    CommandService,
    /// The read server by itself.
    QueryService,
    /// The write server with failpoints, which only `scripts/chaos` builds.
    FailingCommandService,
    /// The read server with failpoints, which only `scripts/chaos` builds.
    FailingQueryService,
    /// The gateway by itself.
    Gateway,
    /// The load generator of the benchmarks.
    Bench,
}

impl Binary {
    /// The name of the program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfigApi => "configapi",
            Self::CommandService => "configapi-command-service",
            Self::QueryService => "configapi-query-service",
            Self::FailingCommandService => "configapi-command-service-failpoints",
            Self::FailingQueryService => "configapi-query-service-failpoints",
            Self::Gateway => "configapi-gateway",
            Self::Bench => "configapi-bench",
        }
    }
}

/// Where a program is.
pub fn path_of(binary: Binary) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(binary.name())
}

/// The folder of programs that `scripts/test` has just built. To build them again might change one
/// while another test runs it.
const BUILT: &str = "CONFIGAPI_TEST_PROGRAMS";

/// Builds the programs in the profile that the tests were built in, and says where they are.
#[expect(clippy::expect_used, reason = "without the programs there is no test")]
fn build() -> PathBuf {
    if let Some(folder) = std::env::var_os(BUILT) {
        return folder.into();
    }
    // …/target/<profile>/deps/<this test>, or …/target/<profile>/<this program>
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.parent().expect("a program lies in a folder");
    if !folder.ends_with("deps") {
        // Built with the programs that it starts.
        return folder.to_owned();
    }
    let folder = folder.parent().expect("tests lie in target/<profile>/deps");
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace, so that features, and with them what is built, are the same as in any
    // other build.
    cargo.args(["build", "--quiet", "--workspace", "--bins"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    forget_this_package(&mut cargo);
    let status = cargo.status().expect("cargo can be run");
    assert!(status.success(), "the programs cannot be built");
    folder.to_owned()
}

/// A test is told by cargo which package it belongs to. A build that heard of it would take it for
/// a change of its own surroundings, and compile half of the tree again.
fn forget_this_package(cargo: &mut Command) {
    const TOLD: [&str; 5] =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| TOLD.iter().any(|told| name.starts_with(told))) {
            cargo.env_remove(name);
        }
    }
}
