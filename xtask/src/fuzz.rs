//! `cargo xtask fuzz`: the targets of fuzz/, each for some minutes.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::console::{self, BAD, GOOD};
use crate::layout::Layout;
use crate::nightly;
use crate::process::{self, Running};

/// Largest file that is tried: far above what a branch of a reader needs.
const LARGEST: u32 = 1 << 16;
/// What a target may take in all, most of it the sanitizer's and the corpus's. The targets measure their readers themselves.
const MEMORY_MB: u32 = 1024;
/// Longest that one file may take.
const SLOWEST_SECONDS: u32 = 10;

/// What to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// The target, a file of fuzz/fuzz_targets [default: all, one after the other]
    target: Option<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = minutes)]
    minutes: f64,
}

/// A time above nothing, up to a year.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match minutes > 0.0 && minutes <= 525_600.0 {
        true => Ok(minutes),
        false => Err("expected more than 0, and no more than a year".to_owned()),
    }
}

/// Builds the targets, runs them, and prints what each came to.
pub(crate) fn fuzz(layout: &Layout, options: &Fuzz) -> Result<()> {
    let known = targets(layout)?;
    let chosen: Vec<&String> = match &options.target {
        None => known.iter().collect(),
        Some(name) => known.iter().filter(|target| *target == name).collect(),
    };
    if chosen.is_empty() {
        bail!("no such target: there are {}", known.join(", "));
    }
    check_tools()?;
    build(layout)?;
    let mut outcomes = Vec::new();
    for target in chosen {
        outcomes.push((target, run(layout, target, options.minutes)?));
    }
    summarize(&outcomes);
    match outcomes.iter().filter(|(_, outcome)| !outcome.well).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} targets failed", outcomes.len()),
    }
}

fn targets(layout: &Layout) -> Result<Vec<String>> {
    let directory = layout.project.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let name = entry?.file_name();
        names.extend(
            Path::new(&name)
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

fn check_tools() -> Result<()> {
    let mut missing = Vec::new();
    if !nightly::runs("rustc", "--version") {
        missing.push("a nightly Rust: rustup toolchain install nightly --profile minimal");
    }
    if !nightly::runs("cargo-fuzz", "--version") {
        missing.push("cargo-fuzz: cargo install cargo-fuzz --locked");
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this machine lacks what fuzzing needs:\n  - {}",
        missing.join("\n  - ")
    )
}

fn build(layout: &Layout) -> Result<()> {
    console::step("Building", "the fuzz targets (cargo fuzz build)");
    let mut command = nightly::cargo();
    command
        .current_dir(layout.project.join("fuzz"))
        .args(["fuzz", "build"])
        .env("CARGO_TARGET_DIR", target_directory(layout));
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("the fuzz targets do not build ({status}); the reason is above");
    }
    Ok(())
}

fn target_directory(layout: &Layout) -> PathBuf {
    layout.work.join("fuzz/target")
}

/// What a target came to.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// It ran to its end.
    well: bool,
    executions: u64,
    /// Branches reached.
    coverage: u64,
    peak_memory_mb: u64,
    /// Where the failing input is.
    artifact: Option<String>,
}

impl Outcome {
    /// Takes what a line of the fuzzer's output tells.
    fn take(&mut self, line: &str) {
        let number = |text: &str| text.trim().parse().unwrap_or_default();
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = number(count);
        } else if let Some(size) = line.strip_prefix("stat::peak_rss_mb:") {
            self.peak_memory_mb = number(size);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artifact = Some(path.trim().to_owned());
        } else if line.starts_with('#')
            && let Some((_, rest)) = line.split_once(" cov: ")
        {
            self.coverage = number(rest.split_whitespace().next().unwrap_or_default());
        }
    }

    /// Whether a line is for a person: what failed, not how the fuzzer gets on.
    fn shows(line: &str) -> bool {
        !(line.starts_with('#') || line.starts_with("INFO:") || line.starts_with("stat::"))
    }
}

fn run(layout: &Layout, target: &str, minutes: f64) -> Result<Outcome> {
    console::step("Fuzzing", format!("{target} for {minutes} minutes"));
    let fuzz = layout.project.join("fuzz");
    let found = layout.work_directory(&format!("fuzz/{target}"))?;
    let corpus = layout.work_directory(&format!("fuzz/{target}/corpus"))?;
    let mut artifacts = OsString::from("-artifact_prefix=");
    artifacts.push(found.join(""));
    let mut dictionary = OsString::from("-dict=");
    dictionary.push(fuzz.join(format!("dictionaries/{target}.dict")));
    let mut command = nightly::cargo();
    command
        .current_dir(&fuzz)
        .args(["fuzz", "run", target])
        .arg(corpus)
        .arg(fuzz.join("seeds").join(target))
        .arg("--")
        .arg(format!("-max_total_time={}", (minutes * 60.0).ceil()))
        .arg(format!("-max_len={LARGEST}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-timeout={SLOWEST_SECONDS}"))
        .arg("-print_final_stats=1")
        .args([artifacts, dictionary])
        .env("CARGO_TARGET_DIR", target_directory(layout))
        .stderr(Stdio::piped());
    let mut running = Running::start_apart(&mut command, Signal::SIGINT)?;
    let output = running.child().stderr.take();
    let mut outcome = Outcome::default();
    for line in BufReader::new(output.context("the fuzzer has no output")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        outcome.take(&line);
        if Outcome::shows(&line) && outcome.executions == 0 {
            anstream::eprintln!("{line}");
        }
    }
    outcome.well = ended_well(running.wait()?, &outcome);
    Ok(outcome)
}

fn ended_well(status: ExitStatus, outcome: &Outcome) -> bool {
    status.success() && outcome.artifact.is_none() && outcome.executions > 0
}

fn summarize(outcomes: &[(&String, Outcome)]) {
    anstream::println!(
        "\n{:<16}{:>12}{:>10}{:>12}",
        "target",
        "executions",
        "coverage",
        "peak memory"
    );
    for (target, outcome) in outcomes {
        let Outcome {
            well,
            executions,
            coverage,
            peak_memory_mb,
            artifact,
        } = outcome;
        anstream::print!("{target:<16}{executions:>12}{coverage:>10}{peak_memory_mb:>9} MB  ");
        match (well, artifact) {
            (true, _) => anstream::println!("{GOOD}ok{GOOD:#}"),
            (false, Some(path)) => anstream::println!("{BAD}failed{BAD:#} {path}"),
            (false, None) => anstream::println!("{BAD}failed{BAD:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
INFO: seed corpus: files: 6 min: 147b max: 4705b total: 12922b rss: 33Mb
#9\tINITED cov: 414 ft: 909 corp: 8/6973b exec/s: 0 rss: 38Mb
#180309\tDONE   cov: 838 ft: 2709 corp: 412/390Kb lim: 4741 exec/s: 6934 rss: 482Mb
stat::number_of_executed_units: 180309
stat::peak_rss_mb:              482
";

    #[test]
    fn the_fuzzers_figures_are_read() {
        let mut outcome = Outcome::default();
        RUN.lines().for_each(|line| outcome.take(line));
        let expected = Outcome {
            executions: 180_309,
            coverage: 838,
            peak_memory_mb: 482,
            ..Outcome::default()
        };
        assert_eq!(outcome, expected);
        assert!(!RUN.lines().any(Outcome::shows));
        outcome.take("artifact_prefix='/a/'; Test unit written to /a/crash-6dd1");
        assert_eq!(outcome.artifact.as_deref(), Some("/a/crash-6dd1"));
    }

    #[test]
    fn every_target_has_seeds_and_words() {
        let layout = Layout::find().unwrap();
        let targets = targets(&layout).unwrap();
        assert!(targets.len() >= 6, "{targets:?}");
        for target in targets {
            let fuzz = layout.project.join("fuzz");
            let seeds = fs::read_dir(fuzz.join("seeds").join(&target)).unwrap();
            assert!(seeds.count() >= 2, "{target}");
            let words = fuzz.join(format!("dictionaries/{target}.dict"));
            assert!(words.is_file(), "{target}");
        }
    }

    #[test]
    fn times_are_above_nothing() {
        assert_eq!(minutes("0.5"), Ok(0.5));
        for text in ["0", "-1", "nan", "inf", "x"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }
}
