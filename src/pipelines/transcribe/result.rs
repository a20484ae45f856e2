//! What is told of a recording, all at once or what is new, as docs/long-audio.schema.json has it.

use serde_json::{Value, json};
use speech_segments::sentences::{Sentence, Span, join};
use triton_backend::{DataType, Error, ModelConfig, Response};

use crate::pipelines::segments::{Heard, RESULT_JSON};
use crate::tensors::layout::{Layout, check_tensor};

const TEXT: &str = "TEXT";
/// What clients of the recognisers ask for.
const TRANSCRIPTS: &str = "TRANSCRIPTS";
const IS_FINAL: &str = "IS_FINAL";

/// What there is to tell.
#[derive(Default)]
pub(super) struct Told {
    segments: Vec<Value>,
    sentences: Vec<Sentence>,
    problems: Vec<Value>,
}

/// How far a recording is, in ms.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// Decoded.
    pub(super) audio_ms: u64,
    /// Transcribed.
    pub(super) done_ms: u64,
    pub(super) is_final: bool,
}

impl Told {
    pub(super) fn segment(&mut self, heard: &mut Heard) {
        self.segments.push(heard.take_document());
    }

    pub(super) fn sentences(&mut self, sentences: Vec<Sentence>) {
        self.sentences.extend(sentences);
    }

    pub(super) fn problem(&mut self, span: Span, error: &Error) {
        self.problems.push(json!({
            "start_ms": span.start_ms,
            "end_ms": span.end_ms,
            "message": error.to_string(),
        }));
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.segments.is_empty() && self.sentences.is_empty() && self.problems.is_empty()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for sentence in &self.sentences {
            join(&mut text, &sentence.text);
        }
        text
    }

    fn document(self, text: &str, progress: Progress) -> Value {
        let sentence = |sentence: Sentence| {
            json!({
                "start_ms": sentence.span.start_ms,
                "end_ms": sentence.span.end_ms,
                "text": sentence.text,
            })
        };
        let sentences: Vec<Value> = self.sentences.into_iter().map(sentence).collect();
        json!({
            "text": text,
            "sentences": sentences,
            "segments": self.segments,
            "problems": self.problems,
            "audio_ms": progress.audio_ms,
            "done_ms": progress.done_ms,
            "is_final": progress.is_final,
        })
    }

    /// Writes the outputs that are wanted.
    pub(super) fn write(
        self,
        response: &mut Response,
        wants: impl Fn(&str) -> bool,
        progress: Progress,
    ) -> Result<(), Error> {
        let shape = Layout { batched: true }.shape(1, &[1]);
        let text = self.text();
        for name in [TEXT, TRANSCRIPTS] {
            if wants(name) {
                response.output_strings(name, &shape, &[&text])?;
            }
        }
        if wants(IS_FINAL) {
            let byte = response.output_bytes(IS_FINAL, DataType::Bool, &shape, 1)?;
            byte.fill(progress.is_final.into());
        }
        if wants(RESULT_JSON) {
            let document = self.document(&text, progress).to_string();
            response.output_strings(RESULT_JSON, &shape, &[document])?;
        }
        Ok(())
    }
}

/// Checks the outputs that a config lists.
pub(super) fn check_outputs(config: &ModelConfig) -> Result<(), Error> {
    for output in &config.output {
        let data_type = match output.name.as_str() {
            TEXT | TRANSCRIPTS | RESULT_JSON => DataType::String,
            IS_FINAL => DataType::Bool,
            name => {
                return Err(Error::Config(format!(
                    "there is no output '{name}' here; there are {TEXT}, {TRANSCRIPTS}, {RESULT_JSON}, {IS_FINAL}"
                )));
            }
        };
        check_tensor(output, data_type, &[Some(1)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_sentences() {
        let mut told = Told::default();
        let span = Span {
            start_ms: 0,
            end_ms: 1,
        };
        let sentence = |text: &str| Sentence {
            text: text.to_owned(),
            span,
        };
        told.sentences(vec![sentence("a."), sentence("b."), sentence("好。")]);
        assert_eq!(told.text(), "a. b.好。");
    }
}
