//! What a model found in some rows, in either form, as a request brings it or a called model answers it.

use std::borrow::Cow;

use asr_decode::{Best, BestError};
use triton_backend::{Error, Reply, Request};

use crate::tensors::form::{Form, TOKEN_IDS, TOKEN_LOG_PROBS};
use crate::tensors::layout::Layout;

/// What the tensors of a kind of model are called, and what is in them.
pub(crate) struct Names {
    /// The tensor of scores, `[rows, steps, width]`.
    pub(crate) scores: &'static str,
    /// The tensor that says how many steps of each row count.
    pub(crate) counts: &'static str,
    /// What a step is, in the plural.
    pub(crate) steps: &'static str,
    /// What the scores of a step are for.
    pub(crate) units: &'static str,
}

/// What a model found in some rows.
///
/// Values are where the server put them, unless that is several buffers, GPU memory or an address that the type does not have: then
/// they are a copy, since a row is looked at as one slice.
pub(crate) struct Found<'a> {
    /// Whose it is, for errors.
    pub(crate) of: String,
    what: What<'a>,
    steps: usize,
    /// Steps of each row that count.
    counts: Vec<usize>,
}

enum What<'a> {
    Scores {
        shape: &'a [i64],
        values: Cow<'a, [f32]>,
        width: usize,
    },
    Best {
        ids: Cow<'a, [i32]>,
        log_probs: Cow<'a, [f32]>,
    },
}

/// The steps of a row that count.
pub(crate) enum Row<'a> {
    /// `[steps, width]`
    Scores(&'a [f32]),
    Best(Best<'a>),
}

/// A tensor of a request or of an answer.
struct Tensor<'a, T: Clone>(&'a [i64], Cow<'a, [T]>);

impl<'a> Found<'a> {
    /// What a request brings.
    pub(crate) fn of_request(
        request: &'a Request,
        form: Form,
        names: &Names,
        layout: Layout,
        model: &str,
    ) -> Result<Self, Error> {
        let of = format!("model '{model}': input");
        let floats = |name: &str| {
            let input = request.input(name)?;
            Ok(Tensor(input.shape(), input.read::<f32>()?))
        };
        let integers = |name: &str| {
            let input = request.input(name)?;
            Ok(Tensor(input.shape(), input.read::<i32>()?))
        };
        Self::read(of, form, names, layout, &floats, &integers)
    }

    /// What a called model answered.
    pub(crate) fn of_reply(
        reply: &'a Reply,
        form: Form,
        names: &Names,
        encoder: &str,
    ) -> Result<Self, Error> {
        let of = output_of(encoder);
        let floats = |name: &str| {
            let output = reply.output(name)?;
            Ok(Tensor(output.shape, output.read::<f32>()?))
        };
        let integers = |name: &str| {
            let output = reply.output(name)?;
            Ok(Tensor(output.shape, output.read::<i32>()?))
        };
        let layout = Layout { batched: true };
        Self::read(of, form, names, layout, &floats, &integers)
    }

    fn read(
        of: String,
        form: Form,
        names: &Names,
        layout: Layout,
        floats: &dyn Fn(&str) -> Result<Tensor<'a, f32>, Error>,
        integers: &dyn Fn(&str) -> Result<Tensor<'a, i32>, Error>,
    ) -> Result<Self, Error> {
        let (name, rows, steps, what) = match form {
            Form::Scores => {
                let Tensor(shape, values) = floats(names.scores)?;
                let expected = format!("{}, {}", names.steps, names.units);
                let (rows, [steps, width]) = layout.rows(names.scores, shape, &expected)?;
                let what = What::Scores {
                    shape,
                    values,
                    width,
                };
                (names.scores, rows, steps, what)
            }
            Form::Ids => {
                let Tensor(shape, ids) = integers(TOKEN_IDS)?;
                let (rows, [steps]) = layout.rows(TOKEN_IDS, shape, names.steps)?;
                let Tensor(of_logs, log_probs) = floats(TOKEN_LOG_PROBS)?;
                if of_logs != shape {
                    return Err(Error::Shape {
                        name: TOKEN_LOG_PROBS.to_owned(),
                        got: of_logs.to_vec(),
                        expected: format!("{shape:?}, the shape of '{TOKEN_IDS}'"),
                    });
                }
                (TOKEN_IDS, rows, steps, What::Best { ids, log_probs })
            }
        };
        let Tensor(shape, counts) = integers(names.counts)?;
        let most = format!("{} in the row of '{name}'", names.steps);
        let counts = layout.lengths(names.counts, shape, &counts, rows, (0, steps), &most)?;
        Ok(Self {
            of,
            what,
            steps,
            counts,
        })
    }

    /// An error if there are not `width` scores a step.
    pub(crate) fn check_width(&self, width: usize, names: &Names) -> Result<(), Error> {
        let (steps, units) = (names.steps, names.units);
        match &self.what {
            What::Scores {
                shape,
                width: given,
                ..
            } if *given != width => Err(Error::Shape {
                name: names.scores.to_owned(),
                got: shape.to_vec(),
                expected: format!(
                    "{width} scores in each of the {steps}: one for each of the {units}"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.counts.len()
    }

    /// The steps of a row that count, and how many they are; there are `width` units.
    pub(crate) fn row(&self, row: usize, width: usize) -> Result<(Row<'_>, usize), Error> {
        let count = self.counts[row];
        let own = match &self.what {
            What::Scores { values, width, .. } => {
                Row::Scores(&values[row * self.steps * width..][..count * width])
            }
            What::Best { ids, log_probs } => {
                let first = row * self.steps;
                let best = Best::new(&ids[first..][..count], &log_probs[first..][..count], width);
                Row::Best(best.map_err(|error| {
                    let name = match error {
                        BestError::Unknown { .. } => TOKEN_IDS,
                        _ => TOKEN_LOG_PROBS,
                    };
                    self.wrong(name, row, &error)
                })?)
            }
        };
        Ok((own, count))
    }

    /// An error about a row.
    pub(crate) fn wrong(&self, name: &str, row: usize, error: &dyn std::fmt::Display) -> Error {
        let of = &self.of;
        Error::internal(format!("{of} '{name}', row {row}: {error}"))
    }
}

/// What does not fit in an answer is the fault of the model called `encoder`, and no client's.
pub(crate) fn as_fault_of(encoder: &str, error: Error) -> Error {
    let of = output_of(encoder);
    Error::internal(match error {
        Error::Shape {
            name,
            got,
            expected,
        } => format!("{of} '{name}' has shape {got:?}, expected {expected}"),
        Error::Input { name, message } => format!("{of} '{name}': {message}"),
        other => return other,
    })
}

fn output_of(encoder: &str) -> String {
    format!("model '{encoder}': output")
}
