//! The backend directory as tritonserver wants it, from a release build of this workspace.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
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

/// What an operator installs.
pub struct Installed {
    /// The directory for `--backend-directory`.
    pub backends: PathBuf,
    /// The program `triton-funasr`.
    pub tool: PathBuf,
}

/// Builds the backends and lays them out; returns the directory for `--backend-directory`.
pub fn build(layout: &Layout, wheels: &Wheels) -> Result<PathBuf> {
    prerequisites::check_build()?;
    console::step("Building", "the backends (cargo build --release)");
    let packages = BACKENDS
        .iter()
        .flat_map(|(package, _)| ["--package", package]);
    lay_out(&artifacts(layout, packages)?, layout, wheels)
}

/// Builds all that an operator installs, the operator's tool too, and lays the backends out.
pub fn build_all(layout: &Layout, wheels: &Wheels) -> Result<Installed> {
    prerequisites::check_build()?;
    console::step(
        "Building",
        "the backends and the tool (cargo build --release)",
    );
    let built = artifacts(layout, [])?;
    Ok(Installed {
        backends: lay_out(&built, layout, wheels)?,
        tool: named(&built, "triton-funasr")?.to_owned(),
    })
}

fn lay_out(built: &[PathBuf], layout: &Layout, wheels: &Wheels) -> Result<PathBuf> {
    let directory = layout.work_directory("backends")?;
    for (_, place) in BACKENDS {
        let name = place.rsplit('/').next().unwrap_or(place);
        install(named(built, name)?, &directory.join(place))?;
    }
    install(
        &wheels.onnxruntime()?,
        &directory.join("onnxruntime/libonnxruntime.so.1"),
    )?;
    Ok(directory)
}

/// The file of this name among those that cargo has built.
pub fn named<'b>(built: &'b [PathBuf], name: &str) -> Result<&'b Path> {
    let is = |path: &&PathBuf| path.file_name().is_some_and(|file| file == name);
    let file = built.iter().find(is).map(PathBuf::as_path);
    file.with_context(|| format!("cargo built no {name}"))
}

/// Makes a release build of what `selection` names, or of all that is installed, and returns the libraries and programs that
/// cargo says it has built, wherever the configuration puts them.
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
