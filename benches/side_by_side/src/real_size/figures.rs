//! What was measured, as tables and targets.

use super::compared::{Compared, Form};
use super::forms::{Measured, TOGETHER};
use super::repository::PIPELINE;
use crate::report::{Section, Table, Target, Wanted, short};
use crate::stats::{median, percentile, with_range};

/// What a served form must reach of the best that ONNX Runtime does by itself.
const SHARE: f64 = 0.95;

/// Adds a model's figures.
pub(super) fn add(measured: &Measured, section: &mut Section) {
    let Measured {
        top,
        versions: [onnx_runtime, sherpa],
        compared,
        handed_over: [ids, scores],
    } = measured;
    section.tables.push(table(
        compared,
        format!("`{top}`; ONNX Runtime {onnx_runtime} alone, sherpa-onnx {sherpa}:"),
        ("times ONNX Runtime alone", &[Form::Alone]),
        "p50 / p99, ms",
    ));
    let mut table = Table::new(
        format!("What the encoder of `{top}` hands over for a second of audio:"),
        &["", "kB"],
    );
    for (name, bytes) in [("ids and their probabilities", ids), ("scores", scores)] {
        table
            .rows
            .push(vec![name.to_owned(), short(bytes / 1000.0)]);
    }
    section.tables.push(table);
    for (form, name, others, other, least) in [
        (
            ENSEMBLE,
            "ensemble",
            &[Form::Alone][..],
            "ONNX Runtime alone",
            SHARE,
        ),
        (
            PIPELINE_FORM,
            "pipeline",
            &[Form::Alone],
            "ONNX Runtime alone",
            SHARE,
        ),
        (
            PIPELINE_FORM,
            "pipeline",
            &SHERPA,
            "the better of sherpa-onnx's ways",
            1.0,
        ),
    ] {
        section.targets.push(Target {
            what: format!("`{top}`, {name}: throughput / {other}, least of all concurrencies"),
            wanted: Wanted::AtLeast(least),
            measured: compared.least(form, others),
            why: "",
        });
    }
}

const ENSEMBLE: Form = Form::Served("");
const PIPELINE_FORM: Form = Form::Served(PIPELINE);
const SHERPA: [Form; 2] = [Form::Sherpa(1), Form::Sherpa(TOGETHER)];

/// Adds the figures of a streaming model.
pub(super) fn add_streams(top: &str, compared: &Compared, sherpa: &str, section: &mut Section) {
    let others = &SHERPA[..1];
    section.tables.push(table(
        compared,
        format!("`{top}`, recordings in chunks of 600 ms; sherpa-onnx {sherpa}:"),
        ("times sherpa-onnx", others),
        "p50 / p99 of a chunk, ms",
    ));
    section.targets.push(Target {
        what: format!("`{top}`, pipeline: throughput / sherpa-onnx, least of all concurrencies"),
        wanted: Wanted::AtLeast(1.0),
        measured: compared.least(PIPELINE_FORM, others),
        why: "",
    });
}

/// A line for each form and concurrency, each beside the best of others.
fn table(
    compared: &Compared,
    caption: String,
    (beside, others): (&'static str, &[Form]),
    latencies: &'static str,
) -> Table {
    let columns = [
        "at a time",
        "",
        "audio s/s",
        beside,
        latencies,
        "rows per call of the encoder",
    ];
    let mut table = Table::new(caption, &columns);
    for row in &compared.rows {
        let latency = |share| {
            let turns = row.turns.iter();
            let each = turns.map(|turn| percentile(&turn.latencies, share));
            short(median(&each.collect::<Vec<_>>()))
        };
        table.rows.push(vec![
            row.at_a_time.to_string(),
            row.name.to_owned(),
            with_range(&compared.speeds(row)),
            with_range(&compared.beside(row, others)),
            [0.5, 0.99].map(latency).join(" / "),
            row.filled.map_or_else(|| "–".to_owned(), short),
        ]);
    }
    table
}
