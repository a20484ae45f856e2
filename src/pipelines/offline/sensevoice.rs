//! Component `sensevoice`: the whole of SenseVoice, with the encoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS`, `LANGUAGE`, `TEXT_NORM` in, `TRANSCRIPTS` out.

use std::sync::Arc;

use triton_backend::{Call, Error, ModelContext, Request};

use crate::component::Component;
use crate::pipelines::offline::{OfflinePipeline, Recogniser, max_padding_percent};
use crate::steps::ctc_scoring::CtcDecoder;
use crate::tensors::layout::dim;
use crate::tensors::parameters::{Parameter, Table};
use crate::tensors::prompt::{PROMPT_IDS, PromptInput};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "sensevoice",
    lines: &[&SenseVoice::MAX_PADDING_PERCENT, &PROMPT_IDS],
};

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    OfflinePipeline::load(
        context,
        SenseVoice {
            decoder: CtcDecoder::load(context)?,
            language: PromptInput::language(context, "LANGUAGE")?,
            text_norm: PromptInput::text_norm(context, "TEXT_NORM")?,
        },
    )
}

struct SenseVoice {
    decoder: CtcDecoder,
    language: PromptInput,
    text_norm: PromptInput,
}

/// What a row is told about itself, as ids.
#[derive(Clone, Copy, Default)]
struct Prompt {
    language: i32,
    text_norm: i32,
}

impl Recogniser for SenseVoice {
    type Decoder = CtcDecoder;
    type Extra = Prompt;
    const MAX_PADDING_PERCENT: Parameter<f64> =
        max_padding_percent("20 where the encoder runs on a GPU, 4 on a processor");
    /// The encoder masks what lies behind a row's end: padding changes nothing, but costs its share of the time on a processor.
    const PADDING_PERCENT: [f64; 2] = [20.0, 4.0];

    fn extras(&self, request: &Request, rows: usize) -> Result<Vec<Prompt>, Error> {
        let languages = self.language.read(request, rows)?.into_iter();
        let prompts = languages.zip(self.text_norm.read(request, rows)?);
        Ok(prompts
            .map(|(language, text_norm)| Prompt {
                language,
                text_norm,
            })
            .collect())
    }

    fn complete(&self, call: Call, prompts: &[Prompt]) -> Result<Call, Error> {
        let shape = [dim(prompts.len()), 1];
        let ids = |id: fn(&Prompt) -> i32| prompts.iter().map(id).collect::<Vec<i32>>();
        Ok(call
            .input("language", &shape, ids(|prompt| prompt.language))
            .input("textnorm", &shape, ids(|prompt| prompt.text_norm)))
    }

    fn decoder(&self) -> &CtcDecoder {
        &self.decoder
    }
}
