//! Component `paraformer`: the whole of offline Paraformer, with the encoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS` in, `TRANSCRIPTS` out.

use std::sync::Arc;

use triton_backend::{Call, Error, ModelContext, Reply, Request};

use crate::component::Component;
use crate::paraformer_scoring::TokenDecoder;
use crate::pipeline::{Pipeline, Recogniser};
use crate::scoring::{Decoder, Scores};

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Pipeline::load(
        context,
        Paraformer {
            decoder: TokenDecoder::load(context)?,
        },
    )
}

struct Paraformer {
    decoder: TokenDecoder,
}

impl Recogniser for Paraformer {
    type Extra = ();
    /// The predictor's convolution sees what lies behind a row's end, which can change its last token.
    const PADDING_PERCENT: f64 = 0.0;

    fn extras(&self, _: &Request, rows: usize) -> Result<Vec<()>, Error> {
        Ok(vec![(); rows])
    }

    fn complete(&self, call: Call, _: &[()]) -> Call {
        call.output(TokenDecoder::SCORES)
            .output(TokenDecoder::COUNTS)
    }

    fn texts(&self, reply: &Reply) -> Result<Vec<String>, Error> {
        self.decoder
            .texts(&Scores::of_reply::<TokenDecoder>(reply)?)
    }

    /// ONNX Runtime refuses to decode no tokens; that is how the model says that it heard nothing.
    fn means_silence(&self, error: &Error) -> bool {
        let message = error.to_string();
        ["Invalid input shape: {0}"]
            .iter()
            .any(|words| message.contains(words))
    }
}
