//! `cargo xtask bench --real-size`: models of the published sizes, served, beside ONNX Runtime with nothing around it.
//!
//! There the encoder is nearly all of the work, and what counts is how much of the machine the server leaves it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use xtask::real_size::{self, RealSize};

use super::Pace;
use super::bare::{Bare, Turn};
use super::cases::RATE;
use super::ensembles::executions;
use super::load::Connection;
use super::message::Message;
use super::models::renamed;
use super::report::{self, Section, Table, Target, Wanted, short};
use super::speech::{self, request, transcript};
use super::stats::{median, percentile, sorted, with_range};
use super::tools::{Tools, address_of};
use crate::layout::Layout;
use crate::repo::{self, Kind};
use crate::{console, machine};

/// Recordings last from one second to twenty, most of them few.
const LEAST_SECONDS: f64 = 1.0;
const MOST_SECONDS: f64 = 20.0;
/// With this their mean is 5 s.
const SCALE: f64 = 4.2;
/// What a served form must reach of the best that ONNX Runtime does by itself.
const SHARE: f64 = 0.95;
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
const ENCODER: &str = "encoder";
/// Before the name of what the pipeline is made of, which lies beside the ensemble.
const PIPELINE: &str = "pipeline_";
/// Who is asked.
const FORMS: [&str; 3] = ["ONNX Runtime alone", "ensemble", "pipeline"];

/// Makes the models if need be, measures, prints, and writes a document.
pub(super) fn bench(layout: &Layout, quick: bool, command: &str) -> Result<()> {
    let exports = real_size::real_size(layout, &RealSize::of(&MODELS.map(|model| model.kind)))?;
    let tools = Tools::without_python_steps(layout)?;
    let head = machine::head(&tools, command);
    let bar = console::spinner_of("Measuring");
    let pace = Pace::of_real_size(quick, &bar);
    let recordings = recordings(&tools, pace.pick(60, 24))?;
    let mut section = Section::new(
        "Real sizes",
        format!(
            "Models of the published sizes with random weights. {} recordings of {LEAST_SECONDS} to {MOST_SECONDS} s, {:.1} s on average, each \
             sent once, the next one when an answer has come. ONNX Runtime alone gets the features ready-made and has the server's number \
             of threads. Forms take turns; figures are medians over turns.",
            recordings.len(),
            seconds(&recordings) / recordings.len() as f64,
        ),
    );
    for model in &MODELS {
        measure(&tools, &exports, model, &recordings, pace, &mut section)?;
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

fn measure(
    tools: &Tools,
    exports: &Path,
    model: &Model,
    recordings: &[Vec<f32>],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    pace.tell(&format!("{}: the repository", model.export));
    let repository = repository(tools, exports, model)?;
    pace.tell(&format!("{}: loading", model.export));
    let file = repository.join(ENCODER).join("1/model.onnx");
    let front_end = repository.join("feature_extractor");
    let mut bare = Bare::start(tools, &file, &front_end, recordings)?;
    let server = tools.serve(&repository, &[])?;
    let address = address_of(&server)?;
    let messages = ["", PIPELINE].map(|form| {
        let name = format!("{form}{}", model.top);
        let messages = recordings
            .iter()
            .map(|each| request(model.kind, &name, each));
        messages.collect::<Vec<Message>>()
    });
    check(address, &messages)?;
    let mut table = Table::new(
        format!("`{}`, ONNX Runtime {} alone:", model.top, bare.version),
        &[
            "at a time",
            "form",
            "audio s/s",
            "of the best alone",
            "p50 / p99, ms",
            "rows per call of the encoder",
        ],
    );
    let mut rows = Vec::new();
    for &at_a_time in pace.concurrencies {
        let mut turns: [Vec<Turn>; 3] = Default::default();
        let calls = |form| executions(address, &format!("{form}{ENCODER}"));
        let before = [calls("")?, calls(PIPELINE)?];
        for round in 0..pace.rounds {
            pace.tell(&format!(
                "{}: {at_a_time} at a time, round {}",
                model.export,
                round + 1
            ));
            turns[0].push(bare.turn(at_a_time)?);
            for (form, messages) in messages.iter().enumerate() {
                turns[form + 1].push(turn(address, messages, at_a_time)?);
            }
        }
        let after = [calls("")?, calls(PIPELINE)?];
        let filled = |form: usize| {
            let [(rows, calls), (rows_before, calls_before)] = [after[form], before[form]];
            short((rows - rows_before) / (calls - calls_before))
        };
        let filled = ["1.00".to_owned(), filled(0), filled(1)];
        rows.push((at_a_time, turns, filled));
    }
    let audio = seconds(recordings);
    let speeds = |turns: &[Turn]| -> Vec<f64> {
        let each = turns.iter().map(|turn| audio / turn.took.as_secs_f64());
        each.collect()
    };
    let best = |form: usize| {
        let each = rows
            .iter()
            .map(|(_, turns, _)| median(&speeds(&turns[form])));
        each.fold(0.0, f64::max)
    };
    for (at_a_time, turns, filled) in &rows {
        for ((name, turns), filled) in FORMS.iter().zip(turns).zip(filled) {
            let latency = |share| {
                let each = turns.iter().map(|turn| percentile(&turn.latencies, share));
                short(median(&each.collect::<Vec<_>>()))
            };
            table.rows.push(vec![
                at_a_time.to_string(),
                (*name).to_owned(),
                with_range(&speeds(turns)),
                short(median(&speeds(turns)) / best(0)),
                [0.5, 0.99].map(latency).join(" / "),
                filled.clone(),
            ]);
        }
    }
    section.tables.push(table);
    for form in [1, 2] {
        section.targets.push(Target {
            what: format!(
                "`{}`, {}: its best throughput / the best of ONNX Runtime alone",
                model.top, FORMS[form]
            ),
            wanted: Wanted::AtLeast(SHARE),
            measured: best(form) / best(0),
            why: "",
        });
    }
    Ok(())
}

/// The ensemble as `triton-funasr repo` makes it, and the pipeline beside it, each with an encoder of its own.
fn repository(tools: &Tools, exports: &Path, model: &Model) -> Result<PathBuf> {
    let target = tools.directory.join("real-size").join(model.export);
    crate::files::remove(&target)?;
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    repo::assemble(
        model.kind,
        &repo::Options {
            from: exports.join(model.export),
            common: repo::Common::new(target.clone()),
        },
    )?;
    for name in [ENCODER, model.top] {
        let (from, to) = (target.join(name), target.join(format!("{PIPELINE}{name}")));
        fs::create_dir_all(to.join("1"))?;
        let config = fs::read_to_string(from.join("configs/pipeline.pbtxt"))?;
        let (own, other) = (format!("\"{ENCODER}\""), format!("\"{PIPELINE}{ENCODER}\""));
        let config = config.replace(
            &format!("string_value: {own}"),
            &format!("string_value: {other}"),
        );
        let config = renamed(&config, &format!("{PIPELINE}{name}"));
        fs::write(to.join("config.pbtxt"), config)?;
        // Hundreds of megabytes: the same file.
        for file in fs::read_dir(from.join("1"))? {
            let file = file?;
            fs::hard_link(file.path(), to.join("1").join(file.file_name()))?;
        }
    }
    Ok(target)
}

/// Both forms say the same, before they are timed.
fn check(address: SocketAddr, messages: &[Vec<Message>; 2]) -> Result<()> {
    let mut connection = Connection::open(address)?;
    let [ensemble, pipeline] = messages;
    for (number, (ensemble, pipeline)) in ensemble.iter().zip(pipeline).take(4).enumerate() {
        let ensemble = transcript(&mut connection, ensemble)?;
        let pipeline = transcript(&mut connection, pipeline)?;
        if ensemble != pipeline {
            bail!(
                "recording {number} is \"{ensemble}\" from the ensemble and \"{pipeline}\" from the pipeline"
            );
        }
    }
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
