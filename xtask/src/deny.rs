//! The part `deny` of `cargo xtask test`: cargo-deny over the dependencies, and the notices they ask for.
//!
//! cargo-deny is built once, into `target/xtask/tools`. The advisories are in a database on GitHub, which not every machine reaches: one
//! that does not still has its licences, duplicates and origins checked, and is told what was not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::console;
use crate::layout::{Layout, cargo};
use crate::notices;
use crate::process::{self, Running};

const VERSION: &str = "0.20.2";

/// How cargo-deny is compiled: it runs for a second, so whatever is quickest to build. With its own settings it takes many minutes.
const PROFILE: [&str; 4] = [
    "profile.release.opt-level=0",
    "profile.release.lto=\"off\"",
    "profile.release.codegen-units=16",
    "profile.release.debug=false",
];

/// Where the advisories are.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// A database that does not come within this time does not come.
const FETCH_LIMIT: Duration = Duration::from_secs(90);

/// The project's workspaces: each has a lock file of its own.
const WORKSPACES: [&str; 3] = [
    "Cargo.toml",
    "fuzz/Cargo.toml",
    "crates/asr-decode/benches/sentencepiece/Cargo.toml",
];

/// Runs all checks. Returns what could not be checked, if something could not.
///
/// `require_advisories` makes that an error.
pub(crate) fn deny(layout: &Layout, require_advisories: bool) -> Result<Option<&'static str>> {
    let program = program(layout)?;
    let manifests: Vec<_> = WORKSPACES
        .iter()
        .map(|manifest| layout.project.join(manifest))
        .filter(|manifest| manifest.is_file())
        .collect();
    for manifest in &manifests {
        check(layout, &program, manifest, &["licenses", "bans", "sources"])?;
    }
    notices::check(layout)?;
    match fetch_advisories(layout, &program)? {
        Ok(()) => {
            for manifest in &manifests {
                check(layout, &program, manifest, &["advisories"])?;
            }
            Ok(None)
        }
        Err(reason) if require_advisories => bail!("the advisories could not be fetched: {reason}"),
        Err(reason) => {
            console::warn(format!(
                "known vulnerabilities were NOT looked for: {DATABASE} could not be fetched\n  ({reason}).\n  \
                 Licences, bans and sources are fine. To have the rest: where that address is reached,\n    \
                 cargo xtask test --only deny --require-advisories\n  \
                 or with a copy of it, after\n    \
                 git config --global url.COPY.insteadOf {DATABASE}"
            ));
            Ok(Some("without advisories: see the warning above"))
        }
    }
}

/// cargo-deny, built if a former run has not.
fn program(layout: &Layout) -> Result<PathBuf> {
    let tools = layout.work_directory("tools")?;
    let root = tools.join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    console::step(
        "Installing",
        format!(
            "cargo-deny {VERSION} into {}, once (a minute or two)",
            root.display()
        ),
    );
    let build = tools.join("build");
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        .args(["install", "cargo-deny", "--locked", "--no-track"])
        .args(["--version", &format!("={VERSION}")])
        .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
        .arg("--root")
        .arg(&root)
        .arg("--target-dir")
        .arg(&build);
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("cargo could not install cargo-deny {VERSION} ({status}); its words are above");
    }
    // Hundreds of megabytes that nobody needs again; another run may be building there.
    let _ = fs::remove_dir_all(build);
    Ok(program)
}

fn check(layout: &Layout, program: &Path, manifest: &Path, what: &[&str]) -> Result<()> {
    let status = process::run(
        cargo_deny(layout, program)
            .args(["--workspace", "--locked"])
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--config")
            .arg(layout.project.join("deny.toml"))
            .args(["check", "--hide-inclusion-graph"])
            .args(what),
    )?;
    if !status.success() {
        bail!(
            "cargo deny check {} ended with {status} for {}; deny.toml has the rules",
            what.join(" "),
            manifest.display()
        );
    }
    Ok(())
}

fn cargo_deny(layout: &Layout, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(&layout.project)
        // It asks cargo for the graph, and git for the database, which must not ask the person.
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null());
    command
}

/// Fetches the database of advisories. The inner error says in a line why it is not there.
fn fetch_advisories(layout: &Layout, program: &Path) -> Result<Result<(), String>> {
    let log = layout.work.join("tools/fetch.log");
    let mut command = cargo_deny(layout, program);
    command
        .args(["--color", "never", "fetch", "db"])
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    // In a group of its own: git ends with it.
    let mut running = Running::start_apart(&mut command, Signal::SIGTERM)?;
    let started = Instant::now();
    while started.elapsed() < FETCH_LIMIT {
        if let Some(status) = running.poll()? {
            let text = fs::read_to_string(&log).context("cannot read what cargo-deny said")?;
            return Ok(if status.success() {
                Ok(())
            } else {
                Err(reason(&text))
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Err(format!(
        "nothing came within {} s",
        FETCH_LIMIT.as_secs()
    )))
}

/// The line of the log that says most: git's last complaint, or else the last there is.
fn reason(log: &str) -> String {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    lines()
        .rfind(|line| line.starts_with("fatal:"))
        .or_else(|| lines().next_back())
        .unwrap_or("cargo-deny does not say why")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_gits_or_the_last_line() {
        let log = "[ERROR] failed to fetch database: [\"clone\"]\nCloning into 'x'...\nfatal: Could not resolve host\n\n";
        assert_eq!(reason(log), "fatal: Could not resolve host");
        assert_eq!(
            reason("[ERROR] failed to clone: failed to spawn git\n"),
            "[ERROR] failed to clone: failed to spawn git"
        );
        assert_eq!(reason("\n"), "cargo-deny does not say why");
    }
}
