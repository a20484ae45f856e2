//! What is measured beside the server: a Python program of `benches/real_size` that takes turns.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::stats::sorted;
use crate::layout::Layout;
use crate::process::{self, Running};

/// All recordings, once.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) took: Duration,
    /// Milliseconds, in ascending order.
    pub(super) latencies: Vec<f64>,
    /// What was handed over in answer, if it was counted.
    pub(super) bytes: Option<f64>,
}

/// A program that waits for turns.
pub(super) struct Partner {
    name: &'static str,
    // Ended when it is dropped.
    _running: Running,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Of the package that it measures.
    pub(super) version: String,
}

impl Partner {
    /// Starts `script`, which finds its packages in `packages`, and waits until it is ready.
    pub(super) fn start<A: AsRef<OsStr>>(
        layout: &Layout,
        name: &'static str,
        packages: &[&Path],
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut command: Command = process::tied("python3", Signal::SIGKILL);
        command
            .arg(layout.project.join("benches/real_size").join(script))
            .args(arguments)
            .env("PYTHONPATH", std::env::join_paths(packages)?)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut running = Running::start(&mut command)?;
        let child = running.child();
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, answers) = pipes.with_context(|| format!("{name} has no pipes"))?;
        let mut partner = Self {
            name,
            _running: running,
            questions,
            answers: BufReader::new(answers).lines(),
            version: String::new(),
        };
        let ready = partner.answer()?;
        partner.version = ready["version"].as_str().unwrap_or("–").to_owned();
        Ok(partner)
    }

    /// All recordings once, as `question` says.
    pub(super) fn turn(&mut self, question: &Value) -> Result<Turn> {
        writeln!(self.questions, "{question}")?;
        let answer = self.answer()?;
        let seconds = answer["seconds"].as_f64().context("no seconds")?;
        let latencies = answer["milliseconds"].as_array().context("no latencies")?;
        let latencies: Vec<f64> = latencies.iter().filter_map(Value::as_f64).collect();
        Ok(Turn {
            took: Duration::from_secs_f64(seconds),
            latencies: sorted(&latencies),
            bytes: answer["bytes"].as_f64(),
        })
    }

    fn answer(&mut self) -> Result<Value> {
        match self.answers.next() {
            Some(line) => Ok(serde_json::from_str(&line?)?),
            None => bail!("{} ended; the reason is above", self.name),
        }
    }
}
