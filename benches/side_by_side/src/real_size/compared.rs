//! Forms side by side: all take turns, round by round.

use anyhow::Result;

use crate::Pace;
use crate::partner::Turn;
use crate::stats::median;

/// A way to have recordings transcribed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// ONNX Runtime with nothing around it.
    Alone,
    /// A model of the server, by the beginning of its name.
    Served(&'static str),
    /// So many recordings a call.
    Sherpa(usize),
}

/// Forms with their names, as they are compared.
pub(super) type Forms<'f> = &'f [(Form, &'static str)];

/// What came of a model in all forms.
pub(super) struct Compared {
    /// Seconds of audio of a turn.
    pub(super) audio: f64,
    pub(super) rows: Vec<Row>,
}

/// What came of a form, so many at a time.
pub(super) struct Row {
    pub(super) form: Form,
    pub(super) name: &'static str,
    pub(super) at_a_time: usize,
    pub(super) turns: Vec<Turn>,
    /// Rows of a call of the encoder, where they are counted.
    pub(super) filled: Option<f64>,
}

impl Compared {
    /// Lets each form take its turn, with so many at a time, in each round. `counts` are rows and calls of a form's encoder so far.
    pub(super) fn by_turns(
        model: &str,
        audio: f64,
        forms: Forms<'_>,
        pace: Pace<'_>,
        counts: impl Fn(Form) -> Result<Option<(f64, f64)>>,
        mut turn: impl FnMut(Form, usize) -> Result<Turn>,
    ) -> Result<Self> {
        let mut rows = Vec::new();
        let all_counts =
            || -> Result<Vec<_>> { forms.iter().map(|(form, _)| counts(*form)).collect() };
        for &at_a_time in pace.concurrencies {
            let first = rows.len();
            rows.extend(forms.iter().map(|&(form, name)| Row {
                form,
                name,
                at_a_time,
                turns: Vec::new(),
                filled: None,
            }));
            let before = all_counts()?;
            for round in 0..pace.rounds {
                for row in &mut rows[first..] {
                    let (round, name) = (round + 1, row.name);
                    pace.tell(&format!(
                        "{model}: {at_a_time} at a time, round {round}, {name}"
                    ));
                    row.turns.push(turn(row.form, at_a_time)?);
                }
            }
            let after = all_counts()?;
            for (row, (before, after)) in rows[first..].iter_mut().zip(before.iter().zip(&after)) {
                row.filled =
                    before
                        .zip(*after)
                        .map(|((rows, calls), (rows_after, calls_after))| {
                            (rows_after - rows) / (calls_after - calls)
                        });
            }
        }
        Ok(Self { audio, rows })
    }

    /// Seconds of audio in a second, of each turn.
    pub(super) fn speeds(&self, row: &Row) -> Vec<f64> {
        let turns = row.turns.iter();
        turns
            .map(|turn| self.audio / turn.took.as_secs_f64())
            .collect()
    }

    /// A row's throughput over the best of other forms in the same round: the machine is another one from minute to minute.
    pub(super) fn beside(&self, row: &Row, others: &[Form]) -> Vec<f64> {
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
    pub(super) fn least(&self, form: Form, others: &[Form]) -> f64 {
        let rows = self.rows.iter().filter(|row| row.form == form);
        rows.map(|row| median(&self.beside(row, others)))
            .fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
    fn a_form_is_compared_with_the_better_of_the_others_round_by_round() {
        let pipeline = Form::Served("pipeline_");
        let compared = Compared {
            audio: 60.0,
            rows: vec![
                row(Form::Alone, 1, [10, 10, 30]),
                row(Form::Sherpa(1), 1, [15, 15, 15]),
                row(Form::Sherpa(4), 1, [20, 20, 20]),
                row(pipeline, 1, [12, 12, 12]),
                row(Form::Alone, 4, [12, 12, 12]),
                row(Form::Sherpa(1), 4, [20, 20, 20]),
                row(Form::Sherpa(4), 4, [10, 10, 10]),
                row(pipeline, 4, [10, 15, 15]),
            ],
        };
        let sherpa = [Form::Sherpa(1), Form::Sherpa(4)];
        // Medians of 10/12, 10/12, 30/12 and of 12/10, 12/15, 12/15; of 15/12 and of 10/10, 10/15, 10/15. Of the ensemble there is nothing.
        for (form, others, expected) in [
            (pipeline, &[Form::Alone][..], 12.0 / 15.0),
            (pipeline, &sherpa, 10.0 / 15.0),
        ] {
            let least = compared.least(form, others);
            assert!((least - expected).abs() < 1e-9, "{least} {expected}");
        }
        assert_eq!(compared.least(Form::Served(""), &sherpa), f64::INFINITY);
    }
}
