//! The files of the repository, as git knows them or would.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the repository begins.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A text file of the repository.
pub struct Text {
    /// Its path from the root.
    pub path: String,
    /// What it says.
    pub content: String,
}

impl Text {
    /// Whether its name ends like this.
    pub fn is_a(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

/// All text files, without what is built or fetched.
pub fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    collect(&root(), &root(), &mut texts);
    assert!(texts.len() > 50, "the repository was not found");
    texts
}

/// All Rust files.
pub fn rust_files() -> Vec<Text> {
    texts().into_iter().filter(|text| text.is_a("rs")).collect()
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<Text>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // In a second worktree .git is a file, which says where the first one is.
        let is_ours = !matches!(&*name, "target" | ".git" | "data" | "node_modules" | ".venv");
        if !is_ours {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, texts);
        } else if let Ok(content) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            texts.push(Text { path, content });
        }
    }
}
