//! The nightly toolchain, which fuzzers and sanitizers need and nothing else does.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::process;

/// Nightly's cargo, without what the cargo that runs this program has set.
pub(crate) fn cargo() -> Command {
    // Tied, since cargo leaves its children running when it alone is killed.
    let mut command = process::tied("rustup", Signal::SIGINT);
    command
        .args(["run", "nightly", "cargo"])
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Whether a program runs, found as nightly's cargo would find it.
pub(crate) fn runs(program: &str, argument: &str) -> bool {
    rustup(&["run", "nightly", program, argument])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where the toolchain is, if there is one.
pub(crate) fn sysroot() -> Option<String> {
    let output = rustup(&["run", "nightly", "rustc", "--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| path.trim().to_owned())
}

fn rustup(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(arguments)
        .env_remove("RUSTUP_TOOLCHAIN")
        .stdin(Stdio::null());
    command
}
