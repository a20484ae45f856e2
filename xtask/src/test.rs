//! `cargo xtask test`: everything that proves the project, in order of what fails fastest.

mod arm;
mod on_versions;
mod pytest;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::console::{self, BAD, GOOD, WARN};
use crate::layout::{Layout, cargo};
use crate::versions::Versions;
use crate::{deny, prerequisites, process};

/// Which parts to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Run these parts alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Fail where the database of known vulnerabilities cannot be fetched, instead of warning
    #[arg(long)]
    require_advisories: bool,
    #[command(flatten)]
    versions: Versions,
    /// What else pytest is told
    #[arg(last = true, value_name = "PYTEST_ARGS")]
    pytest: Vec<OsString>,
}

/// A part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The code is formatted
    Fmt,
    /// Clippy has no warnings
    Clippy,
    /// No dependency is vulnerable, wrongly licensed or of unknown origin; the notices are current
    Deny,
    /// Unit, integration and doc tests
    Unit,
    /// The documentation builds without warnings
    Doc,
    /// The tests of tests/ against a real tritonserver
    Server,
    /// Those of them that tell, on the oldest, a middle and the newest tritonserver and ONNX Runtime; only where it is named
    Versions,
    /// The unit tests of what needs no server, for 64-bit ARM, under qemu; only where it is named
    Arm,
}

impl Part {
    /// Those that run where none is named.
    const USUAL: [Self; 6] = [
        Self::Fmt,
        Self::Clippy,
        Self::Deny,
        Self::Unit,
        Self::Doc,
        Self::Server,
    ];

    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Returns what of it could not be done, if something could not that need not fail.
    fn run(self, layout: &Layout, options: &Test) -> Result<Option<&'static str>> {
        match self {
            Self::Deny => return deny::deny(layout, options.require_advisories),
            Self::Fmt => cargo_runs(layout, &["fmt", "--all", "--check"], None),
            Self::Clippy => cargo_runs(
                layout,
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ],
                None,
            ),
            Self::Unit => {
                prerequisites::check_tests()?;
                cargo_runs(layout, &["test", "--workspace"], None)
            }
            Self::Doc => cargo_runs(
                layout,
                &["doc", "--workspace", "--no-deps"],
                Some(("RUSTDOCFLAGS", "-D warnings")),
            ),
            Self::Server => server(layout, options),
            Self::Versions => on_versions::run(layout, &options.pytest),
            Self::Arm => arm::run(layout),
        }?;
        Ok(None)
    }
}

/// Runs the parts up to the first that fails, and says at the end how each went.
pub(crate) fn test(layout: &Layout, options: &Test) -> Result<()> {
    let parts: Vec<Part> = match options.only.is_empty() {
        true => Part::USUAL.to_vec(),
        false => {
            let parts = Part::value_variants().iter().copied();
            parts.filter(|part| options.only.contains(part)).collect()
        }
    };
    let mut passed = Vec::new();
    let mut failure = None;
    for &part in &parts {
        console::step("Testing", part.name());
        let started = Instant::now();
        match part.run(layout, options) {
            Ok(missing) => passed.push(Passed {
                part,
                time: started.elapsed(),
                missing,
            }),
            Err(error) => {
                failure = Some((part, error));
                break;
            }
        }
    }
    summarize(&parts, &passed, failure.as_ref().map(|(part, _)| *part));
    match failure {
        Some((part, error)) => Err(error.context(format!("{} failed", part.name()))),
        None => Ok(()),
    }
}

/// A part that did not fail.
struct Passed {
    part: Part,
    time: Duration,
    missing: Option<&'static str>,
}

fn summarize(parts: &[Part], passed: &[Passed], failed: Option<Part>) {
    anstream::println!();
    for &part in parts {
        let name = part.name();
        if let Some(passed) = passed.iter().find(|passed| passed.part == part) {
            let missing = passed.missing.map(|what| format!("  {WARN}{what}{WARN:#}"));
            anstream::println!(
                "{name:<8} {GOOD}ok{GOOD:#}       {:.1} s{}",
                passed.time.as_secs_f64(),
                missing.unwrap_or_default()
            );
        } else if failed == Some(part) {
            anstream::println!("{name:<8} {BAD}failed{BAD:#}");
        } else {
            anstream::println!("{name:<8} not run");
        }
    }
}

fn cargo_runs(layout: &Layout, arguments: &[&str], variable: Option<(&str, &str)>) -> Result<()> {
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        .args(arguments)
        .envs(variable);
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Which tests take longest is told, for those who want it faster.
const LONGEST: &str = "--durations=12";

/// Runs pytest on `tests/`: first those that bear company, several at a time, then those that measure. With arguments of the
/// caller's, one pytest does what these say.
fn server(layout: &Layout, options: &Test) -> Result<()> {
    prerequisites::check_server()?;
    let extra = &options.pytest;
    let environment = pytest::environment(layout, options.versions)?;
    let pytest = |arguments: &[&str]| pytest::run(layout, &environment, arguments, extra);
    if extra.iter().any(|argument| names_tests(layout, argument)) {
        return pytest(&[]);
    }
    if !extra.is_empty() {
        return pytest(&["tests"]);
    }
    let processes = workers().to_string();
    let together = pytest(&[
        "tests",
        "-m",
        "not alone",
        LONGEST,
        "--numprocesses",
        &processes,
        "--dist",
        "loadfile",
    ]);
    let alone = pytest(&["tests", "-m", "alone", LONGEST]);
    // What the servers said of a failure is gone when the next environment is made.
    together.and(alone)?;
    on_versions::oldest(layout)
}

/// How many processes run tests side by side: each has a server or some, of half a gigabyte.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

/// Whether an argument for pytest is a path, perhaps with `::` and a test's name behind it.
fn names_tests(layout: &Layout, argument: &OsString) -> bool {
    let text = argument.to_string_lossy();
    let path = text.split("::").next().unwrap_or_default();
    text.starts_with("tests") && layout.project.join(path).exists()
}
