//! Component `sensevoice`: the whole of SenseVoice, with the encoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS`, `LANGUAGE`, `TEXT_NORM` in, `TRANSCRIPTS` out.

use std::sync::Arc;

use triton_backend::{Call, DataType, Error, ModelContext, Reply, Request};

use crate::component::{Component, check_type};
use crate::ctc_scoring::CtcDecoder;
use crate::pipeline::{Pipeline, Recogniser};
use crate::rows::{Layout, dim};
use crate::scoring::{Decoder, Scores};

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    for input in ["LANGUAGE", "TEXT_NORM"] {
        check_type(context.config.input(input)?, DataType::Int32)?;
    }
    let layout = Layout {
        batched: context.config.batches(),
    };
    Pipeline::load(
        context,
        SenseVoice {
            decoder: CtcDecoder::load(context)?,
            layout,
        },
    )
}

struct SenseVoice {
    decoder: CtcDecoder,
    layout: Layout,
}

/// What a row is told about itself, as ids.
#[derive(Clone, Copy)]
struct Prompt {
    language: i32,
    text_norm: i32,
}

impl Recogniser for SenseVoice {
    type Extra = Prompt;
    /// The encoder masks what lies behind a row's end: padding costs time and changes nothing.
    const PADDING_PERCENT: f64 = 20.0;

    fn extras(&self, request: &Request, rows: usize) -> Result<Vec<Prompt>, Error> {
        let ids = |name: &str| {
            let input = request.input(name)?;
            self.layout
                .ids(name, input.shape(), &input.read::<i32>()?, rows)
        };
        let prompts = ids("LANGUAGE")?.into_iter().zip(ids("TEXT_NORM")?);
        Ok(prompts
            .map(|(language, text_norm)| Prompt {
                language,
                text_norm,
            })
            .collect())
    }

    fn complete(&self, call: Call, prompts: &[Prompt]) -> Call {
        let shape = [dim(prompts.len()), 1];
        let ids = |id: fn(&Prompt) -> i32| prompts.iter().map(id).collect::<Vec<i32>>();
        call.input("language", &shape, ids(|prompt| prompt.language))
            .input("textnorm", &shape, ids(|prompt| prompt.text_norm))
            .output(CtcDecoder::SCORES)
            .output(CtcDecoder::COUNTS)
    }

    fn texts(&self, reply: &Reply) -> Result<Vec<String>, Error> {
        self.decoder.texts(&Scores::of_reply::<CtcDecoder>(reply)?)
    }

    fn means_silence(&self, _: &Error) -> bool {
        false
    }
}
