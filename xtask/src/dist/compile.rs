//! The libraries and the tool, built so that they run on older systems, and come out the same wherever they are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::architecture::Architecture;
use crate::layout::Layout;
use crate::{backends, console, process, python};

/// The oldest glibc: that of Debian 10, RHEL 8 and Ubuntu 20.04.
pub(super) const GLIBC: &str = "2.28";
/// Of Cargo.toml: `release` without what only a debugger reads.
const PROFILE: &str = "dist";

/// How to build.
pub(super) struct Compiler<'l> {
    layout: &'l Layout,
    /// Where zig and cargo-zigbuild are; none: this machine's own toolchain.
    zig: Option<PathBuf>,
}

/// What was built.
pub(super) struct Built {
    pub(super) tool: PathBuf,
    pub(super) libraries: Vec<PathBuf>,
}

impl<'l> Compiler<'l> {
    pub(super) fn new(layout: &'l Layout, native: bool) -> Result<Self> {
        let zig = match native {
            true => None,
            false => Some(python::dist_packages(layout)?),
        };
        Ok(Self { layout, zig })
    }

    /// Builds all that is passed on.
    pub(super) fn build(&self, architecture: Architecture) -> Result<Built> {
        let files = match &self.zig {
            None => {
                console::step(
                    "Building",
                    "the libraries and the tool (cargo build --release)",
                );
                backends::artifacts(self.layout, [])?
            }
            Some(packages) => self.build_by_zig(packages, architecture)?,
        };
        let named = |name| backends::named(&files, name).map(Path::to_owned);
        let tool = named("triton-funasr")?;
        let libraries = vec![
            named("libtriton_funasr.so")?,
            named("libtriton_onnxruntime.so")?,
        ];
        if self.zig.is_some() {
            libraries.iter().chain([&tool]).try_for_each(check_glibc)?;
        }
        Ok(Built { tool, libraries })
    }

    fn build_by_zig(&self, packages: &Path, architecture: Architecture) -> Result<Vec<PathBuf>> {
        let target = format!("{}-unknown-linux-gnu", architecture.name());
        add_target(&target)?;
        let what = "the libraries and the tool";
        console::step(
            "Building",
            format!("{what} for {target}, glibc {GLIBC} and newer"),
        );
        let mut command = zigbuild(packages)?;
        command
            .current_dir(&self.layout.project)
            .args(["--locked", "--profile", PROFILE])
            .arg(format!("--target={target}.{GLIBC}"));
        self.without_places(&mut command)?;
        backends::built_by(&mut command)
    }

    /// Leaves out of the files where they were built: of two that come with the same directory the compilers take the last.
    fn without_places(&self, command: &mut Command) -> Result<()> {
        let cargo_home = cargo_home()?;
        let target = target_directory(&self.layout.work)?;
        let places = [
            (self.layout.project.as_path(), "/triton-funasr"),
            (target, "/target"),
            (cargo_home.as_path(), "/cargo"),
        ];
        let joined = |flag: &str, separator: &str| {
            let flags = places.map(|(from, to)| format!("{flag}={}={to}", from.display()));
            flags.join(separator)
        };
        command
            .env("CARGO_TARGET_DIR", target)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                joined("--remap-path-prefix", "\u{1f}"),
            )
            .env("CFLAGS", joined("-ffile-prefix-map", " "))
            .env("CXXFLAGS", joined("-ffile-prefix-map", " "));
        Ok(())
    }
}

/// Fails where a file would not start on the oldest glibc: it names the versions of the functions that it calls.
fn check_glibc(file: &PathBuf) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    match newest_glibc(&bytes) {
        Some(newest) if Some(newest) > version(GLIBC) => bail!(
            "{} needs glibc {}.{}, and is to run on {GLIBC}",
            file.display(),
            newest.0,
            newest.1
        ),
        _ => Ok(()),
    }
}

/// The newest glibc of which a file names a function's version.
fn newest_glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    const BEFORE: &[u8] = b"GLIBC_";
    let places = bytes
        .windows(BEFORE.len())
        .enumerate()
        .filter(|(_, window)| *window == BEFORE);
    let versions = places.filter_map(|(at, _)| {
        let rest = &bytes[at + BEFORE.len()..];
        let end = rest
            .iter()
            .position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))?;
        version(std::str::from_utf8(&rest[..end]).ok()?)
    });
    versions.max()
}

/// `(2, 28)` of `2.28` and of `2.28.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// The directory that cargo builds in: xtask's own is in it.
fn target_directory(work: &Path) -> Result<&Path> {
    work.parent().context("xtask's directory is in no other")
}

/// Where cargo keeps what it has fetched.
fn cargo_home() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    own.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .context("neither CARGO_HOME nor HOME says where cargo keeps its files")
}

/// Rust's standard library for the target, which rustup fetches once.
fn add_target(target: &str) -> Result<()> {
    let mut rustup = Command::new("rustup");
    let status = process::run(rustup.args(["target", "add", target]));
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "rustup could not fetch Rust's standard library for {target} (rustup target add {target})"
        ),
    }
}

/// cargo-zigbuild, which finds zig as Python's package.
fn zigbuild(packages: &Path) -> Result<Command> {
    let program = packages.join("bin/cargo-zigbuild");
    if !program.is_file() {
        bail!(
            "{} is not there; remove {} to fetch it anew",
            program.display(),
            packages.display()
        );
    }
    let mut command = Command::new(program);
    command
        .arg("zigbuild")
        .env("CARGO_ZIGBUILD_ZIG_PATH", packages.join("ziglang/zig"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_of_a_file_is_found() {
        let names =
            b"\0libc.so.6\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.4\0GLIBC_PRIVATE\0GLIBCXX_3.4.30\0";
        assert_eq!(newest_glibc(names), Some((2, 34)));
        assert_eq!(newest_glibc(b"static"), None);
        assert!(version("2.34") > version(GLIBC));
    }
}
