//! What is the same for all streams of the model: front end, sizes, vocabulary, and the models to call.

use std::num::NonZeroUsize;

use asr_decode::cif::CifOptions;
use triton_backend::{Error, ModelContext};
use wav_frontend::stream::StreamFrontend;
use wav_frontend::windows::WindowSizes;

use crate::steps::cif_search::cif_options;
use crate::steps::paraformer_scoring::TokenDecoder;
use crate::tensors::audio;
use crate::tensors::options::{config_value, option};

/// What is the same for all streams.
pub(super) struct Models {
    pub(super) frontend: StreamFrontend,
    pub(super) windows: WindowSizes,
    pub(super) cif: CifOptions,
    /// Only its vocabulary and way of joining: the decoder model picks the tokens.
    pub(super) tokens: TokenDecoder,
    /// Samples of silence appended at the end of a stream.
    pub(super) tail_padding: usize,
    /// Windows that a stream may have computed before others get their turn.
    pub(super) windows_per_turn: usize,
    pub(super) caches: CacheShape,
    pub(super) encoder: String,
    pub(super) decoder: String,
}

/// The decoder's caches: `count` tensors `[hidden, frames]`.
pub(super) struct CacheShape {
    pub(super) count: usize,
    pub(super) frames: usize,
}

impl CacheShape {
    /// From parameters, or the decoder's sizes in the model's config.yaml, or those of the published model.
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let decoder_conf = |key| ("config_path", "decoder_conf", key);
        let count = option(context, "decoder_caches", decoder_conf("att_layer_num"))?;
        let kernel = config_value::<usize>(context, decoder_conf("kernel_size"))?;
        let frames = context.config.parameters.get("decoder_cache_frames")?;
        Ok(Self {
            count: count.unwrap_or(16),
            frames: frames
                .or(kernel.map(|kernel| kernel.saturating_sub(1)))
                .unwrap_or(10),
        })
    }
}

impl Models {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let parameters = &context.config.parameters;
        let encoder_conf = |key| ("config_path", "encoder_conf", key);
        let size =
            option(context, "encoder_output_size", encoder_conf("output_size"))?.unwrap_or(512);
        let frontend = StreamFrontend::new(audio::frontend(context)?)
            .with_positions(size)
            .map_err(|error| Error::Config(error.to_string()))?;
        let cif = cif_options(context)?;
        let options = frontend.frontend().options();
        let tail_padding_ms: f64 = parameters.get("tail_padding_ms")?.unwrap_or(240.0);
        if !(0.0..=10_000.0).contains(&tail_padding_ms) {
            let message = format!("{tail_padding_ms} is not from 0 to 10000");
            return Err(Error::parameter("tail_padding_ms", message));
        }
        let windows_per_turn = parameters.get::<NonZeroUsize>("windows_per_turn")?;
        Ok(Self {
            windows: WindowSizes::from(cif.chunk_size),
            tail_padding: (tail_padding_ms / 1000.0 * f64::from(options.sample_rate)) as usize,
            windows_per_turn: windows_per_turn.map_or(4, NonZeroUsize::get),
            caches: CacheShape::load(context)?,
            encoder: parameters.text("encoder").unwrap_or("encoder").to_owned(),
            decoder: parameters.text("decoder").unwrap_or("decoder").to_owned(),
            tokens: TokenDecoder::load(context)?,
            frontend,
            cif,
        })
    }

    /// The samples of a turn's windows.
    pub(super) fn samples_per_turn(&self) -> usize {
        let options = self.frontend.frontend().options();
        self.windows_per_turn * self.windows.centre * options.lfr_n * options.frame_shift_samples()
    }
}
