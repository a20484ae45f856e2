//! The library's soname and the stamp it logs when the server loads it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtriton_funasr.so");
    println!("cargo::rerun-if-changed=build.rs");
    // Every commit and every checkout adds a line to it; HEAD itself stays the same on a branch. A file that is not there would have
    // everything built anew each time.
    let history = git(&["rev-parse", "--git-path", "logs/HEAD"]).unwrap_or_default();
    if Path::new(&history).is_file() {
        println!("cargo::rerun-if-changed={history}");
    }
    // A source archive has no history; the version alone is then the stamp.
    let commit = git(&["rev-parse", "--short=12", "HEAD"])
        .map(|commit| format!(" ({commit})"))
        .unwrap_or_default();
    println!(
        "cargo::rustc-env=FUNASR_STAMP={}{commit}",
        env!("CARGO_PKG_VERSION")
    );
}

/// What git says, if it is there and says something.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}
