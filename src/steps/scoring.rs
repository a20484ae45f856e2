//! Scores to text: what the scoring components and the ends of the pipelines have in common.

use std::borrow::Cow;
use std::sync::Arc;

use asr_decode::Transcript;
use triton_backend::{Batch, DataType, Error, ModelContext, Reply, Request, Response, guard};

use crate::component::{Component, Worker};
use crate::tensors::layout::Layout;
use crate::tensors::layout::{check_tensor, check_type};
use crate::tensors::outputs::Outputs;

/// What makes text of one row's scores.
pub(crate) trait Decoder: Send + Sync + 'static {
    /// The tensor of scores, `[rows, steps, width]`.
    const SCORES: &'static str;
    /// The tensor that says how many steps of each row count.
    const COUNTS: &'static str;
    /// What a step is, in the plural.
    const STEPS: &'static str;
    /// What the scores of a step are for.
    const UNITS: &'static str;

    /// Scores of a step: one for each unit.
    fn width(&self) -> usize;

    /// What was heard in the steps that count, `[steps, width]`.
    fn transcript(
        &self,
        scores: &[f32],
        steps: usize,
    ) -> Result<Transcript, Box<dyn std::error::Error>>;

    /// What was heard in each row, or what is wrong with it.
    fn transcripts(&self, scores: &Scores<'_>) -> Result<Vec<Result<Transcript, Error>>, Error> {
        if scores.width != self.width() {
            return Err(Error::Shape {
                name: Self::SCORES.to_owned(),
                got: scores.shape.to_vec(),
                expected: format!(
                    "{} scores in each of the {}: one for each of the {}",
                    self.width(),
                    Self::STEPS,
                    Self::UNITS
                ),
            });
        }
        let rows = scores.counts.iter().enumerate();
        let heard = rows.map(|(row, &count)| {
            self.transcript(scores.own(row), count).map_err(|error| {
                let (of, name) = (&scores.of, Self::SCORES);
                Error::internal(format!("{of} '{name}', row {row}: {error}"))
            })
        });
        Ok(heard.collect())
    }

    /// The same for what the model called `encoder` answered. What does not fit is that model's fault and no client's.
    fn transcripts_of_reply(
        &self,
        reply: &Reply,
        encoder: &str,
    ) -> Result<Vec<Result<Transcript, Error>>, Error>
    where
        Self: Sized,
    {
        let scores = Scores::of_reply::<Self>(reply, encoder);
        let heard = scores.and_then(|scores| self.transcripts(&scores));
        heard.map_err(|error| {
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
        })
    }
}

fn output_of(encoder: &str) -> String {
    format!("model '{encoder}': output")
}

/// The scores of some rows.
pub(crate) struct Scores<'a> {
    /// Whose they are, for errors.
    of: String,
    shape: &'a [i64],
    /// Where the server put them, unless that is several buffers, GPU memory or an address that no `f32` has: then a copy,
    /// since a row is looked at as one slice.
    values: Cow<'a, [f32]>,
    steps: usize,
    width: usize,
    /// Steps of each row that count.
    counts: Vec<usize>,
}

impl<'a> Scores<'a> {
    /// What a request brings.
    fn of_request<D: Decoder>(
        request: &'a Request,
        layout: Layout,
        model: &str,
    ) -> Result<Self, Error> {
        let (scores, counts) = (request.input(D::SCORES)?, request.input(D::COUNTS)?);
        let counts = (counts.shape(), counts.read::<i32>()?);
        let of = format!("model '{model}': input");
        Self::new::<D>(of, layout, scores.shape(), scores.read::<f32>()?, counts)
    }

    /// What a called model answered.
    fn of_reply<D: Decoder>(reply: &'a Reply, encoder: &str) -> Result<Self, Error> {
        let (scores, counts) = (reply.output(D::SCORES)?, reply.output(D::COUNTS)?);
        let counts = (counts.shape, counts.read::<i32>()?);
        Self::new::<D>(
            output_of(encoder),
            Layout { batched: true },
            scores.shape,
            scores.read::<f32>()?,
            counts,
        )
    }

    fn new<D: Decoder>(
        of: String,
        layout: Layout,
        shape: &'a [i64],
        values: Cow<'a, [f32]>,
        (counts_shape, counts): (&[i64], Cow<'_, [i32]>),
    ) -> Result<Self, Error> {
        let expected = format!("{}, {}", D::STEPS, D::UNITS);
        let (rows, [steps, width]) = layout.rows(D::SCORES, shape, &expected)?;
        let what = format!("{} in the row of '{}'", D::STEPS, D::SCORES);
        let counts = layout.lengths(D::COUNTS, counts_shape, &counts, rows, (0, steps), &what)?;
        Ok(Self {
            of,
            shape,
            values,
            steps,
            width,
            counts,
        })
    }

    /// The steps of a row that count.
    fn own(&self, row: usize) -> &[f32] {
        &self.values[row * self.steps * self.width..][..self.counts[row] * self.width]
    }
}

/// A scoring component: what a decoder heard as the outputs that the config lists.
pub(crate) struct Scoring<D> {
    /// The model's name.
    model: String,
    decoder: D,
    layout: Layout,
    outputs: Outputs,
}

impl<D: Decoder> Scoring<D> {
    /// The component, if the config has the tensors that `decoder` needs.
    pub(crate) fn load(context: &ModelContext, decoder: D) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let width = decoder.width();
        check_tensor(
            config.input(D::SCORES)?,
            DataType::Fp32,
            &[None, Some(width)],
        )
        .map_err(|error| error.context(format_args!("there are {width} {}", D::UNITS)))?;
        check_type(config.input(D::COUNTS)?, DataType::Int32)?;
        Ok(Arc::new(Self {
            model: context.name.clone(),
            layout: Layout {
                batched: config.batches(),
            },
            outputs: Outputs::of(config)?,
            decoder,
        }))
    }

    fn score(&self, request: &Request) -> Result<Response, Error> {
        let scores = Scores::of_request::<D>(request, self.layout, &self.model)?;
        // Texts are copied into the response once: the server gives memory for them when their size is known.
        let heard = self.decoder.transcripts(&scores)?;
        let heard: Vec<Transcript> = heard.into_iter().collect::<Result<_, _>>()?;
        let mut response = request.response()?;
        self.outputs
            .write(&mut response, |name| request.wants(name), &heard)?;
        Ok(response)
    }
}

impl<D: Decoder> Component for Scoring<D> {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl<D: Decoder> Worker for Arc<Scoring<D>> {
    fn execute(&mut self, batch: Batch) {
        batch.compute_starts();
        let outcomes: Vec<_> = batch
            .requests()
            .iter()
            .map(|request| guard(|| self.score(request)))
            .collect();
        batch.compute_ends();
        batch.finish(outcomes);
    }
}
