//! The directory that a repository is assembled in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::console;
use crate::files::remove;

/// What a repository is called while it is written, within a target that is there already and empty.
const INSIDE: &str = ".partial";

/// Makes a repository, which appears under its name when it is whole; what was there goes when its successor stands.
///
/// A target that is there and empty stays, since it may be a mount point: what belongs into it is moved there.
pub(super) fn make(target: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stays = target.is_dir() && names(target)?.iter().all(|name| name == INSIDE);
    let partial = match stays {
        true => target.join(INSIDE),
        false => sibling(target, "partial")?,
    };
    remove(&partial)?;
    let made = write(&partial).and_then(|()| match stays {
        true => fill(target, &partial),
        false => replace(target, &partial),
    });
    // It is gone if all went well.
    made.inspect_err(|_| drop(remove(&partial)))
}

/// Moves what `partial` holds into the empty `target` around it.
fn fill(target: &Path, partial: &Path) -> Result<()> {
    let names = names(partial)?;
    let moved = names
        .iter()
        .try_for_each(|name| fs::rename(partial.join(name), target.join(name)))
        .and_then(|()| fs::remove_dir(partial));
    moved
        .inspect_err(|_| {
            names
                .iter()
                .for_each(|name| drop(remove(&target.join(name))))
        })
        .with_context(|| format!("cannot fill {}", target.display()))
}

/// Puts `partial` in the place of `target`, or leaves all as it was.
fn replace(target: &Path, partial: &Path) -> Result<()> {
    let former = sibling(target, "former")?;
    if target.exists() {
        remove(&former)?;
        fs::rename(target, &former)
            .with_context(|| format!("cannot replace {}", target.display()))?;
    }
    fs::rename(partial, target)
        .inspect_err(|_| drop(fs::rename(&former, target)))
        .with_context(|| format!("cannot make {}", target.display()))?;
    remove(&former)
}

/// Puts a repository back that lost its name to a successor which never came, as when the program was killed.
fn put_back(target: &Path) -> Result<()> {
    let former = sibling(target, "former")?;
    if target.exists() || !former.exists() {
        return Ok(());
    }
    fs::rename(&former, target).with_context(|| format!("cannot put back {}", target.display()))?;
    console::warn(format!(
        "{} was not replaced the last time: what it held is there again",
        target.display()
    ));
    Ok(())
}

/// Only a repository of ours is replaced, and only when asked to. `part` tells the names of its models.
pub(super) fn check_target(
    what: &str,
    part: impl Fn(&str) -> bool,
    target: &Path,
    force: bool,
) -> Result<()> {
    let context = || format!("cannot write to {}", target.display());
    put_back(target)?;
    if !target.exists() {
        return Ok(());
    }
    let mut names = names(target).with_context(context)?;
    names.retain(|name| name != INSIDE);
    if names.is_empty() {
        return Ok(());
    }
    if let Some(other) = names.iter().find(|name| !part(name)) {
        bail!(
            "{}: it holds {other}, which is no part of a {what} repository",
            context(),
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

/// What a directory holds.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        let name = entry?.file_name();
        Ok(name.to_string_lossy().into_owned())
    };
    fs::read_dir(directory)?.map(name).collect()
}

/// A hidden neighbour of `target`.
fn sibling(target: &Path, what: &str) -> Result<PathBuf> {
    let name = target
        .file_name()
        .with_context(|| format!("{} names no directory", target.display()))?;
    Ok(target.with_file_name(format!(".{}.{what}", name.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// A repository of one model.
    fn model(name: &str) -> impl FnOnce(&Path) -> Result<()> {
        move |partial| Ok(fs::create_dir_all(partial.join(name))?)
    }

    fn check(target: &Path, force: bool) -> Result<()> {
        check_target("test", |name| matches!(name, "old" | "new"), target, force)
    }

    fn held(directory: &Path) -> Vec<String> {
        let mut held = names(directory).unwrap();
        held.sort();
        held
    }

    #[test]
    fn an_empty_target_stays_and_is_filled() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("repo");
        // A former run was killed.
        fs::create_dir_all(target.join(INSIDE).join("old")).unwrap();
        let inode = fs::metadata(&target).unwrap().ino();
        check(&target, false).unwrap();
        make(&target, model("new")).unwrap();
        assert_eq!(held(&target), ["new"]);
        assert_eq!(fs::metadata(&target).unwrap().ino(), inode);
        assert_eq!(held(directory.path()), ["repo"]);
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("repo");
        let fail = |partial: &Path| {
            model("new")(partial)?;
            bail!("no")
        };
        make(&target, fail).unwrap_err();
        assert_eq!(held(directory.path()), [""; 0]);
        fs::create_dir(&target).unwrap();
        make(&target, fail).unwrap_err();
        assert_eq!(held(&target), [""; 0]);
        // The target's place is taken, by a file that no directory can replace.
        fs::remove_dir(&target).unwrap();
        let take = |partial: &Path| {
            fs::write(directory.path().join(".repo.former"), "")?;
            fs::write(&target, "")?;
            model("new")(partial)
        };
        make(&target, take).unwrap_err();
        assert_eq!(held(directory.path()), [".repo.former", "repo"]);
    }

    #[test]
    fn a_repository_that_was_never_replaced_is_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("repo");
        fs::create_dir_all(directory.path().join(".repo.former/old")).unwrap();
        let error = check(&target, false).unwrap_err().to_string();
        assert!(error.ends_with("--force replaces it"), "{error}");
        assert_eq!(held(&target), ["old"]);
        check(&target, true).unwrap();
        make(&target, model("new")).unwrap();
        assert_eq!(held(&target), ["new"]);
        assert_eq!(held(directory.path()), ["repo"]);
    }

    #[test]
    fn a_failed_replacement_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("repo");
        fs::create_dir_all(target.join("old")).unwrap();
        // Nothing was written that could take its place.
        make(&target, |_| Ok(())).unwrap_err();
        assert_eq!(held(&target), ["old"]);
        assert_eq!(held(directory.path()), ["repo"]);
    }
}
