//! A clock that can be set: a library of a few lines of C, compiled here and loaded before the C
//! library, that tells one process the wall clock's time plus an offset from a file. Its monotonic
//! clock, and all other processes, are left alone.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

const SOURCE: &str = include_str!("false_clock.c");
const NANOS_PER_MILLI: i64 = 1_000_000;

/// The clock of one process.
#[derive(Debug)]
pub struct FalseClock {
    library: PathBuf,
    offset: PathBuf,
}

impl FalseClock {
    /// A clock that is right until it is set.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let library = std::path::absolute(folder.join("false-clock.so"))?;
        if !library.exists() {
            compile(folder, &library)?;
        }
        let offset = std::path::absolute(folder.join(format!("{name}.clock")))?;
        let clock = Self { library, offset };
        File::create(&clock.offset)?;
        clock.set(0)?;
        Ok(clock)
    }

    /// Whether this machine can do it.
    pub fn is_possible() -> bool {
        let Ok(folder) = tempfile::tempdir() else { return false };
        cfg!(target_os = "linux") && Self::create(folder.path(), "can-it-be-done").is_ok()
    }

    /// What a process has to be started with.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.display().to_string();
        [("LD_PRELOAD", text(&self.library)), ("FALSE_CLOCK_FILE", text(&self.offset))]
    }

    /// Sets it so far before or behind the right time, at once.
    pub fn set(&self, offset_ms: i64) -> Result<()> {
        let mut file = File::options().write(true).open(&self.offset)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file.write_all(&(offset_ms * NANOS_PER_MILLI).to_ne_bytes())?)
    }
}

fn compile(folder: &Path, library: &Path) -> Result<()> {
    let source = folder.join("false-clock.c");
    std::fs::write(&source, SOURCE)?;
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(&compiler)
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([library, &source])
        .output()
        .context("there is no C compiler")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{compiler} failed: {told}");
    Ok(())
}
