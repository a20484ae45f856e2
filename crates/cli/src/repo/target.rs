//! The directory that a repository is assembled in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files::remove;

/// Makes a repository, which appears under its name when it is whole; what was there goes when its successor stands.
pub(super) fn make(target: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = sibling(target, "partial")?;
    let former = sibling(target, "former")?;
    remove(&partial)?;
    remove(&former)?;
    write(&partial).inspect_err(|_| drop(remove(&partial)))?;
    if target.exists() {
        fs::rename(target, &former)
            .with_context(|| format!("cannot replace {}", target.display()))?;
    }
    fs::rename(&partial, target).with_context(|| format!("cannot make {}", target.display()))?;
    remove(&former)
}

/// Only a repository of ours is replaced, and only when asked to. `part` tells the names of its models.
pub(super) fn check_target(
    what: &str,
    part: impl Fn(&str) -> bool,
    target: &Path,
    force: bool,
) -> Result<()> {
    let context = || format!("cannot write to {}", target.display());
    if !target.exists() {
        return Ok(());
    }
    let names = fs::read_dir(target)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<std::io::Result<Vec<_>>>()
        })
        .with_context(context)?;
    if names.is_empty() {
        return Ok(());
    }
    if let Some(other) = names.iter().find(|name| !name.to_str().is_some_and(&part)) {
        bail!(
            "{}: it holds {}, which is no part of a {what} repository",
            context(),
            other.to_string_lossy(),
        );
    }
    if !force {
        bail!(
            "{}: it holds a repository already; --force replaces it",
            context()
        );
    }
    Ok(())
}

/// A hidden neighbour of `target`.
fn sibling(target: &Path, what: &str) -> Result<PathBuf> {
    let name = target
        .file_name()
        .with_context(|| format!("{} names no directory", target.display()))?;
    Ok(target.with_file_name(format!(".{}.{what}", name.to_string_lossy())))
}
