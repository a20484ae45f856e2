//! Component `paraformer`: the whole of offline Paraformer, with the encoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS` in, `TRANSCRIPTS` out.

use std::sync::Arc;

use triton_backend::{Error, ModelContext, Request, info};

use crate::component::Component;
use crate::pipelines::offline::{OfflinePipeline, Recogniser, max_padding_percent};
use crate::steps::paraformer_scoring::TokenDecoder;
use crate::steps::scoring::Decoder;
use crate::tensors::parameters::{Parameter, Table};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "paraformer",
    lines: &[
        &Paraformer::MAX_PADDING_PERCENT,
        &SERVES_SILENCE,
        &ENCODER_TIMES,
    ],
};

const SERVES_SILENCE: Parameter<bool> = Parameter::new(
    "encoder_serves_silence",
    "true: the encoder answers a row in which it finds no token, alone and beside others, with a `token_num` of 0. \
     `triton-funasr repo` makes the encoder so and sets it",
)
.default(false);

const ENCODER_TIMES: Parameter<bool> = Parameter::new(
    "encoder_times",
    "true: the encoder has the outputs `us_alphas` and `us_cif_peak`, which tell when words were said. `triton-funasr repo --outputs` \
     sets it where the export has them",
)
.default(false);

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let serves_silence = SERVES_SILENCE.read(context)?;
    info!(
        "model '{}': {} is {serves_silence}: {}",
        context.name,
        SERVES_SILENCE.name(),
        if serves_silence {
            "rows share calls of the encoder"
        } else {
            "each row is a call of the encoder of its own, since one without words fails the others of its call"
        }
    );
    OfflinePipeline::load(
        context,
        Paraformer {
            decoder: TokenDecoder::load(context)?,
            serves_silence,
            times: ENCODER_TIMES.read(context)?,
        },
    )
}

struct Paraformer {
    decoder: TokenDecoder,
    serves_silence: bool,
    /// The encoder tells when words were said.
    times: bool,
}

impl Recogniser for Paraformer {
    type Decoder = TokenDecoder;
    type Extra = ();
    /// The predictor's convolution sees what lies behind a row's end, which can change its last token.
    const MAX_PADDING_PERCENT: Parameter<f64> = max_padding_percent(0.0);

    fn extras(&self, _: &Request, rows: usize) -> Result<Vec<()>, Error> {
        Ok(vec![(); rows])
    }

    fn decoder(&self) -> &TokenDecoder {
        &self.decoder
    }

    fn lacks(&self, tensor: &str) -> Option<String> {
        let told = self.times || !TokenDecoder::NAMES.times.contains(&tensor);
        (!told).then(|| {
            let parameter = ENCODER_TIMES.name();
            format!("the encoder's output '{tensor}', but parameter '{parameter}' is not true")
        })
    }

    fn rows_go_alone(&self) -> bool {
        !self.serves_silence
    }

    /// ONNX Runtime refuses to decode no tokens: that is how an encoder as it was exported says that it heard nothing.
    fn means_silence(&self, error: &Error) -> bool {
        !self.serves_silence && error.to_string().contains("Invalid input shape: {0}")
    }
}
