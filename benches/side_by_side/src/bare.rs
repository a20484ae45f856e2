//! ONNX Runtime with nothing around it, in a process of its own: `benches/real_size/bare.py`.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use wav_frontend::{Cmvn, Frontend, FrontendOptions, Workspace};

use super::stats::sorted;
use super::tools::Tools;
use crate::process::{self, Running};

/// All recordings, once.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) took: Duration,
    /// Milliseconds, in ascending order.
    pub(super) latencies: Vec<f64>,
}

/// A session that waits for turns.
pub(super) struct Bare {
    // Ended when it is dropped.
    _running: Running,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// The ONNX Runtime of the Python package.
    pub(super) version: String,
}

impl Bare {
    /// Loads `model`, which gets the features that the step `front_end` makes of the recordings.
    pub(super) fn start(
        tools: &Tools,
        model: &Path,
        front_end: &Path,
        recordings: &[Vec<f32>],
    ) -> Result<Self> {
        let directory = tools.directory.join("features");
        let width = write_features(front_end, recordings, &directory)?;
        let mut command: Command = process::tied("python3", Signal::SIGKILL);
        command
            .arg(tools.layout.project.join("benches/real_size/bare.py"))
            .arg(model)
            .arg(&directory)
            .args(["--width", &width.to_string()])
            .env("PYTHONPATH", &tools.packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut running = Running::start(&mut command)?;
        let child = running.child();
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, answers) = pipes.context("the bare session has no pipes")?;
        let mut bare = Self {
            _running: running,
            questions,
            answers: BufReader::new(answers).lines(),
            version: String::new(),
        };
        let ready = bare.answer()?;
        bare.version = ready["onnxruntime"].as_str().unwrap_or("–").to_owned();
        Ok(bare)
    }

    /// All recordings once, so many at a time.
    pub(super) fn turn(&mut self, at_a_time: usize) -> Result<Turn> {
        writeln!(self.questions, "{}", json!({ "at_a_time": at_a_time }))?;
        let answer = self.answer()?;
        let seconds = answer["seconds"].as_f64().context("no seconds")?;
        let latencies = answer["milliseconds"].as_array().context("no latencies")?;
        let latencies: Vec<f64> = latencies.iter().filter_map(Value::as_f64).collect();
        Ok(Turn {
            took: Duration::from_secs_f64(seconds),
            latencies: sorted(&latencies),
        })
    }

    fn answer(&mut self) -> Result<Value> {
        match self.answers.next() {
            Some(line) => Ok(serde_json::from_str(&line?)?),
            None => bail!("ONNX Runtime by itself ended; the reason is above"),
        }
    }
}

/// Features as the served front end makes them, without its rounding up; returns their width.
pub(super) fn write_features(
    front_end: &Path,
    recordings: &[Vec<f32>],
    directory: &Path,
) -> Result<usize> {
    crate::files::remove(directory)?;
    fs::create_dir_all(directory)?;
    let options = FrontendOptions::from_yaml(&fs::read_to_string(front_end.join("config.yaml"))?)?;
    let frontend = Frontend::new(options, Some(Cmvn::read(front_end.join("am.mvn"))?))?;
    let mut workspace = Workspace::new();
    for (number, samples) in recordings.iter().enumerate() {
        let size = frontend.output_frames(samples.len()) * frontend.feature_dim();
        let mut features = vec![0.0; size];
        frontend.extract(samples, &mut features, &mut workspace)?;
        let bytes: Vec<u8> = features
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        fs::write(directory.join(format!("{number}.f32")), bytes)?;
    }
    Ok(frontend.feature_dim())
}
