//! Tells the program which commit it was built from: from the repository where there is one, else from `PERCH_COMMIT`, else
//! `unknown`. It reads git's files and starts no program.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Digits of the hash that people see.
const DIGITS: usize = 12;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PERCH_COMMIT");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let given = || env::var("PERCH_COMMIT").ok().and_then(|hash| shortened(&hash));
    let commit = from_git(&root).or_else(given).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env=PERCH_BUILD_COMMIT={commit}");
}

/// The commit that is checked out at `root`, and that cargo is to look again when another one is.
fn from_git(root: &Path) -> Option<String> {
    let dot_git = root.join(".git");
    // In a second working tree it is a file that names the folder.
    let dir = match fs::read_to_string(&dot_git) {
        Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => dot_git,
    };
    let watched = |path: &Path| {
        println!("cargo:rerun-if-changed={}", path.display());
        fs::read_to_string(path).ok()
    };
    let head = watched(&dir.join("HEAD"))?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return shortened(&head) };
    // Branches are shared by all working trees of a repository.
    let common = match fs::read_to_string(dir.join("commondir")) {
        Ok(text) => dir.join(text.trim()),
        Err(_) => dir,
    };
    let branch = common.join(name);
    if branch.exists() {
        return watched(&branch).and_then(|hash| shortened(&hash));
    }
    let packed = watched(&common.join("packed-refs"))?;
    packed.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' ').and_then(shortened))
}

/// A hash's first digits; nothing that is no hash.
fn shortened(hash: &str) -> Option<String> {
    let hash = hash.trim();
    let is_hash = hash.len() >= DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| hash[..DIGITS].to_ascii_lowercase())
}
