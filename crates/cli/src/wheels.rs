//! The pinned tritonserver and ONNX Runtime, fetched once and kept.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use zip::ZipArchive;

use crate::console;
use crate::files::remove;
use crate::prerequisites;
use crate::process;

/// The one place that says which versions.
pub const PINS: &str = include_str!("../wheels.txt");

/// What is kept of the wheels, by the beginnings of the files' paths.
const KEPT: [&str; 5] = [
    "pytriton/tritonserver/bin/",
    // For the benches, which compare with Python steps.
    "pytriton/tritonserver/backends/python/",
    "pytriton/tritonserver/python_backend_stubs/",
    "nvidia_pytriton.libs/",
    "onnxruntime/capi/libonnxruntime.so.",
];

/// The CPython whose wheels are taken, whatever the local one is.
const PYTHON_TAG: [&str; 8] = [
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--abi",
    "none",
];

/// The manylinux versions the pinned wheels are tagged with.
const MANYLINUX: [&str; 4] = [
    "manylinux_2_35",
    "manylinux_2_31",
    "manylinux_2_28",
    "manylinux_2_27",
];

/// The unpacked wheels.
#[derive(Debug, Clone)]
pub struct Wheels {
    directory: PathBuf,
}

impl Wheels {
    /// The files that are kept under `work`, or those of a fresh download.
    pub fn get(work: &Path) -> Result<Self> {
        let wheels = Self {
            directory: work.join("server"),
        };
        let _lock = lock(work)?;
        if !wheels.complete() {
            prerequisites::check_download()?;
            wheels.fetch(work)?;
        }
        Ok(wheels)
    }

    /// The server's executable.
    pub fn tritonserver(&self) -> PathBuf {
        self.directory
            .join("pytriton/tritonserver/bin/tritonserver")
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// ONNX Runtime's shared library.
    pub fn onnxruntime(&self) -> Result<PathBuf> {
        let directory = self.directory.join("onnxruntime/capi");
        fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?
            .flatten()
            .map(|entry| entry.path())
            .next()
            .with_context(|| format!("no libonnxruntime.so in {}", directory.display()))
    }

    /// The server's Python backend.
    pub fn python_backend(&self) -> PathBuf {
        self.directory.join("pytriton/tritonserver/backends/python")
    }

    /// The program that runs a model of the Python backend, for a version of Python as in `3.11`.
    pub fn python_stub(&self, version: &str) -> PathBuf {
        self.directory
            .join("pytriton/tritonserver/python_backend_stubs")
            .join(version)
            .join("triton_python_backend_stub")
    }

    fn marker(&self) -> PathBuf {
        self.directory.join("complete")
    }

    /// Whether a former run got to its end with the versions that are wanted now.
    fn complete(&self) -> bool {
        fs::read_to_string(self.marker()).is_ok_and(|text| text == marker_text())
    }

    fn fetch(&self, work: &Path) -> Result<()> {
        // The directory appears under its name when it is whole, and not before.
        let partial = work.join("server.partial");
        remove(&partial)?;
        let downloads = partial.join("wheels");
        fs::create_dir_all(&downloads)?;
        console::step(
            "Fetching",
            "tritonserver and ONNX Runtime, once (80 MB of Python wheels)",
        );
        download(PINS, &downloads)?;
        let unpacked = partial.join("unpacked");
        for wheel in files_of(&downloads)? {
            unpack(&wheel, &unpacked, is_kept)?;
        }
        fs::write(unpacked.join("complete"), marker_text())?;
        remove(&self.directory)?;
        fs::rename(&unpacked, &self.directory)?;
        remove(&partial)
    }
}

/// The files of other wheels whose paths begin with one of `kept`, in a directory of `name` under `work`: those that are there, or those of a
/// fresh download of `pins`.
pub fn unpacked(work: &Path, name: &str, pins: &str, kept: &[&str]) -> Result<PathBuf> {
    let directory = work.join(name);
    let _lock = lock(work)?;
    let marker = directory.join("complete");
    if fs::read_to_string(&marker).is_ok_and(|text| text == pins) {
        return Ok(directory);
    }
    prerequisites::check_download()?;
    console::step("Fetching", format!("{name}, once"));
    let partial = work.join(format!("{name}.partial"));
    remove(&partial)?;
    let downloads = partial.join("wheels");
    fs::create_dir_all(&downloads)?;
    download(pins, &downloads)?;
    let unpacked = partial.join("unpacked");
    for wheel in files_of(&downloads)? {
        unpack(&wheel, &unpacked, |path| {
            kept.iter().any(|beginning| path.starts_with(beginning))
        })?;
    }
    fs::write(unpacked.join("complete"), pins)?;
    remove(&directory)?;
    fs::rename(&unpacked, &directory)?;
    remove(&partial)?;
    Ok(directory)
}

/// Two runs at once wait for each other. Released when dropped.
fn lock(work: &Path) -> Result<File> {
    fs::create_dir_all(work)?;
    let file = File::create(work.join("lock"))?;
    if file.try_lock().is_err() {
        console::step(
            "Waiting",
            "for another program to finish the same preparations",
        );
        file.lock()?;
    }
    Ok(file)
}

fn marker_text() -> String {
    format!("{}\n{PINS}{KEPT:?}\n", std::env::consts::ARCH)
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Lets pip fetch the wheels of these pins into `directory`.
fn download(pins: &str, directory: &Path) -> Result<()> {
    let arch = std::env::consts::ARCH;
    let file = directory.with_file_name("wheels.txt");
    fs::write(&file, pins)?;
    let mut command = prerequisites::pip();
    command
        .args([
            "download",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
        ])
        .args(PYTHON_TAG)
        .args(
            MANYLINUX
                .iter()
                .flat_map(|version| ["--platform".to_owned(), format!("{version}_{arch}")]),
        )
        .arg("--dest")
        .arg(directory)
        .arg("--requirement")
        .arg(&file);
    let status = process::run(quiet_unless_terminal(&mut command))?;
    if !status.success() {
        bail!(
            "pip could not fetch the wheels ({status}); its words are above. They come from the package index pip is \
             configured for (python3 -m pip config list)"
        );
    }
    Ok(())
}

/// pip draws its progress bar where someone looks, and is silent but for errors elsewhere.
pub fn quiet_unless_terminal(pip: &mut Command) -> &mut Command {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() {
        pip.args(["--progress-bar", "on"])
    } else {
        pip.args(["--progress-bar", "off", "--quiet"])
    }
}

/// Unpacks what is to be kept of a wheel into `target`.
fn unpack(wheel: &Path, target: &Path, is_kept: impl Fn(&str) -> bool) -> Result<()> {
    let context = || format!("cannot unpack {}", wheel.display());
    let mut archive = ZipArchive::new(File::open(wheel)?).with_context(context)?;
    let total = archive.decompressed_size().unwrap_or_default();
    let name = wheel
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let bar = console::bytes_bar("Unpacking", u64::try_from(total).unwrap_or(u64::MAX))
        .with_message(name);
    for index in 0..archive.len() {
        let file = archive.by_index(index).with_context(context)?;
        let size = file.size();
        match file.enclosed_name() {
            Some(path) if file.is_file() && path.to_str().is_some_and(&is_kept) => {
                write(&bar, file, &target.join(path)).with_context(context)?;
            }
            _ => bar.inc(size),
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn is_kept(name: &str) -> bool {
    KEPT.iter().any(|beginning| name.starts_with(beginning))
}

fn write(bar: &ProgressBar, file: impl io::Read, path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    io::copy(&mut bar.wrap_read(file), &mut File::create(path)?)?;
    // Programs need the run bit, libraries do not mind it; wheels often carry neither.
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn wheel(path: &Path, files: &[(&str, &str)]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, text) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn every_pin_has_a_version_and_a_hash_per_architecture() {
        let pins: Vec<_> = PINS.lines().filter(|line| line.contains("==")).collect();
        assert_eq!(pins.len(), 2);
        assert_eq!(PINS.matches("--hash=sha256:").count(), 2 * pins.len());
        assert!(!PINS.contains("://"));
    }

    #[test]
    fn unpacking_keeps_what_is_needed_and_makes_it_runnable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.whl");
        wheel(
            &path,
            &[
                ("pytriton/tritonserver/bin/tritonserver", "server"),
                ("pytriton/triton.py", "python"),
                ("onnxruntime/capi/libonnxruntime.so.1.2.3", "library"),
            ],
        );
        let target = directory.path().join("target");
        unpack(&path, &target, is_kept).unwrap();
        let wheels = Wheels {
            directory: target.clone(),
        };
        assert_eq!(fs::read_to_string(wheels.tritonserver()).unwrap(), "server");
        assert_eq!(
            fs::metadata(wheels.tritonserver())
                .unwrap()
                .permissions()
                .mode()
                & 0o111,
            0o111
        );
        assert!(
            wheels
                .onnxruntime()
                .unwrap()
                .ends_with("libonnxruntime.so.1.2.3")
        );
        assert!(!target.join("pytriton/triton.py").exists());
    }

    #[test]
    fn a_cache_without_its_marker_or_of_other_versions_is_not_complete() {
        let directory = tempfile::tempdir().unwrap();
        let wheels = Wheels {
            directory: directory.path().to_owned(),
        };
        assert!(!wheels.complete());
        fs::write(wheels.marker(), "x86_64\nnvidia-pytriton==0.1\n").unwrap();
        assert!(!wheels.complete());
        fs::write(wheels.marker(), marker_text()).unwrap();
        assert!(wheels.complete());
    }
}
