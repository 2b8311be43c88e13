//! Processes that tests start beside themselves: a pooler, a cluster of their own. Run by root,
//! they run as the user that the server for tests runs as: both refuse root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// A command that runs as whoever runs the server for tests.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    if let Some(uid) = number("CONFIGAPI_TEST_PG_UID") {
        command.uid(uid);
    }
    if let Some(gid) = number("CONFIGAPI_TEST_PG_GID") {
        command.gid(gid);
    }
    command.stdin(Stdio::null()).current_dir("/");
    command
}

/// A directory that such a command may use.
pub(crate) fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (uid, gid) = (number("CONFIGAPI_TEST_PG_UID"), number("CONFIGAPI_TEST_PG_GID"));
    chown(directory.path(), uid, gid).expect("its owner");
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory.path(), private).expect("its mode");
    directory
}

/// Runs a command to its end; it must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().expect("the program runs");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}
