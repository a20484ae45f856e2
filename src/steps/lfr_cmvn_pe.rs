//! Component `lfr_cmvn_pe`: log-mel windows to what a streaming encoder takes.
//!
//! `chunk_xs` FP32 `[1, 61, 80]` with the states `cache` FP32 `[1, 10, 560]` and `offset` INT32 `[1, 1]`, which the server
//! keeps, becomes `chunk_xs_out` FP32 `[1, 20, 560]`, `chunk_xs_out_len` INT32 `[1, 1]` and the next states.

use std::sync::Arc;

use triton_backend::{Batch, DataType, Error, ModelConfig, ModelContext, Request, Response, guard};
use wav_frontend::lfr_cmvn_pe::{LfrCmvnPe as Step, LfrCmvnPeOptions};

use crate::component::{Component, Worker};
use crate::tensors::layout::dim;
use crate::tensors::layout::{check_tensor, check_type};
use crate::tensors::options::{
    CMVN_PATH_BESIDE, ENCODER_OUTPUT_SIZE, cmvn, frontend_error, frontend_options,
};
use crate::tensors::parameters::Table;

/// The parameters of this component, besides the front end's.
pub(crate) const PARAMETERS: Table = Table {
    name: "lfr_cmvn_pe",
    lines: &[&CMVN_PATH_BESIDE, &ENCODER_OUTPUT_SIZE],
};

/// The loaded component.
pub(crate) struct LfrCmvnPe {
    step: Step,
    /// Names under which the next states are kept.
    next_cache: String,
    next_offset: String,
}

/// One instance.
struct Stepper {
    component: Arc<LfrCmvnPe>,
    /// `[10, 560]`: computed here first, since the server may keep it where the old cache stands.
    cache: Vec<f32>,
}

impl LfrCmvnPe {
    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let frontend = frontend_options(context)?;
        let mut options = LfrCmvnPeOptions {
            num_mel_bins: frontend.num_mel_bins,
            lfr_m: frontend.lfr_m,
            lfr_n: frontend.lfr_n,
            ..LfrCmvnPeOptions::default()
        };
        let input = config.input("chunk_xs")?;
        check_tensor(input, DataType::Fp32, &[None, Some(options.num_mel_bins)])?;
        if let Some(frames) = input
            .backend_dims()
            .first()
            .and_then(|&frames| usize::try_from(frames).ok())
        {
            options.window_frames = frames;
        }
        options.encoder_output_size = ENCODER_OUTPUT_SIZE.read(context)?;
        let step = Step::new(options, cmvn(context, &CMVN_PATH_BESIDE)?)
            .map_err(|error| frontend_error(context, &error))?;
        let frame = [None, Some(step.feature_dim())];
        check_tensor(config.output("chunk_xs_out")?, DataType::Fp32, &frame)?;
        check_type(config.output("chunk_xs_out_len")?, DataType::Int32)?;
        Ok(Arc::new(Self {
            step,
            next_cache: state_output(config, "cache")?,
            next_offset: state_output(config, "offset")?,
        }))
    }
}

/// The output name of the state whose input is called `input`.
fn state_output(config: &ModelConfig, input: &str) -> Result<String, Error> {
    let states = config
        .sequence_batching
        .iter()
        .flat_map(|batching| &batching.state);
    states
        .into_iter()
        .find(|state| state.input_name == input)
        .map(|state| state.output_name.clone())
        .ok_or_else(|| {
            Error::Config(format!(
                "sequence_batching has no state with input_name '{input}'"
            ))
        })
}

impl Stepper {
    /// Computes one window; returns the response and the next offset.
    fn step(&mut self, request: &Request) -> Result<(Response, i32), Error> {
        let step = &self.component.step;
        let window = request.input("chunk_xs")?.read::<f32>()?;
        let cache = request.input("cache")?.read::<f32>()?;
        let offset = request.input("offset")?.read::<i32>()?;
        let &[offset] = &*offset else {
            return Err(Error::input(
                "offset",
                format!("has {} values, expected one", offset.len()),
            ));
        };
        let frames = step.output_frames();
        let mut response = request.response()?;
        let shape = [1, dim(frames), dim(step.feature_dim())];
        let out = response.output::<f32>("chunk_xs_out", &shape)?;
        let next = step
            .apply(&cache, offset, &window, out, &mut self.cache)
            .map_err(|error| Error::invalid(error.to_string()))?;
        response
            .output::<i32>("chunk_xs_out_len", &[1, 1])?
            .fill(i32::try_from(frames).unwrap_or(i32::MAX));
        Ok((response, next))
    }

    fn answer(&mut self, request: &mut Request) -> Result<Response, Error> {
        let (response, offset) = self.step(request)?;
        let LfrCmvnPe {
            step,
            next_cache,
            next_offset,
        } = &*self.component;
        let shape = [1, dim(step.frames()), dim(step.feature_dim())];
        request.set_state(next_cache, &shape, &self.cache)?;
        request.set_state(next_offset, &[1, 1], &[offset])?;
        Ok(response)
    }
}

impl Component for LfrCmvnPe {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        let cache = vec![0.0; self.step.frames() * self.step.feature_dim()];
        Box::new(Stepper {
            component: self,
            cache,
        })
    }
}

impl Worker for Stepper {
    fn execute(&mut self, mut batch: Batch) {
        batch.compute_starts();
        let outcomes: Vec<_> = batch
            .requests_mut()
            .iter_mut()
            .map(|request| guard(|| self.answer(request)))
            .collect();
        batch.compute_ends();
        batch.finish(outcomes);
    }
}
