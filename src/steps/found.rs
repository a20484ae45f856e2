//! What a model found in some rows, in either form, as a request brings it or a called model answers it.

use std::borrow::Cow;

use asr_decode::{Best, BestError};
use triton_backend::{Error, Reply, Request};

use crate::tensors::form::{Form, TOKEN_IDS, TOKEN_LOG_PROBS};
use crate::tensors::layout::Layout;
use crate::tensors::outputs::Times;

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
    /// The tensors, FP32 and each with a part for each row, that tell when the units were said.
    pub(crate) times: &'static [&'static str],
    /// The tensor that tells how many frames of audio a row has, INT32, if those tensors do not end with them.
    pub(crate) frames: Option<&'static str>,
}

impl Names {
    /// Whether it can and has to be told when units were said; `lacks` says what is wrong with a tensor that it takes.
    ///
    /// # Errors
    /// If an output needs it and a tensor is missing.
    pub(crate) fn tell_times(
        &self,
        times: Times,
        lacks: impl Fn(&str) -> Option<String>,
    ) -> Result<bool, Error> {
        let tensors = self.times.iter().chain(&self.frames);
        match (times, tensors.copied().find_map(lacks)) {
            (Times::Unused, _) | (Times::IfKnown, Some(_)) => Ok(false),
            (_, None) => Ok(true),
            (Times::Needed(output), Some(missing)) => Err(Error::Config(format!(
                "output '{output}' needs {missing}. Only some exports can tell when a word was said; `triton-funasr repo --outputs all` \
                 writes what this one can tell"
            ))),
        }
    }
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
    timing: Option<TimingOfAll<'a>>,
}

/// What tells when the units of all rows were said.
struct TimingOfAll<'a> {
    /// The values of each tensor, and how many of them each row has.
    tensors: Vec<(Cow<'a, [f32]>, usize)>,
    /// Frames of audio of each row; empty if nobody needs them.
    frames: Vec<usize>,
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

/// What was found in a row.
pub(crate) struct Row<'a> {
    pub(crate) units: Units<'a>,
    /// Steps that count.
    pub(crate) steps: usize,
    /// What tells when units were said, if that was asked for.
    pub(crate) timing: Option<Timing<'a>>,
}

/// The steps of a row that count.
pub(crate) enum Units<'a> {
    /// `[steps, width]`
    Scores(&'a [f32]),
    Best(Best<'a>),
}

/// What tells when a row's units were said.
pub(crate) struct Timing<'a> {
    /// The row's parts of [`Names::times`], with what they are padded with.
    pub(crate) tensors: Vec<&'a [f32]>,
    /// Frames of audio; 0 if nobody needs them.
    pub(crate) frames: usize,
}

/// What is read of a request or an answer.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) form: Form,
    /// Also what tells when units were said.
    pub(crate) times: bool,
}

/// A tensor of a request or of an answer.
struct Tensor<'a, T: Clone>(&'a [i64], Cow<'a, [T]>);

impl<'a> Found<'a> {
    /// What a request brings.
    pub(crate) fn of_request(
        request: &'a Request,
        wanted: Wanted,
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
        let mut found = Self::read(of, wanted, names, layout, &floats, &integers)?;
        if let (Some(timing), Some(name)) = (&mut found.timing, names.frames) {
            let Tensor(shape, frames) = integers(name)?;
            let most = (0, i32::MAX as usize);
            timing.frames =
                layout.lengths(name, shape, &frames, found.counts.len(), most, "frames")?;
        }
        Ok(found)
    }

    /// What a called model answered for rows of so many frames of audio.
    pub(crate) fn of_reply(
        reply: &'a Reply,
        wanted: Wanted,
        names: &Names,
        frames: &[usize],
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
        let mut found = Self::read(of, wanted, names, layout, &floats, &integers)?;
        if let Some(timing) = &mut found.timing {
            timing.frames = frames.to_vec();
        }
        Ok(found)
    }

    fn read(
        of: String,
        wanted: Wanted,
        names: &Names,
        layout: Layout,
        floats: &dyn Fn(&str) -> Result<Tensor<'a, f32>, Error>,
        integers: &dyn Fn(&str) -> Result<Tensor<'a, i32>, Error>,
    ) -> Result<Self, Error> {
        let (name, rows, steps, what) = match wanted.form {
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
        let tensor = |name: &&str| {
            let Tensor(shape, values) = floats(name)?;
            match values.len().checked_div(rows) {
                Some(row) if row * rows == values.len() => Ok((values, row)),
                _ => Err(Error::Shape {
                    name: (*name).to_owned(),
                    got: shape.to_vec(),
                    expected: format!("a part for each of {rows} rows"),
                }),
            }
        };
        let timing = wanted.times.then(|| {
            Ok::<_, Error>(TimingOfAll {
                tensors: names
                    .times
                    .iter()
                    .map(tensor)
                    .collect::<Result<_, Error>>()?,
                frames: Vec::new(),
            })
        });
        Ok(Self {
            of,
            what,
            steps,
            counts,
            timing: timing.transpose()?,
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

    /// What was found in a row; there are `width` units.
    pub(crate) fn row(&self, row: usize, width: usize) -> Result<Row<'_>, Error> {
        let count = self.counts[row];
        let units = match &self.what {
            What::Scores { values, width, .. } => {
                Units::Scores(&values[row * self.steps * width..][..count * width])
            }
            What::Best { ids, log_probs } => {
                let first = row * self.steps;
                let best = Best::new(&ids[first..][..count], &log_probs[first..][..count], width);
                Units::Best(best.map_err(|error| {
                    let name = match error {
                        BestError::Unknown { .. } => TOKEN_IDS,
                        _ => TOKEN_LOG_PROBS,
                    };
                    self.wrong(name, row, &error)
                })?)
            }
        };
        let timing = self.timing.as_ref().map(|timing| {
            let tensors = timing.tensors.iter();
            Timing {
                tensors: tensors
                    .map(|(values, size)| &values[row * size..][..*size])
                    .collect(),
                frames: timing.frames.get(row).copied().unwrap_or(0),
            }
        });
        Ok(Row {
            units,
            steps: count,
            timing,
        })
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
