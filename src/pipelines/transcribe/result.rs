//! What is told of a recording, all at once or what is new, as docs/long-audio.schema.json has it.

use serde_json::{Value, json};
use speech_segments::sentences::{Sentence, Span, TimedWord, join};
use triton_backend::{DataType, Error, ModelConfig, Reply, Response};

use crate::tensors::layout::{Layout, check_tensor};

/// The output of recognisers that everything is read from.
pub(super) const RESULT_JSON: &str = "RESULT_JSON";
const TEXT: &str = "TEXT";
/// What clients of the recognisers ask for.
const TRANSCRIPTS: &str = "TRANSCRIPTS";
const IS_FINAL: &str = "IS_FINAL";

/// A segment's text.
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) words: Vec<TimedWord>,
    /// As the recogniser told it, with times of the recording, until it is told.
    document: Value,
}

impl Heard {
    /// What the recogniser, called `name`, answered for the segment at `span`.
    pub(super) fn read(name: &str, reply: &Reply, span: Span) -> Result<Self, Error> {
        let strings = reply.output(RESULT_JSON)?.strings()?;
        let document: Option<Value> = match strings.as_slice() {
            [text] => serde_json::from_slice(text).ok(),
            _ => None,
        };
        let Some(document) = document.filter(|document| document["text"].is_string()) else {
            return Err(Error::internal(format!(
                "model '{name}' answered no document of one text in '{RESULT_JSON}'"
            )));
        };
        Ok(Self::of(document, span))
    }

    fn of(mut document: Value, span: Span) -> Self {
        let text = document["text"].as_str().unwrap_or_default().to_owned();
        let mut words = Vec::new();
        for word in document["words"].as_array_mut().into_iter().flatten() {
            for key in ["start_ms", "end_ms"] {
                if let Some(time) = word[key].as_u64() {
                    // The model may hear a word up to the end of its last frame.
                    let time = span.start_ms.saturating_add(time).min(span.end_ms);
                    word[key] = time.into();
                }
            }
            let (start, end) = (word["start_ms"].as_u64(), word["end_ms"].as_u64());
            words.push(TimedWord {
                text: word["text"].as_str().unwrap_or_default().to_owned(),
                span: start
                    .zip(end)
                    .map(|(start_ms, end_ms)| Span { start_ms, end_ms }),
            });
        }
        let of = |key: &str| document[key].clone();
        let document = json!({
            "start_ms": span.start_ms,
            "end_ms": span.end_ms,
            "text": text,
            "language": of("language"),
            "emotion": of("emotion"),
            "event": of("event"),
            "confidence": of("confidence"),
            "words": document["words"].as_array().cloned().unwrap_or_default(),
        });
        Self {
            text,
            words,
            document,
        }
    }
}

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
        self.segments.push(heard.document.take());
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
    fn words_have_the_times_of_the_recording() {
        let document = json!({
            "text": "hello world",
            "raw": "hello world",
            "language": "en",
            "words": [
                {"text": "hello", "start_ms": 60, "end_ms": 300, "confidence": 0.5},
                {"text": "world", "start_ms": 330, "end_ms": 2040, "confidence": null}
            ]
        });
        let span = Span {
            start_ms: 10_000,
            end_ms: 12_000,
        };
        let heard = Heard::of(document, span);
        let spans: Vec<_> = heard.words.iter().filter_map(|word| word.span).collect();
        let expected = [(10_060, 10_300), (10_330, 12_000)];
        let expected = expected.map(|(start_ms, end_ms)| Span { start_ms, end_ms });
        assert_eq!(spans, expected);
        assert_eq!(heard.document["words"][1]["end_ms"], 12_000);
        assert_eq!(heard.document["language"], "en");
        assert!(heard.document["emotion"].is_null());
    }

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
