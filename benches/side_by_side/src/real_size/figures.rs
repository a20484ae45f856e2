//! What was measured, as tables and targets.

use super::forms::{Form, Measured, Row};
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
        rows,
        handed_over: [ids, scores],
        ..
    } = measured;
    let mut table = Table::new(
        format!("`{top}`; ONNX Runtime {onnx_runtime} alone, sherpa-onnx {sherpa}:"),
        &[
            "at a time",
            "",
            "audio s/s",
            "of the best alone",
            "p50 / p99, ms",
            "rows per call of the encoder",
        ],
    );
    let best_alone = measured.best(Form::Alone);
    for row in rows {
        let latency = |share| {
            let each = row
                .turns
                .iter()
                .map(|turn| percentile(&turn.latencies, share));
            short(median(&each.collect::<Vec<_>>()))
        };
        table.rows.push(vec![
            row.at_a_time.to_string(),
            row.name.to_owned(),
            with_range(&measured.speeds(row)),
            short(measured.speed(row) / best_alone),
            [0.5, 0.99].map(latency).join(" / "),
            row.filled.map_or_else(|| "–".to_owned(), short),
        ]);
    }
    section.tables.push(table);
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
    for (form, name) in [(Form::Served(""), "ensemble"), (PIPELINE_FORM, "pipeline")] {
        section.targets.push(Target {
            what: format!("`{top}`, {name}: its best throughput / the best of ONNX Runtime alone"),
            wanted: Wanted::AtLeast(SHARE),
            measured: measured.best(form) / best_alone,
            why: "",
        });
    }
    section.targets.push(Target {
        what: format!(
            "`{top}`, pipeline: throughput / the best of ONNX Runtime alone, least of all concurrencies"
        ),
        wanted: Wanted::AtLeast(SHARE),
        measured: measured.least(|row| row.form == PIPELINE_FORM, |_| best_alone),
        why: "",
    });
    section.targets.push(Target {
        what: format!(
            "`{top}`, pipeline: throughput / the better of sherpa-onnx's, least of all concurrencies"
        ),
        wanted: Wanted::AtLeast(1.0),
        measured: measured.least(
            |row| row.form == PIPELINE_FORM,
            |row| measured.best_sherpa(row.at_a_time),
        ),
        why: "",
    });
}

const PIPELINE_FORM: Form = Form::Served(PIPELINE);

impl Measured {
    /// Seconds of audio in a second, of each turn.
    fn speeds(&self, row: &Row) -> Vec<f64> {
        let turns = row.turns.iter();
        turns
            .map(|turn| self.audio / turn.took.as_secs_f64())
            .collect()
    }

    fn speed(&self, row: &Row) -> f64 {
        median(&self.speeds(row))
    }

    /// The best of a form at any concurrency.
    fn best(&self, form: Form) -> f64 {
        let rows = self.rows.iter().filter(|row| row.form == form);
        rows.map(|row| self.speed(row)).fold(0.0, f64::max)
    }

    fn best_sherpa(&self, at_a_time: usize) -> f64 {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.at_a_time == at_a_time && matches!(row.form, Form::Sherpa(_)));
        rows.map(|row| self.speed(row)).fold(0.0, f64::max)
    }

    /// The least ratio of a row's speed to that of another.
    fn least(&self, wanted: impl Fn(&Row) -> bool, other: impl Fn(&Row) -> f64) -> f64 {
        let rows = self.rows.iter().filter(|row| wanted(row));
        rows.map(|row| self.speed(row) / other(row))
            .fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::partner::Turn;

    fn row(form: Form, at_a_time: usize, seconds: [u64; 3]) -> Row {
        let turn = |seconds| Turn {
            took: Duration::from_secs(seconds),
            latencies: vec![1.0],
            bytes: None,
        };
        Row {
            form,
            name: "",
            at_a_time,
            turns: seconds.map(turn).into(),
            filled: None,
        }
    }

    #[test]
    fn a_pipeline_is_compared_with_the_better_of_the_others() {
        let measured = Measured {
            top: "sensevoice",
            versions: Default::default(),
            audio: 60.0,
            rows: vec![
                row(Form::Alone, 1, [10, 10, 30]),
                row(Form::Sherpa(1), 1, [15, 15, 15]),
                row(Form::Sherpa(4), 1, [20, 20, 20]),
                row(PIPELINE_FORM, 1, [12, 12, 12]),
                row(Form::Alone, 4, [12, 12, 12]),
                row(Form::Sherpa(1), 4, [20, 20, 20]),
                row(Form::Sherpa(4), 4, [10, 10, 10]),
                row(PIPELINE_FORM, 4, [10, 15, 15]),
            ],
            handed_over: [1000.0, 2000.0],
        };
        let mut section = Section::new("", "");
        add(&measured, &mut section);
        let measured: Vec<f64> = section
            .targets
            .iter()
            .map(|target| target.measured)
            .collect();
        let expected = [0.0, 10.0 / 12.0, 10.0 / 15.0, 10.0 / 15.0];
        for (measured, expected) in measured.iter().zip(expected) {
            assert!((measured - expected).abs() < 1e-9, "{measured} {expected}");
        }
        let best_sherpa = section.targets.last().map(super::Target::met);
        assert_eq!(best_sherpa, Some(false));
    }
}
