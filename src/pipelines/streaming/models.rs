//! What is the same for all streams of the model: front end, sizes, vocabulary, and the models to call.

use asr_decode::cif::CifOptions;
use triton_backend::{Error, ModelContext, info};
use wav_frontend::stream::StreamFrontend;
use wav_frontend::windows::WindowSizes;

use crate::pipelines::callee::Callee;
use crate::pipelines::options::{self, calls_in_flight};
use crate::steps::cif_search::{DECODER, cif_options};
use crate::steps::decoded::{Asked, DECODER_OUTPUTS};
use crate::steps::paraformer_scoring::TokenDecoder;
use crate::steps::stream_clock::StreamClock;
use crate::tensors::audio;
use crate::tensors::options::{Configured, ENCODER_OUTPUT_SIZE, config_value, unusable};
use crate::tensors::outputs::Outputs;
use crate::tensors::parameters::{Count, Parameter, Table};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "streaming_paraformer",
    lines: &[
        &DECODER,
        &DECODER_OUTPUTS,
        &CALLS_IN_FLIGHT,
        &WINDOWS_PER_TURN,
        &TAIL_PADDING_MS,
        &ENCODER_OUTPUT_SIZE,
        &DECODER_CACHES,
        &DECODER_CACHE_FRAMES,
    ],
};

/// Of a model with a GPU. What comes while one call is computed shares the next: more calls would only be emptier.
pub(super) const LEAST_CALLS_IN_FLIGHT: usize = 2;
pub(super) const CALLS_IN_FLIGHT: Parameter<Count> =
    calls_in_flight("the called model's instances, twice as many where it has a GPU");

const DECODER_CACHES: Configured<usize> = Configured {
    parameter: Parameter::new(
        "decoder_caches",
        "the decoder's caches: inputs `in_cache_0`…, outputs `out_cache_0`…",
    )
    .default(16)
    .within("from 1 to 1024", |count| (1..=1024).contains(count)),
    section: "decoder_conf",
    key: "att_layer_num",
};
const DECODER_CACHE_FRAMES: Parameter<usize> =
    Parameter::new("decoder_cache_frames", "columns of a cache")
        .otherwise("`kernel_size` of config.yaml's `decoder_conf` less 1, else 10")
        .within("from 1 to 1024", CACHE_FRAMES);
const CACHE_FRAMES: fn(&usize) -> bool = |frames| (1..=1024).contains(frames);
const WINDOWS_PER_TURN: Parameter<Count> = Parameter::new(
    "windows_per_turn",
    "windows (600 ms) that a stream may have computed before others get their turn; no more than `max_rows_per_call` and the encoder's \
     `max_batch_size`, since they are rows of one call",
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
    /// As the parameter has it.
    windows_per_turn: usize,
    /// The most rows of a call, as far as the called models allow them.
    most_rows: usize,
    pub(super) caches: CacheShape,
    pub(super) encoder: Callee,
    pub(super) decoder: Callee,
    /// What the decoder is asked for.
    pub(super) asked: Asked,
    /// When a stream's frames are.
    pub(super) clock: StreamClock,
}

/// The decoder's caches: tensors `[hidden, frames]`.
pub(super) struct CacheShape {
    pub(super) frames: usize,
    /// The outputs that they come from, one each.
    pub(super) outputs: Vec<String>,
}

impl CacheShape {
    /// The values of a cache.
    pub(super) fn size(&self, hidden: usize) -> usize {
        hidden * self.frames
    }

    /// From parameters, or the decoder's sizes in the model's config.yaml, or those of the published model.
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let (section, key) = ("decoder_conf", "kernel_size");
        let kernel = config_value::<usize>(context, section, key)?;
        let frames = match (DECODER_CACHE_FRAMES.find(context)?, kernel) {
            (Some(frames), _) => frames,
            (None, Some(kernel)) => {
                let frames = kernel.saturating_sub(1);
                if !CACHE_FRAMES(&frames) {
                    return Err(unusable(section, key, &kernel.to_string()));
                }
                frames
            }
            (None, None) => 10,
        };
        let count = DECODER_CACHES.read(context)?;
        Ok(Self {
            outputs: (0..count)
                .map(|index| format!("out_cache_{index}"))
                .collect(),
            frames,
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
        let needs = Outputs::of(&context.config)?.needs();
        let (decoder, asked) = (DECODER.read(context)?, Asked::load(context, needs)?);
        let tensors = asked.tensors();
        info!("model '{}' asks '{decoder}' for {tensors}", context.name);
        let tail_padding_ms = TAIL_PADDING_MS.read(context)?;
        Ok(Self {
            windows: WindowSizes::from(cif.chunk_size),
            tail_padding: (tail_padding_ms / 1000.0 * f64::from(options.sample_rate)) as usize,
            windows_per_turn: WINDOWS_PER_TURN.read(context)?,
            most_rows: options::max_rows_per_call(context)?,
            caches: CacheShape::load(context)?,
            encoder: options::encoder(context)?,
            decoder: Callee::new(context, decoder),
            asked,
            clock: StreamClock::of(cif.chunk_size),
            tokens: TokenDecoder::load(context)?,
            frontend,
            cif,
        })
    }

    /// Asks the server about the models to call, as [`Callee::learn`] does.
    pub(super) fn learn(&self) {
        self.encoder.learn();
        self.decoder.learn();
    }

    /// The most rows of a call of one of the models.
    pub(super) fn most_rows(&self, callee: &Callee) -> usize {
        let allowed = callee.traits().most_rows.unwrap_or(usize::MAX);
        self.most_rows.min(allowed)
    }

    /// Windows that a stream may have computed before others get their turn: they are rows of one call.
    pub(super) fn windows_per_turn(&self) -> usize {
        self.windows_per_turn.min(self.most_rows(&self.encoder))
    }

    /// The samples of a window.
    pub(super) fn samples_per_window(&self) -> usize {
        let options = self.frontend.frontend().options();
        self.windows.centre * options.lfr_n * options.frame_shift_samples()
    }

    /// The samples of a turn's windows.
    pub(super) fn samples_per_turn(&self) -> usize {
        self.windows_per_turn() * self.samples_per_window()
    }
}
