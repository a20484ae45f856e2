//! What is told of a stream's chunk, as docs/two-pass.schema.json has it.

use serde_json::{Value, json};
use speech_segments::sentences::{Sentences, Span, join};
use triton_backend::{DataType, Error, ModelConfig, Response};

use crate::pipelines::segments::{Heard, RESULT_JSON};
use crate::tensors::layout::{Layout, check_tensor};

const TEXT: &str = "TEXT";
const SEGMENT_ID: &str = "SEGMENT_ID";
const IS_FINAL: &str = "IS_FINAL";
/// What clients of streams ask for.
pub(super) const TRANSCRIPTS: &str = "TRANSCRIPTS";

/// What is told of a chunk.
pub(super) struct Told {
    messages: Vec<Message>,
    problems: Vec<Value>,
    /// The final texts.
    transcript: String,
}

struct Message {
    id: i64,
    is_final: bool,
    text: String,
    document: Value,
}

/// How far a stream is.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    pub(super) audio_ms: u64,
    /// It ended.
    pub(super) ended: bool,
    /// A segment goes on, though nothing of it may have been understood yet.
    pub(super) speaking: bool,
}

/// What came of a segment that ended.
pub(super) struct Final {
    /// All that the first pass said of it.
    pub(super) first_pass: String,
    /// What the recogniser said.
    pub(super) heard: Option<Heard>,
    /// The same with marks.
    pub(super) marked: Option<String>,
    pub(super) problem: Option<Error>,
}

impl Told {
    pub(super) fn nothing() -> Self {
        Self {
            messages: Vec::new(),
            problems: Vec::new(),
            transcript: String::new(),
        }
    }

    /// The text so far of a segment that goes on, and what of it is new.
    pub(super) fn partial(&mut self, id: i64, span: Span, text: &str, delta: &str) {
        self.messages.push(Message {
            id,
            is_final: false,
            text: text.to_owned(),
            document: json!({
                "segment_id": id,
                "is_final": false,
                "start_ms": span.start_ms,
                "end_ms": span.end_ms,
                "text": text,
                "delta": delta,
            }),
        });
    }

    /// The text of a segment that ended; `last` is the last letter of the text before, and is moved on.
    pub(super) fn finished(
        &mut self,
        id: i64,
        span: Span,
        last: &mut Option<char>,
        outcome: Final,
    ) {
        let Final {
            first_pass,
            mut heard,
            marked,
            problem,
        } = outcome;
        let mut sentences = Sentences::default();
        let unmarked = match &heard {
            Some(heard) => {
                sentences.push(&heard.text, &heard.words, span);
                heard.text.clone()
            }
            None => {
                sentences.push(&first_pass, &[], span);
                first_pass
            }
        };
        let text = marked.unwrap_or(unmarked).trim().to_owned();
        let sentences = sentences.finish(&text, true).into_iter();
        let sentences = sentences.map(|sentence| {
            json!({
                "start_ms": sentence.span.start_ms,
                "end_ms": sentence.span.end_ms,
                "text": sentence.text,
            })
        });
        if let Some(problem) = problem {
            self.problems.push(json!({
                "segment_id": id,
                "start_ms": span.start_ms,
                "end_ms": span.end_ms,
                "message": problem.to_string(),
            }));
        }
        let mut joined: String = last.iter().collect();
        let before = joined.len();
        join(&mut joined, &text);
        self.transcript.push_str(joined.get(before..).unwrap_or(""));
        *last = text.chars().last().or(*last);
        let document = json!({
            "segment_id": id,
            "is_final": true,
            "start_ms": span.start_ms,
            "end_ms": span.end_ms,
            "text": text,
            "sentences": sentences.collect::<Vec<Value>>(),
            "segment": heard.as_mut().map(Heard::take_document),
        });
        self.messages.push(Message {
            id,
            is_final: true,
            text,
            document,
        });
    }

    /// Writes the outputs that are wanted.
    pub(super) fn write(
        self,
        response: &mut Response,
        wants: impl Fn(&str) -> bool,
        progress: Progress,
    ) -> Result<(), Error> {
        let layout = Layout { batched: true };
        let Self {
            messages,
            problems,
            transcript,
        } = self;
        let (one, each) = (layout.shape(1, &[1]), layout.shape(1, &[messages.len()]));
        if wants(TRANSCRIPTS) {
            response.output_strings(TRANSCRIPTS, &one, &[&transcript])?;
        }
        if wants(TEXT) {
            let texts: Vec<&str> = messages.iter().map(|each| each.text.as_str()).collect();
            response.output_strings(TEXT, &each, &texts)?;
        }
        if wants(SEGMENT_ID) {
            let places = response.output::<i64>(SEGMENT_ID, &each)?.iter_mut();
            places
                .zip(&messages)
                .for_each(|(place, message)| *place = message.id);
        }
        if wants(IS_FINAL) {
            let count = messages.len();
            let bytes = response.output_bytes(IS_FINAL, DataType::Bool, &each, count)?;
            let places = bytes.iter_mut().zip(&messages);
            places.for_each(|(place, message)| *place = message.is_final.into());
        }
        if wants(RESULT_JSON) {
            let messages: Vec<Value> = messages.into_iter().map(|each| each.document).collect();
            let document = json!({
                "messages": messages,
                "problems": problems,
                "audio_ms": progress.audio_ms,
                "ended": progress.ended,
                "speaking": progress.speaking,
            });
            response.output_strings(RESULT_JSON, &one, &[document.to_string()])?;
        }
        Ok(())
    }
}

/// Checks the outputs that a config lists.
pub(super) fn check_outputs(config: &ModelConfig) -> Result<(), Error> {
    for output in &config.output {
        let (data_type, dim) = match output.name.as_str() {
            TRANSCRIPTS | RESULT_JSON => (DataType::String, Some(1)),
            TEXT => (DataType::String, None),
            SEGMENT_ID => (DataType::Int64, None),
            IS_FINAL => (DataType::Bool, None),
            name => {
                return Err(Error::Config(format!(
                    "there is no output '{name}' here; there are {TEXT}, {SEGMENT_ID}, {IS_FINAL}, {TRANSCRIPTS}, {RESULT_JSON}"
                )));
            }
        };
        check_tensor(output, data_type, &[dim])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finals(texts: &[&str]) -> Told {
        let mut told = Told::nothing();
        let mut last = None;
        let span = Span {
            start_ms: 1000,
            end_ms: 2000,
        };
        for (id, text) in (0..).zip(texts) {
            let outcome = Final {
                first_pass: "first".to_owned(),
                heard: None,
                marked: Some((*text).to_owned()),
                problem: None,
            };
            told.finished(id, span, &mut last, outcome);
        }
        told
    }

    #[test]
    fn final_texts_are_joined_as_their_languages_are() {
        assert_eq!(
            finals(&["hello.", "", "world.", "你好。", "再见。"]).transcript,
            "hello. world.你好。再见。"
        );
    }

    #[test]
    fn without_a_second_pass_the_first_one_counts_and_the_problem_is_told() {
        let mut told = Told::nothing();
        let outcome = Final {
            first_pass: "你好".to_owned(),
            heard: None,
            marked: None,
            problem: Some(Error::internal("model 'x' is not there")),
        };
        let span = Span {
            start_ms: 1000,
            end_ms: 2000,
        };
        told.finished(7, span, &mut None, outcome);
        assert_eq!(told.messages[0].document["text"], "你好");
        assert_eq!(told.messages[0].document["sentences"][0]["end_ms"], 2000);
        assert!(told.messages[0].document["segment"].is_null());
        assert_eq!(told.problems[0]["message"], "model 'x' is not there");
        assert_eq!(told.problems[0]["segment_id"], 7);
    }
}
