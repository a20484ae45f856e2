//! What a model found to text: what the scoring components and the ends of the pipelines have in common.

use std::sync::Arc;

use asr_decode::{Best, Transcript};
use triton_backend::{Batch, DataType, Error, ModelContext, Reply, Request, Response, guard, info};

use crate::component::{Component, Worker};
use crate::steps::found::{Found, Names, Row, as_fault_of};
use crate::tensors::form::{Form, TOKEN_IDS};
use crate::tensors::layout::Layout;
use crate::tensors::layout::{check_tensor, check_type};
use crate::tensors::outputs::Outputs;

/// What makes text of what was found in one row.
pub(crate) trait Decoder: Send + Sync + 'static {
    /// What it reads.
    const NAMES: Names;

    /// Scores of a step: one for each unit.
    fn width(&self) -> usize;

    /// What was heard in the steps that count, by their scores `[steps, width]`.
    fn of_scores(
        &self,
        scores: &[f32],
        steps: usize,
    ) -> Result<Transcript, Box<dyn std::error::Error>>;

    /// What was heard in the steps that count, by the best unit of each.
    fn of_best(
        &self,
        best: &Best<'_>,
        steps: usize,
    ) -> Result<Transcript, Box<dyn std::error::Error>>;

    /// What was heard in each row, or what is wrong with it.
    fn transcripts(&self, found: &Found<'_>) -> Result<Vec<Result<Transcript, Error>>, Error> {
        let width = self.width();
        found.check_width(width, &Self::NAMES)?;
        let heard = |row| {
            let (own, steps) = found.row(row, width)?;
            let (name, heard) = match &own {
                Row::Scores(scores) => (Self::NAMES.scores, self.of_scores(scores, steps)),
                Row::Best(best) => (TOKEN_IDS, self.of_best(best, steps)),
            };
            heard.map_err(|error| found.wrong(name, row, &error))
        };
        Ok((0..found.rows()).map(heard).collect())
    }

    /// The same for what the model called `encoder` answered. What does not fit is that model's fault and no client's.
    fn transcripts_of_reply(
        &self,
        reply: &Reply,
        form: Form,
        encoder: &str,
    ) -> Result<Vec<Result<Transcript, Error>>, Error> {
        let found = Found::of_reply(reply, form, &Self::NAMES, encoder);
        let heard = found.and_then(|found| self.transcripts(&found));
        heard.map_err(|error| as_fault_of(encoder, error))
    }
}

/// A scoring component: what a decoder heard as the outputs that the config lists.
pub(crate) struct Scoring<D> {
    /// The model's name.
    model: String,
    decoder: D,
    form: Form,
    layout: Layout,
    outputs: Outputs,
}

impl<D: Decoder> Scoring<D> {
    /// The component, if the config has the tensors that `decoder` needs.
    pub(crate) fn load(context: &ModelContext, decoder: D) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let (width, names) = (decoder.width(), D::NAMES);
        let form = Form::of_inputs(config, names.scores)?;
        if form == Form::Scores {
            check_tensor(
                config.input(names.scores)?,
                DataType::Fp32,
                &[None, Some(width)],
            )
            .map_err(|error| error.context(format_args!("there are {width} {}", names.units)))?;
        }
        check_type(config.input(names.counts)?, DataType::Int32)?;
        info!(
            "model '{}' takes {}",
            context.name,
            form.tensors(names.scores)
        );
        Ok(Arc::new(Self {
            model: context.name.clone(),
            form,
            layout: Layout {
                batched: config.batches(),
            },
            outputs: Outputs::of(config)?,
            decoder,
        }))
    }

    fn score(&self, request: &Request) -> Result<Response, Error> {
        let found = Found::of_request(request, self.form, &D::NAMES, self.layout, &self.model)?;
        // Texts are copied into the response once: the server gives memory for them when their size is known.
        let heard = self.decoder.transcripts(&found)?;
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
