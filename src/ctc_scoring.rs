//! Component `ctc_scoring`: a CTC encoder's scores to text.
//!
//! `ctc_logits` FP32 `[rows, frames, vocabulary]` and `encoder_out_lens` INT32 `[rows]` (or `[rows, 1]`) become `OUTPUT0`
//! STRING `[rows, 1]`. Every row is decoded by itself, over its own frames.

use std::sync::Arc;

use asr_decode::ctc;
use asr_decode::sentencepiece::Tokenizer;
use triton_backend::{Batch, DataType, Error, ModelContext, Request, Response, guard};

use crate::component::{Component, Worker, check_tensor, check_type};
use crate::rows::Layout;

/// SenseVoice's encoder puts four frames in front of the audio's: language, emotion, event, text normalisation.
const SENSE_VOICE_PROMPT: usize = 4;

/// The loaded component.
pub(crate) struct CtcScoring {
    tokenizer: Tokenizer,
    layout: Layout,
    blank: u32,
    /// Leading frames that hold no audio: a row with no frames beyond them is empty.
    prompt_frames: usize,
}

impl CtcScoring {
    pub(crate) const PARAMETERS: &'static [&'static [&'static str]] =
        &[&["tokenizer_path", "blank_id", "prompt_frames"]];

    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let tokenizer = Tokenizer::from_file(context.file("tokenizer_path")?)
            .map_err(|error| Error::parameter("tokenizer_path", error.to_string()))?;
        check_tensor(
            config.input("ctc_logits")?,
            DataType::Fp32,
            &[None, Some(tokenizer.len())],
        )
        .map_err(|error| {
            error.context(format_args!("the tokenizer has {} pieces", tokenizer.len()))
        })?;
        check_type(config.input("encoder_out_lens")?, DataType::Int32)?;
        check_tensor(config.output("OUTPUT0")?, DataType::String, &[Some(1)])?;
        let default_prompt = if tokenizer.has_tags() {
            SENSE_VOICE_PROMPT
        } else {
            0
        };
        Ok(Arc::new(Self {
            layout: Layout {
                batched: config.batches(),
            },
            blank: config.parameters.get("blank_id")?.unwrap_or(0),
            prompt_frames: config
                .parameters
                .get("prompt_frames")?
                .unwrap_or(default_prompt),
            tokenizer,
        }))
    }

    fn score(&self, request: &Request) -> Result<Response, Error> {
        let logits = request.input("ctc_logits")?;
        let (rows, [frames, vocabulary]) = self.layout.rows(&logits, "frames, vocabulary")?;
        if vocabulary != self.tokenizer.len() {
            return Err(Error::Shape {
                name: "ctc_logits".to_owned(),
                got: logits.shape().to_vec(),
                expected: format!(
                    "{} scores a frame, one for each piece of the tokenizer",
                    self.tokenizer.len()
                ),
            });
        }
        let lengths = request.input("encoder_out_lens")?;
        let lengths = self.layout.lengths(
            &lengths,
            rows,
            0,
            frames,
            "frames in the row of 'ctc_logits'",
        )?;
        let scores = logits.read::<f32>()?;
        let mut ids = Vec::new();
        let texts: Vec<String> = lengths
            .iter()
            .enumerate()
            .map(|(row, &length)| {
                let start = row * frames * vocabulary;
                self.text(
                    &scores[start..start + length * vocabulary],
                    length,
                    &mut ids,
                )
            })
            .collect::<Result<_, _>>()?;
        let mut response = request.response()?;
        if request.wants("OUTPUT0") {
            response.output_strings("OUTPUT0", &self.layout.shape(rows, &[1]), &texts)?;
        }
        Ok(response)
    }

    /// The text of one row's own frames.
    fn text(&self, scores: &[f32], frames: usize, ids: &mut Vec<u32>) -> Result<String, Error> {
        if frames <= self.prompt_frames {
            return Ok(String::new());
        }
        ctc::greedy(scores, self.tokenizer.len(), self.blank, ids)
            .map_err(|error| Error::internal(error.to_string()))?;
        self.tokenizer
            .decode(ids)
            .map_err(|error| Error::internal(error.to_string()))
    }
}

impl Component for CtcScoring {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<CtcScoring> {
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
