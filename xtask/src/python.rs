//! The Python packages of the tests and of the client line, pinned in `tests/requirements.txt`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::layout::Layout;
use crate::{console, prerequisites, process, wheels};

/// A directory for `PYTHONPATH`, installed once per Python version and set of pins.
pub(crate) fn packages(layout: &Layout) -> Result<PathBuf> {
    prerequisites::check_download()?;
    let requirements = layout.project.join("tests/requirements.txt");
    let pins = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = process::output_of(prerequisites::python().args([
        "-c",
        "import sys; print(f'{sys.implementation.cache_tag}-{sys.platform}')",
    ]))?;
    let directory = layout.work.join(format!("python-{}", version.trim()));
    // Written last: an interrupted installation is begun anew.
    let marker = directory.join("complete");
    if fs::read_to_string(&marker).is_ok_and(|text| text == pins) {
        return Ok(directory);
    }
    wheels::remove(&directory)?;
    console::step("Fetching", "the Python packages of the tests, once");
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
