//! Python packages, pinned in a `requirements.txt`: those of the tests and of the client line, those of the benches.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::layout::Layout;
use crate::{console, files, prerequisites, process, wheels};

/// The packages of the tests: a directory for `PYTHONPATH`.
pub fn packages(layout: &Layout) -> Result<PathBuf> {
    install(layout, "tests/requirements.txt", "python")
}

/// The packages of the benches.
pub fn bench_packages(layout: &Layout) -> Result<PathBuf> {
    install(layout, "benches/requirements.txt", "bench-python")
}

/// Installs what a file pins, once per Python version and set of pins.
fn install(layout: &Layout, requirements: &str, name: &str) -> Result<PathBuf> {
    prerequisites::check_download()?;
    let requirements = layout.project.join(requirements);
    let pins = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = process::output_of(prerequisites::python().args([
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
    let mut pip = prerequisites::pip();
    pip.args([
        "install",
        "--no-warn-script-location",
        "--require-hashes",
        "--target",
    ])
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
