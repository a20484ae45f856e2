//! Files and directories that are put in place whole.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

/// Removes a directory, if there is one.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a directory and those above it, unless they are there.
pub fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Copies a library to its place. A server that runs with the former one keeps it: the file is replaced, not rewritten.
pub fn install(library: &Path, target: &Path) -> Result<()> {
    if let Some(parent) = target.parent() {
        make_directory(parent)?;
    }
    let fresh = target.with_extension("new");
    fs::copy(library, &fresh)
        .and_then(|_| fs::rename(&fresh, target))
        .with_context(|| format!("cannot copy {} to {}", library.display(), target.display()))
}
