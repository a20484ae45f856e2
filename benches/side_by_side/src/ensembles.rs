//! Whole ensembles and pipelines around the same ONNX models, asked with the demo's recordings.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Pace;
use super::load::{Connection, Measured, drive};
use super::message::Message;
use super::report::{Section, Table, short};
use super::speech::{self, request, transcript};
use super::stats::{median, with_range};
use crate::repo::Kind;

/// The server counts a request when it has answered it.
const SETTLING: Duration = Duration::from_millis(300);

/// The forms of a model, by the beginning of their names.
pub(super) const FORMS: [(&str, &str); 3] = [
    ("native ensemble", ""),
    ("native pipeline", "pipeline_"),
    ("Python ensemble", "python_"),
];
/// Place of the form that ratios refer to.
const PYTHON: usize = 2;

/// A recogniser of whole recordings.
struct Recogniser {
    kind: Kind,
    model: &'static str,
    encoder: &'static str,
}

const RECOGNISERS: [Recogniser; 2] = [
    Recogniser {
        kind: Kind::Sensevoice,
        model: "sensevoice",
        encoder: "sensevoice_encoder",
    },
    Recogniser {
        kind: Kind::Paraformer,
        model: "infer_pipeline",
        encoder: "paraformer_encoder",
    },
];

impl Recogniser {
    /// What a form calls: a pipeline has an encoder of its own.
    fn encoder(&self, form: &str) -> String {
        match form {
            "pipeline_" => format!("{form}{}", self.encoder),
            _ => self.encoder.to_owned(),
        }
    }

    fn scripts(
        &self,
        form: &str,
        recordings: &[Vec<f32>],
        connections: usize,
    ) -> Vec<Vec<Message>> {
        let model = format!("{form}{}", self.model);
        let messages: Vec<_> = recordings
            .iter()
            .map(|samples| request(self.kind, &model, samples))
            .collect();
        (0..connections)
            .map(|at| {
                let mut own = messages.clone();
                own.rotate_left(at % messages.len());
                own
            })
            .collect()
    }

    /// Both ensembles say the same.
    fn check(&self, address: SocketAddr, recordings: &[Vec<f32>]) -> Result<()> {
        let mut connection = Connection::open(address)?;
        for (at, samples) in recordings.iter().enumerate() {
            let mut text = |form| {
                let message = request(self.kind, &format!("{form}{}", self.model), samples);
                transcript(&mut connection, &message)
            };
            let (native, python) = (text("")?, text("python_")?);
            if native != python || native.is_empty() {
                bail!(
                    "{}: recording {at} is \"{native}\" natively and \"{python}\" in Python",
                    self.model
                );
            }
        }
        Ok(())
    }
}

/// Measures the ensembles.
pub(super) fn run(address: SocketAddr, recordings: &[Vec<f32>], pace: Pace) -> Result<Section> {
    let mut section = Section::new(
        "Ensembles and pipelines",
        "Native steps, Python steps and the pipeline around the same ONNX model and ONNX Runtime, in one server. Requests are the \
         demo's recordings (1 to 3.4 s) and, for the long ones, 10 s of them, in the request's body as clients send them. The demo's \
         encoders are small: with real ones the encoder's share grows, and the steps' shrinks.",
    );
    for recogniser in &RECOGNISERS {
        pace.tell(&format!("{}: answers", recogniser.model));
        recogniser.check(address, recordings)?;
        let short_ones = ("recordings", recordings.to_vec());
        let long = ("10 s", vec![speech::of_seconds(recordings, 10)]);
        let mut table = Table::new(
            format!("`{}`:", recogniser.model),
            &[
                "",
                "at a time",
                "form",
                "p50 / p95 / p99, ms",
                "requests/s",
                "times Python's",
            ],
        );
        for (label, recordings) in [&short_ones, &long] {
            for &connections in pace.concurrencies {
                pace.tell(&format!(
                    "{}: {label}, {connections} at a time",
                    recogniser.model
                ));
                compare(
                    address,
                    recogniser,
                    (label, recordings),
                    connections,
                    pace,
                    (&mut table, &mut section),
                )?;
            }
        }
        section.tables.push(table);
        shares(
            address,
            recogniser,
            &[&short_ones, &long],
            pace,
            &mut section,
        )?;
    }
    Ok(section)
}

fn compare(
    address: SocketAddr,
    recogniser: &Recogniser,
    (label, recordings): (&str, &[Vec<f32>]),
    connections: usize,
    pace: Pace,
    (table, section): (&mut Table, &mut Section),
) -> Result<()> {
    let scripts = FORMS.map(|(_, form)| recogniser.scripts(form, recordings, connections));
    let mut rounds: [Vec<Measured>; 3] = Default::default();
    for _ in 0..pace.rounds {
        for (scripts, measured) in scripts.iter().zip(&mut rounds) {
            measured.push(drive(address, scripts, pace.window)?);
        }
    }
    for ((name, _), measured) in FORMS.iter().zip(&rounds) {
        let latency = |share: f64| {
            let each: Vec<_> = measured
                .iter()
                .map(|round| round.percentile(share))
                .collect();
            short(median(&each))
        };
        let throughputs: Vec<_> = measured.iter().map(|round| round.throughput).collect();
        let ratios: Vec<_> = measured
            .iter()
            .zip(&rounds[PYTHON])
            .map(|(one, python)| one.throughput / python.throughput)
            .collect();
        let first = [
            label.to_owned(),
            connections.to_string(),
            (*name).to_owned(),
        ];
        let rest = [
            [0.5, 0.95, 0.99].map(latency).join(" / "),
            short(median(&throughputs)),
            with_range(&ratios),
        ];
        table.rows.push(first.into_iter().chain(rest).collect());
        if connections > 1 && *name != FORMS[PYTHON].0 {
            section.ratios.insert(
                format!(
                    "{}, {label}, {name}: throughput of {connections} / Python",
                    recogniser.model
                ),
                median(&ratios),
            );
        }
    }
    Ok(())
}

/// Nanoseconds and number of a model's requests so far: from arrival to answer.
fn spent(connection: &mut Connection, model: &str) -> Result<(f64, f64)> {
    let statistics = connection.json("GET", &format!("/v2/models/{model}/stats"))?;
    let success = &statistics["model_stats"][0]["inference_stats"]["success"];
    let number = |key: &str| success[key].as_f64();
    number("ns")
        .zip(number("count"))
        .with_context(|| format!("no statistics of {model}: {}", Value::clone(success)))
}

/// Rows and executions of a model so far, once all answers are counted.
pub(super) fn executions(address: SocketAddr, model: &str) -> Result<(f64, f64)> {
    std::thread::sleep(SETTLING);
    let statistics =
        Connection::open(address)?.json("GET", &format!("/v2/models/{model}/stats"))?;
    let model_stats = &statistics["model_stats"][0];
    let number = |key: &str| model_stats[key].as_f64().unwrap_or(0.0);
    Ok((number("inference_count"), number("execution_count")))
}

/// How much of a request's time is not the encoder's, by the server's own statistics, one request at a time.
fn shares(
    address: SocketAddr,
    recogniser: &Recogniser,
    lengths: &[&(&str, Vec<Vec<f32>>)],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let mut table = Table::new(
        format!(
            "`{}`, one at a time, by the server's statistics:",
            recogniser.model
        ),
        &[
            "",
            "form",
            "request, ms",
            "encoder, ms",
            "outside the encoder, ms",
            "share outside",
        ],
    );
    for (label, recordings) in lengths.iter().copied() {
        let mut outside = Vec::new();
        for (name, form) in FORMS {
            let scripts = recogniser.scripts(form, recordings, 1);
            let top = format!("{form}{}", recogniser.model);
            let encoder = recogniser.encoder(form);
            let mut connection = Connection::open(address)?;
            let mut look = || -> Result<[(f64, f64); 2]> {
                std::thread::sleep(SETTLING);
                Ok([
                    spent(&mut connection, &top)?,
                    spent(&mut connection, &encoder)?,
                ])
            };
            let before = look()?;
            drive(address, &scripts, pace.window)?;
            let after = look()?;
            let [whole, encoder] = [0, 1].map(|at| {
                let (time, count) = (after[at].0 - before[at].0, after[at].1 - before[at].1);
                time / count / 1e6
            });
            outside.push(whole - encoder);
            table.rows.push(vec![
                (*label).to_owned(),
                name.to_owned(),
                short(whole),
                short(encoder),
                short(whole - encoder),
                format!("{:.0} %", (1.0 - encoder / whole) * 100.0),
            ]);
        }
        section.ratios.insert(
            format!(
                "{}, {label}: time outside the encoder, Python / native ensemble",
                recogniser.model
            ),
            outside[PYTHON] / outside[0],
        );
    }
    section.tables.push(table);
    Ok(())
}
