//! A root file system of Debian, made of its packages, where no image can be pulled.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{console, process};

/// What the Dockerfile is written for.
const SUITE: &str = "bookworm";

/// What this machine's programs trust and are told, and those of the image are then, too: certificates of its own, pip's configuration.
const OF_THIS_MACHINE: [&str; 2] = ["/usr/local/share/ca-certificates", "/etc/pip.conf"];

/// The archive, made if a former run has not.
pub(super) fn archive(work: &Path) -> Result<PathBuf> {
    let archive = work.join(format!("{SUITE}.tar"));
    if archive.is_file() {
        return Ok(archive);
    }
    console::step(
        "Making",
        format!("{}, once (some minutes)", archive.display()),
    );
    let partial = work.join(format!("{SUITE}.partial.tar"));
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=minbase", "--include=ca-certificates", "--quiet"])
        .args(
            OF_THIS_MACHINE
                .iter()
                .map(Path::new)
                .filter(|path| path.exists())
                .filter_map(|path| Some((path, path.parent()?)))
                .map(|(path, parent)| {
                    format!(
                        "--customize-hook=copy-in {} {}",
                        path.display(),
                        parent.display()
                    )
                }),
        )
        .arg("--customize-hook=chroot \"$1\" update-ca-certificates")
        .arg(SUITE)
        .arg(&partial);
    let status = process::run(&mut command)?;
    ensure!(
        status.success(),
        "mmdebstrap ended with {status}; its words are above"
    );
    std::fs::rename(&partial, &archive)?;
    Ok(archive)
}
