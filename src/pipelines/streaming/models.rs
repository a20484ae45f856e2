//! What is the same for all streams of the model: front end, sizes, vocabulary, and the models to call.

use asr_decode::cif::CifOptions;
use triton_backend::{Error, ModelContext};
use wav_frontend::stream::StreamFrontend;
use wav_frontend::windows::WindowSizes;

use crate::pipelines::options::{ENCODER, calls_in_flight};
use crate::steps::cif_search::{DECODER, cif_options};
use crate::steps::paraformer_scoring::TokenDecoder;
use crate::tensors::audio;
use crate::tensors::options::{Configured, ENCODER_OUTPUT_SIZE, config_value};
use crate::tensors::parameters::{Count, Parameter, Table};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "streaming_paraformer",
    lines: &[
        &DECODER,
        &CALLS_IN_FLIGHT,
        &WINDOWS_PER_TURN,
        &TAIL_PADDING_MS,
        &ENCODER_OUTPUT_SIZE,
        &DECODER_CACHES,
        &DECODER_CACHE_FRAMES,
    ],
};

pub(super) const CALLS_IN_FLIGHT: Parameter<Count> = calls_in_flight(2);

const DECODER_CACHES: Configured<usize> = Configured {
    parameter: Parameter::new(
        "decoder_caches",
        "the decoder's caches: inputs `in_cache_0`…, outputs `out_cache_0`…",
    )
    .default(16),
    section: "decoder_conf",
    key: "att_layer_num",
};
const DECODER_CACHE_FRAMES: Parameter<usize> =
    Parameter::new("decoder_cache_frames", "columns of a cache")
        .otherwise("`kernel_size` of config.yaml's `decoder_conf` less 1, else 10");
const WINDOWS_PER_TURN: Parameter<Count> = Parameter::new(
    "windows_per_turn",
    "windows (600 ms) that a stream may have computed before others get their turn",
)
.default(4);
const TAIL_PADDING_MS: Parameter<f64> =
    Parameter::new("tail_padding_ms", "silence appended at the end of a stream")
        .default(240.0)
        .within("from 0 to 10000", |ms| (0.0..=10_000.0).contains(ms));

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
        let kernel = config_value::<usize>(context, "decoder_conf", "kernel_size")?;
        Ok(Self {
            count: DECODER_CACHES.read(context)?,
            frames: DECODER_CACHE_FRAMES
                .find(context)?
                .or(kernel.map(|kernel| kernel.saturating_sub(1)))
                .unwrap_or(10),
        })
    }
}

impl Models {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let frontend = StreamFrontend::new(audio::frontend(context)?)
            .with_positions(ENCODER_OUTPUT_SIZE.read(context)?)
            .map_err(|error| Error::Config(error.to_string()))?;
        let cif = cif_options(context)?;
        let options = frontend.frontend().options();
        let tail_padding_ms = TAIL_PADDING_MS.read(context)?;
        Ok(Self {
            windows: WindowSizes::from(cif.chunk_size),
            tail_padding: (tail_padding_ms / 1000.0 * f64::from(options.sample_rate)) as usize,
            windows_per_turn: WINDOWS_PER_TURN.read(context)?,
            caches: CacheShape::load(context)?,
            encoder: ENCODER.read(context)?,
            decoder: DECODER.read(context)?,
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
