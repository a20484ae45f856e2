//! pytest on `tests/`, and what the tests find in their environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::layout::Layout;
use crate::process::{self, Running};
use crate::repo::Kind;
use crate::versions::Versions;
use crate::wheels::Wheels;
use crate::{backends, demo, files, python};

/// Runs pytest in an environment, with arguments of ours and of the caller's.
pub(super) fn run(
    layout: &Layout,
    environment: &[(&'static str, PathBuf)],
    arguments: &[&str],
    extra: &[OsString],
) -> Result<()> {
    // SIGINT, because pytest then tears its fixtures down and stops the servers they started.
    let mut command: Command = process::tied("python3", Signal::SIGINT);
    command
        .current_dir(&layout.project)
        .args(["-m", "pytest", "-p", "no:cacheprovider"])
        .args(arguments)
        .args(extra)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    let status = Running::start_apart(&mut command, Signal::SIGINT)?.wait()?;
    if !status.success() {
        bail!("pytest ended with {status}");
    }
    Ok(())
}

/// What the tests need in their environment (the names are in xtask/README.md).
pub(super) fn environment(
    layout: &Layout,
    versions: Versions,
) -> Result<Vec<(&'static str, PathBuf)>> {
    let wheels = Wheels::get(&layout.work)?;
    let installed = backends::build_all(layout, &wheels)?;
    let backends = versions.backends(layout, installed.backends)?;
    files::remove(&layout.work.join("pytest"))?;
    Ok(vec![
        ("PYTHONPATH", python::packages(layout)?),
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ("TRITONSERVER", versions.tritonserver(layout, &wheels)?),
        ("BACKENDS_DIR", backends),
        ("PROJECT_DIR", layout.project.clone()),
        (
            "SENSEVOICE_REPO",
            demo::repository(layout, Kind::Sensevoice)?,
        ),
        (
            "PARAFORMER_REPO",
            demo::repository(layout, Kind::Paraformer)?,
        ),
        (
            "PARAFORMER_ONLINE_REPO",
            demo::repository(layout, Kind::ParaformerOnline)?,
        ),
        ("ALL_REPO", demo::common_repository(layout, &Kind::ALL)?),
        ("SILERO_MODELS", python::silero_models(layout)?),
        ("ITN_GRAMMARS", python::itn_grammars(layout)?),
        ("DEPLOY_PACKAGES", python::deploy_packages(layout)?),
        ("HELM_PACKAGE", python::helm_package(layout)?),
        ("SCRATCH_DIR", layout.work_directory("pytest")?),
        ("XTASK", layout.program.clone()),
        ("TRITON_FUNASR", installed.tool),
    ])
}
