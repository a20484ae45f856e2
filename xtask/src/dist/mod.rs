//! `cargo xtask dist`: what is given to those who do not build. For each architecture an archive, a Python wheel and a Debian package, and their
//! checksums.

mod architecture;
mod archive;
mod compile;
mod deb;
mod payload;
mod sbom;
mod wheel;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::files::remove;
use crate::layout::Layout;
use crate::{console, process};

use self::architecture::Architecture;
use self::compile::Compiler;
use self::payload::Payload;

/// What to make, for whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Dist {
    /// The architecture; may be given for both [default: this machine's]
    #[arg(
        long = "arch",
        value_name = "ARCH",
        value_enum,
        conflicts_with = "native"
    )]
    architectures: Vec<Architecture>,
    /// Build with this machine's own toolchain: quickly, but for systems whose glibc is as new as this one's
    #[arg(long)]
    native: bool,
    /// Build once more from a clone elsewhere, and fail unless every file comes out the same
    #[arg(long)]
    twice: bool,
    /// Where to put the files [default: target/xtask/dist]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Dist {
    /// This machine's architecture, by its own toolchain.
    pub(crate) fn native(out: PathBuf) -> Self {
        Self {
            architectures: Vec::new(),
            native: true,
            twice: false,
            out: Some(out),
        }
    }
}

/// Makes the files.
pub(crate) fn dist(layout: &Layout, options: &Dist) -> Result<()> {
    let mut architectures = options.architectures.clone();
    if architectures.is_empty() {
        architectures.push(Architecture::own()?);
    }
    let out = match &options.out {
        Some(out) => out.clone(),
        None => layout.work.join("dist"),
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let files = make(layout, &architectures, options.native)?;
    if options.twice {
        again(layout, &files, &architectures, options.native)?;
    }
    clear(&out)?;
    for (name, bytes) in &files {
        let path = out.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        console::step(
            "Wrote",
            format!("{} ({} kB)", path.display(), bytes.len() / 1000),
        );
    }
    Ok(())
}

/// Takes away what an earlier run has left, which the sums would not know: images are built of all that lies there.
fn clear(out: &Path) -> Result<()> {
    let entries = fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = ["triton-funasr", "triton_funasr"]
            .iter()
            .any(|own| name.starts_with(own));
        if is_ours && path.is_file() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// All files by their names.
type Files = BTreeMap<String, Vec<u8>>;

fn make(layout: &Layout, architectures: &[Architecture], native: bool) -> Result<Files> {
    let compiler = Compiler::new(layout, native)?;
    let made = time_of(&layout.project)?;
    let mut files = Files::new();
    for &architecture in architectures {
        let payload = Payload::gather(layout, &compiler.build(architecture)?)?;
        let (name, bytes) = archive::write(&payload, architecture, made)?;
        files.insert(name, bytes);
        let (name, bytes) = wheel::write(&payload, architecture, native)?;
        files.insert(name, bytes);
        let (name, bytes) = deb::write(&payload, architecture, native, made)?;
        files.insert(name, bytes);
    }
    let sums = files
        .iter()
        .map(|(name, bytes)| format!("{}  {name}\n", hex(bytes)));
    let sums = sums.collect::<String>().into_bytes();
    files.insert("SHA256SUMS".to_owned(), sums);
    Ok(files)
}

/// Makes the files from a clone at another place, with nothing built before.
fn again(
    layout: &Layout,
    files: &Files,
    architectures: &[Architecture],
    native: bool,
) -> Result<()> {
    let changes = git(&layout.project, &["status", "--porcelain"])?;
    if !changes.is_empty() {
        bail!("--twice builds what is committed, and there are changes:\n{changes}");
    }
    let place = layout.work.join("dist-again");
    remove(&place)?;
    let from = layout.project.to_string_lossy();
    let to = place.to_string_lossy();
    console::step("Cloning", "the project, to build it there once more");
    git(
        &layout.project,
        &["clone", "--quiet", "--shared", &from, &to],
    )?;
    let elsewhere = Layout {
        work: place.join("target/xtask"),
        project: place.clone(),
        program: layout.program.clone(),
    };
    let second = make(&elsewhere, architectures, native)?;
    let differing: Vec<&str> = files
        .iter()
        .filter(|(name, bytes)| second.get(*name) != Some(bytes))
        .map(|(name, _)| name.as_str())
        .collect();
    if !differing.is_empty() {
        bail!(
            "{} came out otherwise the second time; what was built is in {} and {}",
            differing.join(", "),
            layout.project.join("target").display(),
            place.display()
        );
    }
    remove(&place)?;
    console::step(
        "Compared",
        format!("{} files, equal byte for byte", files.len()),
    );
    Ok(())
}

/// The time that files are said to be of, in seconds since 1970: `SOURCE_DATE_EPOCH`, the commit's, or where there is no history 1980, the
/// earliest that zip files know.
fn time_of(project: &Path) -> Result<u64> {
    const EARLIEST: u64 = 315_532_800;
    let said = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(said) => said,
        Err(_) => git(project, &["log", "-1", "--format=%ct"]).unwrap_or_default(),
    };
    if said.is_empty() {
        return Ok(EARLIEST);
    }
    let time: u64 = said.parse().with_context(|| {
        format!("SOURCE_DATE_EPOCH is `{said}`, and should be seconds since 1970")
    })?;
    Ok(time.max(EARLIEST))
}

fn git(project: &Path, arguments: &[&str]) -> Result<String> {
    let output = process::output_of(Command::new("git").current_dir(project).args(arguments))?;
    Ok(output.trim_end().to_owned())
}

/// SHA-256 as sums are written.
fn hex(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum() {
        assert_eq!(
            hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
