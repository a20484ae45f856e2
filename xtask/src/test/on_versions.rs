//! Tests that tell, on other tritonservers and ONNX Runtimes than the pinned ones; and a table of what came of it.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::pytest;
use crate::layout::Layout;
use crate::versions::Versions;
use crate::{console, files, prerequisites};

/// Ensembles, pipelines, streams, errors, metrics and what ONNX Runtime does for them. Not among them is what older servers lack, or say in
/// other words: docs/operations.md lists that.
const TELLING: [&str; 3] = [
    "tests/versions",
    "tests/test_texts.py",
    "tests/onnx/test_onnx_types.py",
];

/// Whatever else is tested, one test of each kind runs on the oldest server.
pub(super) fn oldest(layout: &Layout) -> Result<()> {
    if cfg!(not(target_arch = "x86_64")) {
        return Ok(());
    }
    console::step("Testing", "the oldest tritonserver");
    let environment = pytest::environment(layout, Versions::OLDEST_SERVER)?;
    pytest::run(layout, &environment, &["tests/versions"], &[])
}

/// Runs the tests on each version, and writes the table.
pub(super) fn run(layout: &Layout, extra: &[OsString]) -> Result<()> {
    prerequisites::check_server()?;
    let report = layout.work_directory("versions")?;
    let mut table = String::from(
        "| tritonserver | ONNX Runtime | passed | skipped | failed | time |\n|---|---|---|---|---|---|\n",
    );
    let mut failed = false;
    for versions in Versions::EACH {
        let (server, onnxruntime) = versions.names();
        console::step(
            "Testing",
            format!("tritonserver {server} with ONNX Runtime {onnxruntime}"),
        );
        let started = Instant::now();
        let file = report.join(format!("{server}-{onnxruntime}.xml"));
        // What an earlier run has left must not count where pytest does not get so far.
        files::remove(&file)?;
        let junit = format!("--junitxml={}", file.display());
        let mut arguments = TELLING.to_vec();
        arguments.extend(["-m", "not alone", &junit]);
        let environment = pytest::environment(layout, versions)?;
        failed |= pytest::run(layout, &environment, &arguments, extra).is_err();
        let counts = Counts::read(&file)?;
        writeln!(
            table,
            "| {server} | {onnxruntime} | {} | {} | {} | {:.0} s |",
            counts.passed,
            counts.skipped,
            counts.failed,
            started.elapsed().as_secs_f64()
        )?;
    }
    let path = report.join("versions.md");
    fs::write(&path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    anstream::println!("\n{table}");
    console::step("Wrote", path.display());
    if failed {
        bail!("tests failed on some of them; pytest's words are above");
    }
    Ok(())
}

/// How tests went.
#[derive(Debug, PartialEq)]
struct Counts {
    passed: u32,
    skipped: u32,
    failed: u32,
}

impl Counts {
    fn read(report: &Path) -> Result<Self> {
        let text = fs::read_to_string(report)
            .with_context(|| format!("pytest wrote no {}", report.display()))?;
        Self::of(&text).with_context(|| format!("{} has no counts", report.display()))
    }

    /// Of pytest's report in JUnit's XML: attributes of its one `testsuite`.
    fn of(report: &str) -> Option<Self> {
        let suite = report.split("<testsuite ").nth(1)?.split('>').next()?;
        let count = |name: &str| -> Option<u32> {
            let value = suite.split(&format!("{name}=\"")).nth(1)?;
            value.split('"').next()?.parse().ok()
        };
        let (tests, skipped) = (count("tests")?, count("skipped")?);
        let failed = count("failures")? + count("errors")?;
        Some(Self {
            passed: tests.checked_sub(skipped)?.checked_sub(failed)?,
            skipped,
            failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_pytests_report() {
        let report = r#"<testsuites name="x"><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1.5"><testcase/>"#;
        let counts = Counts {
            passed: 4,
            skipped: 3,
            failed: 3,
        };
        assert_eq!(Counts::of(report), Some(counts));
        assert_eq!(Counts::of("<testsuites></testsuites>"), None);
    }
}
