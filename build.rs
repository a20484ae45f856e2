//! The library's soname and the stamp it logs when the server loads it.

use std::process::Command;

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtriton_funasr.so");
    println!("cargo::rerun-if-changed=build.rs");
    // Every commit and every checkout adds a line to it; HEAD itself stays the same on a branch.
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    // A source archive has no history; the version alone is then the stamp.
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|commit| format!(" ({})", commit.trim()))
        .unwrap_or_default();
    println!(
        "cargo::rustc-env=FUNASR_STAMP={}{commit}",
        env!("CARGO_PKG_VERSION")
    );
}
