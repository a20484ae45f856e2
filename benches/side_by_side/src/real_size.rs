//! `cargo xtask bench --real-size`: models of the published sizes, served in each form, beside ONNX Runtime with nothing around it and
//! sherpa-onnx.
//!
//! There the encoder is nearly all of the work, and what counts is how much of the machine the server leaves it.

mod figures;
mod forms;
mod repository;

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use xtask::real_size::{self, RealSize};

use super::Pace;
use super::cases::RATE;
use super::load::Connection;
use super::message::Message;
use super::partner::Turn;
use super::report::{self, Section};
use super::speech;
use super::stats::sorted;
use super::tools::Tools;
use crate::layout::Layout;
use crate::repo::Kind;
use crate::{console, machine};

/// Recordings last from one second to twenty, most of them few.
const LEAST_SECONDS: f64 = 1.0;
const MOST_SECONDS: f64 = 20.0;
/// With this their mean is 5 s.
const SCALE: f64 = 4.2;
const DOCUMENT: &str = "docs/benchmarks/real_size.md";

/// What is served, by the names of the repository that `triton-funasr repo` makes.
struct Model {
    kind: Kind,
    export: &'static str,
    top: &'static str,
}

const MODELS: [Model; 2] = [
    Model {
        kind: Kind::Sensevoice,
        export: "sensevoice",
        top: "sensevoice",
    },
    Model {
        kind: Kind::Paraformer,
        export: "paraformer",
        top: "infer_pipeline",
    },
];

/// Makes the models if need be, measures, prints, and writes a document.
pub(super) fn bench(layout: &Layout, quick: bool, command: &str) -> Result<()> {
    let exports = real_size::real_size(layout, &RealSize::of(&MODELS.map(|model| model.kind)))?;
    let tools = Tools::prepare(layout)?;
    let head = machine::head(&tools, command);
    let bar = console::spinner_of("Measuring");
    let pace = Pace::of_real_size(quick, &bar);
    let recordings = recordings(&tools, pace.pick(60, 24))?;
    let mut section = Section::new(
        "Real sizes",
        format!(
            "Models of the published sizes with random weights. {} recordings of {LEAST_SECONDS} to {MOST_SECONDS} s, {:.1} s on average, each \
             sent once, the next one when an answer has come. All take turns; figures are medians over turns, \
             ratios those of the same round.\n\n\
             ONNX Runtime alone gets the features ready-made, has the server's number of threads, and a call for each recording. The \
             ensemble and the pipeline are as `triton-funasr repo` makes them, with ids in place of scores; \"scores\" is with `--keep-logits`. The \
             Python steps are better than those this project takes the place of ([how to read this](../benchmarks.md)). sherpa-onnx runs the \
             same exported file on as many threads as there are processors, in a process of its own, with nothing between it and the \
             callers, while all others are asked over HTTP: each caller by itself, or a worker that takes up to {} that wait.",
            recordings.len(),
            seconds(&recordings) / recordings.len() as f64,
            forms::TOGETHER,
        ),
    );
    for model in &MODELS {
        let measured = forms::measure(&tools, &exports, model, &recordings, pace)?;
        figures::add(&measured, &mut section);
    }
    bar.finish_and_clear();
    section.print();
    let directory = pace.pick(&layout.project, &tools.directory);
    let document = directory.join(DOCUMENT);
    if let Some(parent) = document.parent() {
        fs::create_dir_all(parent)?;
    }
    report::write(&document, &head, &[section])?;
    console::step("Wrote", document.display());
    Ok(())
}

/// Sends each message once, on so many connections.
pub(super) fn turn(address: SocketAddr, messages: &[Message], at_a_time: usize) -> Result<Turn> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let latencies = thread::scope(|scope| {
        let connections: Vec<_> = (0..at_a_time)
            .map(|_| scope.spawn(|| send(address, messages, &next)))
            .collect();
        let mut all = Vec::new();
        for connection in connections {
            let own = connection.join();
            all.extend(own.map_err(|_| anyhow!("a thread of the load panicked"))??);
        }
        anyhow::Ok(all)
    })?;
    Ok(Turn {
        took: began.elapsed(),
        latencies: sorted(&latencies),
        bytes: None,
    })
}

/// What no other connection has sent yet; returns milliseconds.
fn send(address: SocketAddr, messages: &[Message], next: &AtomicUsize) -> Result<Vec<f64>> {
    let mut connection = Connection::open(address)?;
    let mut latencies = Vec::new();
    while let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        connection.exchange(message)?;
        latencies.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(latencies)
}

/// Cut from the demo's recordings.
fn recordings(tools: &Tools, count: usize) -> Result<Vec<Vec<f32>>> {
    let all = speech::recordings(tools)?.concat();
    Ok(cut_from(&all, count))
}

/// So many recordings of all lengths, cut one behind the other.
pub(super) fn cut_from(all: &[f32], count: usize) -> Vec<Vec<f32>> {
    let mut from = 0;
    let mut cut = |seconds: f64| {
        let count = (seconds * RATE as f64) as usize;
        let samples = all.iter().copied().cycle().skip(from).take(count).collect();
        from = (from + count) % all.len().max(1);
        samples
    };
    lengths(count).into_iter().map(&mut cut).collect()
}

/// Seconds of audio: exponential between the limits, spread so evenly that the first few are like all.
pub(super) fn lengths(count: usize) -> Vec<f64> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let cut = 1.0 - (-(MOST_SECONDS - LEAST_SECONDS) / SCALE).exp();
    let share = |number: usize| ((number as f64 + 0.5) * GOLDEN).fract();
    let length = |number| LEAST_SECONDS - SCALE * (1.0 - cut * share(number)).ln();
    (0..count).map(length).collect()
}

pub(super) fn seconds(recordings: &[Vec<f32>]) -> f64 {
    recordings.iter().map(Vec::len).sum::<usize>() as f64 / RATE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_as_long_as_said() {
        for count in [24, 60, 1000] {
            let all = lengths(count);
            let mean = all.iter().sum::<f64>() / count as f64;
            assert!((mean - 5.0).abs() < 0.3, "{count}: {mean}");
            let range = LEAST_SECONDS..=MOST_SECONDS;
            assert!(all.iter().all(|each| range.contains(each)));
            assert!(all.iter().any(|&each| each > 12.0));
        }
    }
}
