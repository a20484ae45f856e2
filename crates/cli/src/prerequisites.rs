//! What must be on the machine already, and plain words when it is not.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::process;

/// The glibc the pinned tritonserver was built for.
const GLIBC: (u32, u32) = (2, 35);
/// The oldest CPython the pinned Python packages are for.
const PYTHON: (u32, u32) = (3, 10);

/// The Python that is used: `python3` of the path.
pub fn python() -> Command {
    Command::new("python3")
}

/// pip, which ends with this program and does not tell of newer versions of itself. Of its configuration only what would
/// forbid a directory of ours is overruled.
pub fn pip() -> Command {
    pip_of("python3")
}

/// The same of another Python.
pub fn pip_of(python: impl AsRef<OsStr>) -> Command {
    let mut command = process::tied(python, Signal::SIGTERM);
    command
        .args(["-m", "pip", "--disable-pip-version-check"])
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .env("PIP_USER", "0")
        .env("PIP_REQUIRE_VIRTUALENV", "0");
    command
}

/// What a run of the server needs.
pub fn check_server() -> Result<()> {
    report([platform(), glibc()])
}

/// What building the backends needs.
pub fn check_build() -> Result<()> {
    report([compiler("CC", "cc", "a C compiler", "gcc")])
}

/// What building the tests needs: one of them compares with a C++ library.
pub fn check_tests() -> Result<()> {
    report([
        compiler("CC", "cc", "a C compiler", "gcc"),
        compiler("CXX", "c++", "a C++ compiler", "g++"),
    ])
}

/// What a download needs.
pub fn check_download() -> Result<()> {
    report([python_and_pip()])
}

fn report<const N: usize>(checks: [Option<String>; N]) -> Result<()> {
    let missing: Vec<_> = checks.into_iter().flatten().collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this machine lacks what is needed:\n  - {}",
        missing.join("\n  - ")
    )
}

fn platform() -> Option<String> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let fits = os == "linux" && matches!(arch, "x86_64" | "aarch64");
    (!fits).then(|| format!("Linux on x86_64 or aarch64: tritonserver is published for these; this is {os} on {arch}"))
}

fn glibc() -> Option<String> {
    let wanted = format!(
        "glibc {}.{} or newer (Ubuntu 22.04, Debian 12 or later)",
        GLIBC.0, GLIBC.1
    );
    let found = printed(Command::new("getconf").arg("GNU_LIBC_VERSION"));
    match found.as_deref().and_then(version_in) {
        Some(version) if version >= GLIBC => None,
        Some((major, minor)) => Some(format!("{wanted}: this is {major}.{minor}")),
        None => Some(format!("{wanted}: getconf GNU_LIBC_VERSION names none")),
    }
}

fn compiler(variable: &str, default: &str, what: &str, package: &str) -> Option<String> {
    let program = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    // The variable may hold a launcher and flags too: `ccache g++ -m64`.
    let first = program
        .split_whitespace()
        .next()
        .unwrap_or(default)
        .to_owned();
    printed(Command::new(&first).arg("--version"))
        .is_none()
        .then(|| {
            format!(
                "{what}: `{first}` does not run; on Debian and Ubuntu: apt-get install {package}"
            )
        })
}

fn python_and_pip() -> Option<String> {
    let (major, minor) = PYTHON;
    let Some(version) = printed(python().arg("--version")) else {
        return Some(format!(
            "Python {major}.{minor} or newer: `python3` does not run; on Debian and Ubuntu: apt-get install python3 python3-pip"
        ));
    };
    if version_in(&version).is_none_or(|version| version < PYTHON) {
        return Some(format!(
            "Python {major}.{minor} or newer: `python3` is {}",
            version.trim()
        ));
    }
    printed(python().args(["-m", "pip", "--version"]))
        .is_none()
        .then(|| {
            "pip: `python3 -m pip` does not run; on Debian and Ubuntu: apt-get install python3-pip"
                .to_owned()
        })
}

/// What a command prints, if it runs and succeeds.
fn printed(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first `major.minor` in `text`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_numbers() {
        assert_eq!(version_in("glibc 2.36\n"), Some((2, 36)));
        assert_eq!(version_in("Python 3.9.17"), Some((3, 9)));
        assert!(version_in("Python 3.9.17").unwrap() < PYTHON);
        assert!(version_in("Python 3.14.0").unwrap() > PYTHON);
        assert_eq!(version_in("musl"), None);
    }

    #[test]
    fn a_compiler_that_does_not_run_is_named_with_its_remedy() {
        let missing = compiler(
            "XTASK_TEST_NO_SUCH_VARIABLE",
            "no-such-compiler",
            "a C++ compiler",
            "g++",
        );
        let text = missing.unwrap();
        assert!(
            text.contains("`no-such-compiler`") && text.contains("apt-get install g++"),
            "{text}"
        );
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let error = report([Some("a".into()), None, Some("b".into())]).unwrap_err();
        assert!(error.to_string().ends_with("\n  - a\n  - b"), "{error}");
    }
}
