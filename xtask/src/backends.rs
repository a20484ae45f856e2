//! The backend directory as tritonserver wants it, from a release build of this workspace.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::console;
use crate::files::install;
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

/// Builds the operator's tool and returns it.
pub fn tool(layout: &Layout) -> Result<PathBuf> {
    let built = artifacts(layout, ["--package", "triton-funasr-cli"])?;
    built
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name == "triton-funasr"))
        .context("cargo built no triton-funasr")
}

/// Builds the backends and lays them out; returns the directory for `--backend-directory`.
pub fn build(layout: &Layout, wheels: &Wheels) -> Result<PathBuf> {
    prerequisites::check_build()?;
    console::step("Building", "the backends (cargo build --release)");
    let libraries = libraries(layout)?;
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

/// Builds the backends' libraries and returns them.
pub fn libraries(layout: &Layout) -> Result<Vec<PathBuf>> {
    let packages = BACKENDS
        .iter()
        .flat_map(|(package, _)| ["--package", package]);
    artifacts(layout, packages)
}

/// Makes a release build of what `selection` names and returns the libraries and programs that cargo says it has built,
/// wherever the configuration puts them.
pub fn artifacts<'a>(
    layout: &Layout,
    selection: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        .args(["build", "--release"])
        .args(selection);
    built_by(&mut command)
}

/// The libraries and programs that a command of cargo's builds.
pub fn built_by(command: &mut Command) -> Result<Vec<PathBuf>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let mut running = Running::start(command)?;
    let stdout = running
        .child()
        .stdout
        .take()
        .context("cargo has no output")?;
    let mut built = Vec::new();
    for line in BufReader::new(stdout).lines() {
        built.extend(built_in(&line?));
    }
    let status = running.wait()?;
    if !status.success() {
        bail!("the build failed ({status}); the reason is above");
    }
    Ok(built)
}

/// The shared libraries and programs one line of cargo's JSON messages reports.
fn built_in(line: &str) -> Vec<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let program = message["executable"].as_str().map(PathBuf::from);
    let files = message["filenames"].as_array().into_iter().flatten();
    let libraries = files
        .filter_map(|name| name.as_str())
        .map(PathBuf::from)
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"));
    program.into_iter().chain(libraries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_programs_are_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/release/libtriton_funasr.so","/t/release/x.rlib"]}"#;
        assert_eq!(
            built_in(line),
            [PathBuf::from("/t/release/libtriton_funasr.so")]
        );
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/release/x"],"executable":"/t/release/x"}"#;
        assert_eq!(built_in(line), [PathBuf::from("/t/release/x")]);
        assert!(built_in(r#"{"reason":"build-finished","success":true}"#).is_empty());
    }
}
