//! What was measured, as tables and targets.

use super::forms::{Form, Measured, Row, TOGETHER};
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
            "times ONNX Runtime alone",
            "p50 / p99, ms",
            "rows per call of the encoder",
        ],
    );
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
            with_range(&measured.beside(row, &[Form::Alone])),
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
            measured: measured.least(form, others),
            why: "",
        });
    }
}

const ENSEMBLE: Form = Form::Served("");
const PIPELINE_FORM: Form = Form::Served(PIPELINE);
const SHERPA: [Form; 2] = [Form::Sherpa(1), Form::Sherpa(TOGETHER)];

impl Measured {
    /// Seconds of audio in a second, of each turn.
    fn speeds(&self, row: &Row) -> Vec<f64> {
        let turns = row.turns.iter();
        turns
            .map(|turn| self.audio / turn.took.as_secs_f64())
            .collect()
    }

    /// A row's throughput over the best of other forms in the same round: the machine is another one from minute to minute.
    fn beside(&self, row: &Row, others: &[Form]) -> Vec<f64> {
        let others: Vec<Vec<f64>> = self
            .rows
            .iter()
            .filter(|other| other.at_a_time == row.at_a_time && others.contains(&other.form))
            .map(|other| self.speeds(other))
            .collect();
        let own = self.speeds(row).into_iter().enumerate();
        own.map(|(round, own)| {
            let best = others.iter().map(|other| other[round]);
            own / best.fold(0.0, f64::max)
        })
        .collect()
    }

    /// The least of a form's ratios, medians over rounds.
    fn least(&self, form: Form, others: &[Form]) -> f64 {
        let rows = self.rows.iter().filter(|row| row.form == form);
        rows.map(|row| median(&self.beside(row, others)))
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
        // Of the ensemble there is nothing. Medians of 10/12, 10/12, 30/12 and of 12/10, 12/15, 12/15; of 15/12 and of 10/10, 10/15, 10/15.
        let expected = [f64::INFINITY, 12.0 / 15.0, 10.0 / 15.0];
        for (measured, expected) in measured.iter().zip(expected) {
            assert!(
                *measured == expected || (measured - expected).abs() < 1e-9,
                "{measured} {expected}"
            );
        }
        let best_sherpa = section.targets.last().map(super::Target::met);
        assert_eq!(best_sherpa, Some(false));
    }
}
