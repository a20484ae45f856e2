//! The backend directory as tritonserver wants it, from a release build of this workspace.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::console;
use crate::layout::{Layout, cargo};
use crate::prerequisites;
use crate::process::Running;
use crate::wheels::Wheels;

/// Package, and where its library goes in the backend directory.
const BACKENDS: [(&str, &str); 2] = [
    ("triton-funasr", "funasr/libtriton_funasr.so"),
    (
        "onnxruntime-backend",
        "onnxruntime/libtriton_onnxruntime.so",
    ),
];

/// Builds the backends and lays them out; returns the directory for `--backend-directory`.
pub(crate) fn build(layout: &Layout, wheels: &Wheels) -> Result<PathBuf> {
    prerequisites::check_build()?;
    console::step("Building", "the backends (cargo build --release)");
    let libraries = build_libraries(layout)?;
    let directory = layout.work_directory("backends")?;
    for (_, place) in BACKENDS {
        let target = directory.join(place);
        let name = target.file_name().unwrap_or_default();
        let library = libraries
            .iter()
            .find(|path| path.file_name() == Some(name))
            .with_context(|| format!("cargo built no {}", name.to_string_lossy()))?;
        install(library, &target)?;
    }
    install(
        &wheels.onnxruntime()?,
        &directory.join("onnxruntime/libonnxruntime.so.1"),
    )?;
    Ok(directory)
}

/// Runs cargo and returns the paths it says it has built, wherever the configuration puts them.
fn build_libraries(layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        .args(
            BACKENDS
                .iter()
                .flat_map(|(package, _)| ["--package", package]),
        )
        .stdout(Stdio::piped());
    let mut running = Running::start(&mut command)?;
    let stdout = running
        .child()
        .stdout
        .take()
        .context("cargo has no output")?;
    let mut libraries = Vec::new();
    for line in BufReader::new(stdout).lines() {
        libraries.extend(libraries_in(&line?));
    }
    let status = running.wait()?;
    if !status.success() {
        bail!("the backends do not build ({status}); the reason is above");
    }
    Ok(libraries)
}

/// The shared libraries one line of cargo's JSON messages reports.
fn libraries_in(line: &str) -> Vec<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    message["filenames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .map(PathBuf::from)
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
        .collect()
}

/// Copies a library to its place. A server that runs with the former one keeps it: the file is replaced, not rewritten.
fn install(library: &Path, target: &Path) -> Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    let fresh = target.with_extension("new");
    fs::copy(library, &fresh)
        .and_then(|_| fs::rename(&fresh, target))
        .with_context(|| format!("cannot copy {} to {}", library.display(), target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/release/libtriton_funasr.so","/t/release/x.rlib"]}"#;
        assert_eq!(
            libraries_in(line),
            [PathBuf::from("/t/release/libtriton_funasr.so")]
        );
        assert!(libraries_in(r#"{"reason":"build-finished","success":true}"#).is_empty());
    }
}
