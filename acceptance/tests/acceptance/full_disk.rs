//! A store in one file on a disk that is full: commands are refused, reads go on, nothing is lost,
//! and commands go on by themselves once there is room.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use configapi_acceptance::{AllInOne, Rest, eventually};
use reqwest::StatusCode;

const DISK: &str = "size=24m";
/// How much a value weighs: some of them fill what is left of a page.
const VALUE_BYTES: usize = 2_000;
/// How many commands have to be refused while the disk is full.
const REFUSALS: usize = 20;

/// A small file system in memory. It goes away with its owner.
struct Disk(PathBuf);

impl Disk {
    /// None if this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(at);
        mount.output().ok()?.status.success().then(|| Self(at.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filling()).unwrap();
        for piece in [vec![1; 1 << 16], vec![1; 1 << 10]] {
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filling()).unwrap();
    }

    fn filling(&self) -> PathBuf {
        self.0.join("filling")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// What a config was set to, so many times.
fn value(number: usize) -> String {
    format!("{number:06}{}", "x".repeat(VALUE_BYTES))
}

/// Sets a config to its next value; tells whether that was acknowledged.
async fn set_next(rest: &Rest, acknowledged: usize) -> bool {
    let (status, text) = rest.put("a", &value(acknowledged + 1)).await.unwrap();
    assert!(matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE), "{status} {text}");
    status == StatusCode::OK
}

#[tokio::test]
async fn a_full_disk_refuses_commands_and_loses_nothing_until_there_is_room_again() {
    let (folder, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(disk) = Disk::mount(folder.path()) else {
        // Past the test runner's own capture, so that it is seen.
        let note = b"LEFT OUT: a full disk; no file system can be mounted here: run it as root\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note);
        return;
    };
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    let system = AllInOne::start(&store, logs.path()).await;
    let rest = system.rest();
    let mut acknowledged = 0;
    for _ in 0..3 {
        assert!(set_next(&rest, acknowledged).await);
        acknowledged += 1;
        let mut refused = 0;
        while refused < REFUSALS {
            disk.fill();
            if set_next(&rest, acknowledged).await {
                acknowledged += 1;
            } else {
                refused += 1;
            }
            let (status, read) = rest.get("/v1/config/a").await.unwrap();
            assert_eq!((status, read), (StatusCode::OK, value(acknowledged)));
        }
        disk.make_room();
        eventually("commands to be taken again", || async {
            set_next(&rest, acknowledged).await.then_some(())
        })
        .await;
        acknowledged += 1;
    }
    let (_, history) = rest.get("/v1/config/a/history").await.unwrap();
    assert_eq!(history.matches("\"event_type\"").count(), acknowledged);
    drop(system);
    let system = AllInOne::start(&store, logs.path()).await;
    let (_, read) = system.rest().get("/v1/config/a").await.unwrap();
    assert_eq!(read, value(acknowledged));
}
