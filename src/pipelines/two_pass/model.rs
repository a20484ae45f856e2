//! What is the same for all streams.

use std::sync::Arc;

use triton_backend::{Call, Caller, Error, ModelContext};

use super::defaults::{Others, Said};
use super::options::Options;
use super::result::check_outputs;
use super::segmenter::Sizes;
use super::session::Called;
use crate::pipelines::options::Door;
use crate::pipelines::segments::{RESULT_JSON, of_samples};
use crate::pool::Pool;
use crate::tensors::audio::{AudioReader, Names};

/// They copy samples and write documents; the models called have threads of their own.
const THREADS: usize = 2;

/// What is the same for all streams.
pub(super) struct Model {
    pub(super) options: Options,
    pub(super) reader: AudioReader,
    pub(super) door: Door,
    pub(super) others: Others,
    pub(super) vad: Arc<Called>,
    pub(super) first_pass: Arc<Called>,
    /// For the models without sequences.
    pub(super) caller: Caller,
    /// Work on answers.
    pub(super) pool: Pool,
}

impl Model {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let config = &context.config;
        if !config.batches() {
            let message = "max_batch_size is at least 1 here, as in the models called".to_owned();
            return Err(Error::Config(message));
        }
        check_outputs(config)?;
        let options = Options::load(context)?;
        let names = &Names::PIPELINE;
        Ok(Self {
            reader: AudioReader::of_chunks(context, options.rate, usize::MAX, names)?,
            door: Door::load(context, options.rate)?,
            others: Others::load(context)?,
            vad: Called::new(context, options.vad.clone())?,
            first_pass: Called::new(context, options.first_pass.clone())?,
            caller: Caller::new(context)?,
            pool: Pool::new(THREADS)?,
            options,
        })
    }

    /// How much audio is held.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            rate: self.options.rate,
            max_segment_ms: self.options.max_segment_ms,
            lookback_ms: self.options.lookback_ms,
        }
    }

    /// The recogniser's call for a segment.
    pub(super) fn second_pass(&self, samples: &[f32], said: &Said) -> Result<Call, Error> {
        let call = of_samples(&self.options.recogniser, samples)?.output(RESULT_JSON);
        Ok(self.others.add_to(call, said))
    }
}
