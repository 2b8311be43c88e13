//! Power cuts. A cluster lives on a small file system in a file; a copy of that file, taken while
//! the file system is in use, holds exactly what has reached the disk: what was written and never
//! synced is not in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::cluster::Cluster;
use super::fleet::Fleet;
use super::recorder::Recorder;
use crate::Random;

const DISK_BYTES: u64 = 768 << 20;

/// A disk whose power can be cut. It goes away with its owner.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
}

impl Disk {
    /// An empty disk.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let image = folder.join(format!("{name}.img"));
        std::fs::File::create(&image)?.set_len(DISK_BYTES)?;
        let text = image.display().to_string();
        run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", &text])?;
        Self::mount(image, folder.join(name))
    }

    /// Puts a disk to use. Its journal is replayed, as after any loss of power.
    fn mount(image: PathBuf, mounted_at: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&mounted_at)?;
        let disk = Self { image, mounted_at };
        let (image, place) = (disk.image.display(), disk.mounted_at.display());
        run("mount", &["-o", "loop", &image.to_string(), &place.to_string()])?;
        Ok(disk)
    }

    /// Whether this machine can do it.
    pub fn is_possible(folder: &Path) -> bool {
        Self::create(folder, "can-it-be-done").is_ok()
    }

    /// Where files go.
    pub fn folder(&self) -> &Path {
        &self.mounted_at
    }

    /// Sees to it that all that was written so far is on the disk.
    pub fn sync(&self) -> Result<()> {
        run("sync", &["--file-system", &self.mounted_at.display().to_string()])
    }

    /// Takes all the room that is left, until its answer is dropped.
    pub fn fill(&self) -> Result<Filling> {
        let filling = Filling(self.mounted_at.join("filling"));
        let mut file = std::fs::File::create(&filling.0)?;
        for piece in [vec![1; 1 << 20], vec![1; 1 << 12]] {
            // An error is what it is about: there is no more room for such a piece.
            while file.write_all(&piece).is_ok() {}
        }
        Ok(filling)
    }

    /// The disk as it would be after a loss of power at this moment, in use elsewhere.
    pub fn after_power_cut(&self, number: u64) -> Result<Self> {
        let copy = |path: &Path, end: &str| {
            let stem = path.with_extension("").display().to_string();
            let stem = stem.split("-after-").next().unwrap_or_default().to_owned();
            PathBuf::from(format!("{stem}-after-{number}{end}"))
        };
        let image = copy(&self.image, ".img");
        let (from, to) = (self.image.display().to_string(), image.display().to_string());
        run("cp", &["--sparse=always", &from, &to])?;
        let mounted_at = copy(&self.mounted_at, "");
        Self::mount(image, mounted_at)
    }
}

/// A file that takes all the room there was.
#[derive(Debug)]
pub struct Filling(PathBuf);

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is still being used goes once its last user is gone.
        let _ = run("umount", &["--lazy", &self.mounted_at.display().to_string()]);
        let _ = std::fs::remove_file(&self.image);
        let _ = std::fs::remove_dir(&self.mounted_at);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().context(program.to_owned())?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {told}");
    Ok(())
}

/// Cuts the power of the database's machine, and starts it again with what its disk kept. Tells
/// whether the database was running until then.
pub async fn cut_power(
    fleet: &mut Fleet,
    random: &mut Random,
    recorder: &Recorder,
) -> Result<bool> {
    let before = recorder.load().acknowledged;
    let was_running = fleet.cluster.freeze().await?;
    let disk = fleet.cluster.disk().context("the cluster is on no disk of its own")?;
    let kept = disk.after_power_cut(random.below(1 << 32))?;
    let storage = fleet.cluster.storage();
    fleet.cluster.kill_all().await?;
    fleet.cluster = Cluster::start_on_disk(kept, storage).await?;
    fleet.lead_to_cluster();
    Ok(was_running && before > 0)
}
