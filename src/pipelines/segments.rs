//! Segments of speech on their way through whole models: what these are asked, and what they answer.

use serde_json::{Value, json};
use speech_segments::sentences::{Span, TimedWord};
use triton_backend::{Call, Error, Reply};

use crate::pipelines::punctuation::TEXT;
use crate::tensors::layout::dim;
use crate::tensors::memory::room;
use crate::tensors::parameters::Written;

/// The output of recognisers that everything is read from.
pub(crate) const RESULT_JSON: &str = "RESULT_JSON";

/// A call of a model with samples of one row.
pub(crate) fn of_samples(model: &str, samples: &[f32]) -> Result<Call, Error> {
    let mut row = room(samples.len(), "a call's samples")?;
    row.extend_from_slice(samples);
    let length = i32::try_from(samples.len()).unwrap_or(i32::MAX);
    Ok(Call::new(model)
        .input("WAV", &[1, dim(samples.len())], row)
        .input("WAV_LENS", &[1, 1], vec![length]))
}

/// A call of a model that puts marks into a text.
pub(crate) fn for_marks(model: &str, text: &str) -> Call {
    Call::new(model)
        .input_strings(TEXT, &[1, 1], &[text])
        .output(TEXT)
}

/// The text with its marks.
pub(crate) fn marked(reply: &Reply) -> Result<String, Error> {
    let text = reply.output(TEXT)?.strings()?.into_iter().next();
    String::from_utf8(text.unwrap_or_default())
        .map_err(|_| Error::internal("the marked text is not UTF-8"))
}

/// A segment's text.
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) words: Vec<TimedWord>,
    /// As the recogniser told it, with times of the recording, until it is told.
    document: Value,
}

impl Heard {
    /// What the recogniser, called `name`, answered for the segment at `span`.
    pub(crate) fn read(name: &str, reply: &Reply, span: Span) -> Result<Self, Error> {
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

    /// What the recogniser told, as docs/long-audio.schema.json has a segment. It is told once.
    pub(crate) fn take_document(&mut self) -> Value {
        self.document.take()
    }
}

/// What becomes of a recording or a stream of which a part fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Failed {
    Report,
    Refuse,
}

impl Written for Failed {
    const KIND: &'static str = "`report` or `refuse`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "report" => Ok(Self::Report),
            "refuse" => Ok(Self::Refuse),
            _ => Err("is neither report nor refuse"),
        }
    }
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
}
