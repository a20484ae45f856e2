//! Models of the published sizes on the device: how much audio they take, beside ONNX Runtime alone.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::bare;
use super::kit::Kit;
use super::machine::in_use;
use super::options::{Device, Options};
use crate::console;
use crate::message::Message;
use crate::models::TOP;
use crate::plot::{Axis, Series};
use crate::real_size::{cut_from, seconds, turn};
use crate::repo::Kind;
use crate::report::{Chart, Section, Table, Target, Wanted, short};
use crate::speech::request;
use crate::stats::percentile;
use crate::tools::address_of;

/// Rows of a call of ONNX Runtime alone.
const ROWS: [usize; 3] = [1, 8, 32];
/// What a pipeline must reach of the best that ONNX Runtime does by itself.
const SHARE: f64 = 0.8;

/// A way to serve a model.
struct Served {
    kind: Kind,
    top: &'static str,
    /// The directory of the export.
    export: &'static str,
    scores: bool,
    pipelines: bool,
    label: &'static str,
}

const fn served(kind: Kind, export: &'static str, label: &'static str) -> Served {
    Served {
        kind,
        top: match kind {
            Kind::Sensevoice => TOP[0],
            _ => TOP[1],
        },
        export,
        scores: false,
        pipelines: true,
        label,
    }
}

const SERVED: [Served; 7] = [
    served(Kind::Sensevoice, "sensevoice", "SenseVoice, pipeline"),
    Served {
        pipelines: false,
        ..served(Kind::Sensevoice, "sensevoice", "SenseVoice, ensemble")
    },
    Served {
        scores: true,
        ..served(
            Kind::Sensevoice,
            "sensevoice",
            "SenseVoice, pipeline, scores",
        )
    },
    Served {
        scores: true,
        pipelines: false,
        ..served(
            Kind::Sensevoice,
            "sensevoice",
            "SenseVoice, ensemble, scores",
        )
    },
    served(
        Kind::Sensevoice,
        "sensevoice-fp16",
        "SenseVoice, pipeline, fp16",
    ),
    served(Kind::Paraformer, "paraformer", "Paraformer, pipeline"),
    Served {
        pipelines: false,
        ..served(Kind::Paraformer, "paraformer", "Paraformer, ensemble")
    },
];

pub(super) fn run(kit: &Kit, options: &Options) -> Result<Section> {
    let samples: Vec<f32> = kit
        .recordings()?
        .into_iter()
        .flat_map(|each| each.1)
        .collect();
    let recordings = cut_from(&samples, if options.quick { 48 } else { 192 });
    let at_a_time: &[usize] = if options.quick {
        &[1, 16, 64]
    } else {
        &[1, 4, 16, 64]
    };
    let audio = seconds(&recordings);
    let mut section = Section::new(
        "Speed",
        format!(
            "Models of the published sizes with random weights. {} recordings of 1 to 20 s, {:.1} s on average, each sent once, the next one \
             when an answer has come; the better of two turns. ONNX Runtime alone gets the features ready-made, its outputs stay on the \
             device, and its rows are of similar lengths.",
            recordings.len(),
            audio / recordings.len() as f64,
        ),
    );
    let mut table = Table::new(
        "Seconds of audio in a second:",
        &[
            "",
            "at a time",
            "audio s/s",
            "p50, ms",
            "p99, ms",
            "GPU memory, MB",
        ],
    );
    let mut series = Vec::new();
    let mut alone: Vec<(&str, f64)> = Vec::new();
    for served in &SERVED {
        let Some(from) = kit.real_size(served.export) else {
            console::warn(format!(
                "the kit has no real-size/{}: left out",
                served.export
            ));
            continue;
        };
        let repository = served.repository(options, from)?;
        let is_first = alone.iter().all(|(export, _)| *export != served.export);
        if is_first {
            console::step(
                "Measuring",
                format!("ONNX Runtime alone, {}", served.export),
            );
            let took = bare::measure(kit, &repository, &recordings, &ROWS, options.device)?;
            for (rows, seconds) in ROWS.iter().zip(&took) {
                table.rows.push(vec![
                    format!("ONNX Runtime alone, {}, rows of a call:", served.export),
                    rows.to_string(),
                    short(audio / seconds),
                    "–".to_owned(),
                    "–".to_owned(),
                    "–".to_owned(),
                ]);
            }
            let best = took
                .iter()
                .map(|seconds| audio / seconds)
                .fold(0.0, f64::max);
            alone.push((served.export, best));
        }
        let server = kit.serve(options, &repository, served.pipelines)?;
        let address = address_of(&server)?;
        let messages: Vec<Message> = recordings
            .iter()
            .map(|samples| request(served.kind, served.top, samples))
            .collect();
        console::step("Measuring", served.label);
        // Kernels are loaded, and memory is allocated for each length.
        turn(address, &messages, 16)?;
        let mut points = Vec::new();
        for &count in at_a_time {
            let mut best = turn(address, &messages, count)?;
            let again = turn(address, &messages, count)?;
            if again.took < best.took {
                best = again;
            }
            let speed = audio / best.took.as_secs_f64();
            console::step("", format!("{count} at a time: {} s/s", short(speed)));
            points.push((count as f64, speed));
            table.rows.push(vec![
                served.label.to_owned(),
                count.to_string(),
                short(speed),
                short(percentile(&best.latencies, 0.5)),
                short(percentile(&best.latencies, 0.99)),
                in_use().map_or("–".to_owned(), |(memory, _)| short(memory)),
            ]);
        }
        let fastest = points.iter().map(|point| point.1).fold(0.0, f64::max);
        if served.pipelines && !served.scores {
            let best = alone.iter().find(|(export, _)| *export == served.export);
            section.targets.push(Target {
                what: format!(
                    "{}: its best / the best of ONNX Runtime alone",
                    served.label
                ),
                wanted: Wanted::AtLeast(SHARE),
                measured: fastest / best.map_or(f64::NAN, |best| best.1),
                why: "",
            });
        }
        series.push(Series {
            name: served.label.to_owned(),
            points,
        });
    }
    if series.is_empty() {
        bail!("the kit has no models of the published sizes");
    }
    section.tables.push(table);
    section.charts.push(Chart {
        file: "speed",
        title: format!("Audio in a second, on {:?}", options.device),
        axes: (
            Axis::linear("requests at a time"),
            Axis::linear("audio (s/s)"),
        ),
        series,
    });
    Ok(section)
}

impl Served {
    fn repository(&self, options: &Options, from: PathBuf) -> Result<PathBuf> {
        let device: Device = options.device;
        Kit::of_one(options, "speed", self.kind, from, |common| {
            common.device = Some(device.of_repository());
            common.keep_logits = self.scores;
        })
    }
}
