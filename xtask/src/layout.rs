//! Where things are: the project, cargo's target directory, and what xtask keeps in it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The directories of this project.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The workspace's root.
    pub project: PathBuf,
    /// Everything xtask fetches and makes: `target/xtask`.
    pub work: PathBuf,
    /// This program. Asked at the start, since the system calls it deleted once cargo has built it anew.
    pub program: PathBuf,
}

impl Layout {
    /// Asks cargo, so that `CARGO_TARGET_DIR` and cargo's configuration count.
    pub fn find() -> Result<Self> {
        // `cargo run` says where the package is now; where it was built may have moved, or be another clone's.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let package = package.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let manifest = package.join("Cargo.toml");
        let text = process::output_of(
            cargo()
                .args([
                    "metadata",
                    "--no-deps",
                    "--format-version=1",
                    "--manifest-path",
                ])
                .arg(manifest),
        )?;
        let metadata: serde_json::Value = serde_json::from_str(&text)?;
        let directory = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata has no {key}"))
        };
        Ok(Self {
            project: directory("workspace_root")?,
            work: directory("target_directory")?.join("xtask"),
            program: std::env::current_exe().context("cannot find this program")?,
        })
    }

    /// A directory under `target/xtask`, made if need be.
    pub fn work_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.work.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }
}

/// The cargo that runs this program, or the one on the path, in the environment of a person who calls it: what cargo tells this program of
/// its package would have crates built anew whose build scripts look at that, and all that need them.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether cargo tells the programs that it runs about their package by this variable.
fn is_of_package(name: &str) -> bool {
    const BEGINNINGS: [&str; 5] = [
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
    ];
    BEGINNINGS
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_of_this_package() {
        // Set by cargo for this test as for programs that it runs.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let command = cargo();
        let removed = |name: &str| {
            let mut changes = command.get_envs();
            changes.any(|(variable, value)| variable == name && value.is_none())
        };
        assert!(removed("CARGO_MANIFEST_DIR") && removed("CARGO_PKG_VERSION"));
        assert!(!removed("CARGO_HOME") && !removed("CARGO_TARGET_DIR"));
    }
}
