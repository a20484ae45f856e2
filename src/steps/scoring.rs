//! What a model found to text: what the scoring components and the ends of the pipelines have in common.

use std::sync::Arc;

use asr_decode::Transcript;
use triton_backend::{Batch, DataType, Error, ModelContext, Reply, Request, Response, guard, info};

use crate::component::{Component, Worker};
use crate::steps::found::{Found, Names, Row, Units, Wanted, as_fault_of};
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

    /// What was heard in a row.
    fn heard(&self, row: &Row<'_>) -> Result<Transcript, Box<dyn std::error::Error>>;

    /// What was heard in each row, or what is wrong with it.
    fn transcripts(&self, found: &Found<'_>) -> Result<Vec<Result<Transcript, Error>>, Error> {
        let width = self.width();
        found.check_width(width, &Self::NAMES)?;
        let heard = |row| {
            let own = found.row(row, width)?;
            self.heard(&own).map_err(|error| {
                let name = match own.units {
                    Units::Scores(_) => Self::NAMES.scores,
                    Units::Best(_) => TOKEN_IDS,
                };
                found.wrong(name, row, &error)
            })
        };
        Ok((0..found.rows()).map(heard).collect())
    }

    /// The same for what the model called `encoder` answered for rows of so many frames. What does not fit is that model's fault and no client's.
    fn transcripts_of_reply(
        &self,
        reply: &Reply,
        wanted: Wanted,
        frames: &[usize],
        encoder: &str,
    ) -> Result<Vec<Result<Transcript, Error>>, Error> {
        let found = Found::of_reply(reply, wanted, &Self::NAMES, frames, encoder);
        let heard = found.and_then(|found| self.transcripts(&found));
        heard.map_err(|error| as_fault_of(encoder, error))
    }
}

/// A scoring component: what a decoder heard as the outputs that the config lists.
pub(crate) struct Scoring<D> {
    /// The model's name.
    model: String,
    decoder: D,
    wanted: Wanted,
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
        let outputs = Outputs::of(config)?.of_recordings()?.without_audio()?;
        let listed = |name: &str| config.input.iter().any(|input| input.name == name);
        let times = names.tell_times(outputs.needs().times, |tensor| match listed(tensor) {
            true => None,
            false => Some(format!(
                "'{tensor}', which the config does not list as an input"
            )),
        })?;
        let tells = if times { ", and when it was said" } else { "" };
        info!(
            "model '{}' takes {}{tells}",
            context.name,
            form.tensors(names.scores)
        );
        Ok(Arc::new(Self {
            model: context.name.clone(),
            wanted: Wanted { form, times },
            layout: Layout {
                batched: config.batches(),
            },
            outputs,
            decoder,
        }))
    }

    fn score(&self, request: &Request) -> Result<Response, Error> {
        let found = Found::of_request(request, self.wanted, &D::NAMES, self.layout, &self.model)?;
        // Texts are copied into the response once: the server gives memory for them when their size is known.
        let heard = self.decoder.transcripts(&found)?;
        let heard: Vec<Transcript> = heard.into_iter().collect::<Result<_, _>>()?;
        self.outputs.respond(request, &heard, &[])
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
