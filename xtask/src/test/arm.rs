//! The unit tests of what needs no server, for 64-bit ARM, under qemu: the vector code of NEON is in them.

use std::process::Command;

use anyhow::{Result, bail};

use crate::layout::{Layout, cargo};
use crate::{console, process};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The crates with unsafe code, or with code of the instruction set's own: all of their tests.
const CLOSEST: [&str; 3] = ["triton-backend", "asr-decode", "wav-frontend"];
/// What else is in the libraries, and these: what their code says of itself.
const OTHERS: [&str; 8] = [
    "triton-funasr",
    "onnxruntime-backend",
    "audio-input",
    "itn",
    "model-files",
    "onnx-file",
    "speech-segments",
    "transcripts",
];

const COMPILER: &str = "aarch64-linux-gnu-gcc";

/// What is needed beside Rust: program, and Debian's package of it.
const NEEDED: [(&str, &str); 3] = [
    ("qemu-aarch64-static", "qemu-user-static"),
    (COMPILER, "gcc-aarch64-linux-gnu"),
    // The oracle of the front end's tests is C++.
    ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
];
/// Debian's libraries for the target, which the compiler's package brings.
const SYSTEM: &str = "/usr/aarch64-linux-gnu";

pub(super) fn run(layout: &Layout) -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !runs(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        bail!(
            "the tests for ARM need what is not here; on Debian and Ubuntu: apt-get install {}",
            missing.join(" ")
        );
    }
    let status = process::run(Command::new("rustup").args(["target", "add", TARGET]))?;
    if !status.success() {
        bail!("rustup could not fetch Rust's standard library for {TARGET}");
    }
    test(layout, &CLOSEST, &["--lib", "--tests"])?;
    test(layout, &OTHERS, &["--lib"])
}

fn test(layout: &Layout, crates: &[&str], which: &[&str]) -> Result<()> {
    console::step("Testing", format!("{} for {TARGET}", crates.join(", ")));
    let runner = format!("qemu-aarch64-static -L {SYSTEM}");
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        // Emulated, what is not optimised takes a quarter of an hour.
        .args(["test", "--release", "--target", TARGET, "--no-fail-fast"])
        .args(which)
        .args(crates.iter().flat_map(|name| ["--package", name]))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", COMPILER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &runner)
        // Of tests that compile stand-ins, or start themselves once more.
        .env("TESTS_CC", COMPILER)
        .env("TESTS_RUNNER", &runner);
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("cargo test for {TARGET} ended with {status}");
    }
    Ok(())
}

fn runs(program: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}
