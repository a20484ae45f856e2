//! What a model says of a recording: the document that docs/result.schema.json describes, and that of docs/long-audio.schema.json.

use serde::{Deserialize, Serialize};

/// Why there is nothing to be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The output is no such document.
    #[error("RESULT_JSON is {document:?}")]
    Document {
        /// What it is instead.
        document: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A word has no times.
    #[error(
        "the model says no times of its words: docs/results.md tells what its export needs for them"
    )]
    NoTimes,
}

/// A recording's document, or that of what a request added to a stream.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// The text without tags.
    pub text: String,
    /// The text as the model has it.
    pub raw: String,
    /// As in `zh`, where the model says it.
    pub language: Option<String>,
    /// As in `NEUTRAL`, where the model says it.
    pub emotion: Option<String>,
    /// As in `Speech`, where the model says it.
    pub event: Option<String>,
    /// How sure the model is of the whole, 0 to 1, where it says it.
    pub confidence: Option<f64>,
    /// The tokens that are no tags.
    pub tokens: Vec<Timed>,
    /// Tokens joined to words; of a long recording, those of its segments.
    pub words: Vec<Timed>,
    /// Long recordings: the sentences, with their marks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<Sentence>,
    /// Long recordings: the parts in which somebody speaks.
    #[serde(skip_serializing)]
    pub segments: Vec<Segment>,
    /// Long recordings: what could not be transcribed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Long recordings: how long the recording is, as far as it is decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_ms: Option<u64>,
}

/// A sentence of a long recording.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sentence {
    /// From the beginning of the recording.
    pub start_ms: u64,
    /// The same.
    pub end_ms: u64,
    /// With its marks.
    pub text: String,
}

/// A part of a long recording in which somebody speaks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Segment {
    /// From the beginning of the recording.
    pub start_ms: u64,
    /// The same.
    pub end_ms: u64,
    /// As the recogniser has it, without tags.
    pub text: String,
    /// As in `zh`, where the model says it.
    pub language: Option<String>,
    /// As in `NEUTRAL`, where the model says it.
    pub emotion: Option<String>,
    /// As in `Speech`, where the model says it.
    pub event: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// Its words.
    pub words: Vec<Timed>,
}

/// A part of a long recording that could not be transcribed, or not all of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// From the beginning of the recording.
    pub start_ms: u64,
    /// The same.
    pub end_ms: u64,
    /// Names the model.
    pub message: String,
}

/// What a chunk of a stream in two passes made known (docs/two-pass.schema.json).
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct TwoPass {
    /// Texts of segments, each in the place of what was told of its segment before.
    pub messages: Vec<Message>,
    /// A segment goes on, of which nothing may have been told yet.
    pub speaking: bool,
}

/// A text of a segment of a stream.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    /// Counted from 0.
    pub segment_id: u64,
    /// The segment is over; nothing of it follows.
    pub is_final: bool,
    /// From the beginning of the stream.
    pub start_ms: u64,
    /// The same.
    pub end_ms: u64,
    /// All of it so far, or for good.
    pub text: String,
    /// Of one that goes on: what is new of its text.
    pub delta: String,
    /// Of a final one: the same, sentence by sentence.
    pub sentences: Vec<Sentence>,
    /// Of a final one: what the recogniser said, where it could.
    pub segment: Option<Segment>,
}

impl TwoPass {
    /// From the output `RESULT_JSON`.
    ///
    /// # Errors
    /// [`Error::Document`] if it is no such document.
    pub fn parse(document: &str) -> Result<Self, Error> {
        serde_json::from_str(document).map_err(|source| Error::Document {
            document: document.to_owned(),
            source,
        })
    }
}

/// A token or a word. What is not known of it is left away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timed {
    /// As it is written.
    pub text: String,
    /// Milliseconds from the beginning of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A word and when it is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken<'a> {
    /// As it is written.
    pub text: &'a str,
    /// Milliseconds from the beginning of the recording.
    pub start_ms: u64,
    /// The same.
    pub end_ms: u64,
}

impl Heard {
    /// From the output `RESULT_JSON`.
    ///
    /// # Errors
    /// [`Error::Document`] if it is no such document.
    pub fn parse(document: &str) -> Result<Self, Error> {
        let wrong = |source| Error::Document {
            document: document.to_owned(),
            source,
        };
        let mut heard: Self = serde_json::from_str(document).map_err(wrong)?;
        if heard.words.is_empty() {
            let two_pass = TwoPass::parse(document)?;
            let again = two_pass.messages.iter();
            let again = again.filter_map(|told| told.segment.as_ref());
            let segments = heard.segments.iter().chain(again);
            heard.words = segments.flat_map(|own| &own.words).cloned().collect();
        }
        Ok(heard)
    }

    /// A stream's documents as one: its texts, tokens and words one after the other.
    pub fn of_stream(chunks: Vec<Self>) -> Self {
        let mut whole = Self::default();
        let mut says_confidence = false;
        for chunk in chunks {
            whole.text.push_str(&chunk.text);
            whole.raw.push_str(&chunk.raw);
            whole.language = whole.language.or(chunk.language);
            whole.emotion = whole.emotion.or(chunk.emotion);
            whole.event = whole.event.or(chunk.event);
            whole.tokens.extend(chunk.tokens);
            whole.words.extend(chunk.words);
            says_confidence |= chunk.confidence.is_some();
        }
        if says_confidence {
            whole.confidence = geometric_mean(&whole.tokens);
        }
        whole
    }

    /// The words with their times.
    ///
    /// # Errors
    /// [`Error::NoTimes`] if a word has none.
    pub fn spoken(&self) -> Result<Vec<Spoken<'_>>, Error> {
        let words: Option<Vec<_>> = self.words.iter().map(Timed::spoken).collect();
        words.ok_or(Error::NoTimes)
    }
}

impl Timed {
    /// With its times, where both are known.
    fn spoken(&self) -> Option<Spoken<'_>> {
        Some(Spoken {
            text: &self.text,
            start_ms: self.start_ms?,
            end_ms: self.end_ms?,
        })
    }
}

/// How sure a model is of a whole whose parts are `tokens`, with the server's four digits: 0 where there is none, as the server has it.
fn geometric_mean(tokens: &[Timed]) -> Option<f64> {
    let confidences: Vec<f64> = tokens
        .iter()
        .map(|token| token.confidence)
        .collect::<Option<_>>()?;
    if confidences.is_empty() {
        return Some(0.0);
    }
    let sum: f64 = confidences.iter().map(|confidence| confidence.ln()).sum();
    let mean = (sum / confidences.len() as f64).exp();
    Some((mean * 1e4).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_with_what_is_not_known_left_away() {
        let document = r#"{"text": "好", "raw": "<|zh|>好", "language": "zh", "emotion": null, "confidence": 0.5,
            "words": [{"text": "好", "start_ms": 60, "end_ms": null}], "is_final": true}"#;
        let heard = Heard::parse(document).unwrap();
        assert_eq!(
            serde_json::to_value(&heard).unwrap(),
            json!({"text": "好", "raw": "<|zh|>好", "language": "zh", "emotion": null, "event": null,
                "confidence": 0.5, "tokens": [], "words": [{"text": "好", "start_ms": 60}]})
        );
        let error = heard.spoken().unwrap_err().to_string();
        assert!(error.contains("docs/results.md"), "{error}");
        let error = Heard::parse("3").unwrap_err().to_string();
        assert_eq!(error, "RESULT_JSON is \"3\"");
    }

    #[test]
    fn a_long_recordings_words_are_those_of_its_segments() {
        let document = r#"{"text": "a, b.", "sentences": [{"start_ms": 100, "end_ms": 900, "text": "a, b."}],
            "segments": [{"start_ms": 0, "end_ms": 500, "text": "a", "language": "en", "words": [{"text": "a", "start_ms": 100}]},
                {"start_ms": 600, "end_ms": 950, "text": "b", "language": null, "words": [{"text": "b", "start_ms": 700}]}],
            "problems": [], "audio_ms": 1000, "done_ms": 1000, "is_final": true}"#;
        let heard = Heard::parse(document).unwrap();
        let words: Vec<_> = heard.words.iter().map(|word| &*word.text).collect();
        assert_eq!(words, ["a", "b"]);
        assert_eq!(heard.segments[0].language.as_deref(), Some("en"));
        assert_eq!(
            (heard.sentences[0].end_ms, heard.audio_ms),
            (900, Some(1000))
        );
        // The words are not written twice.
        let written = serde_json::to_value(&heard).unwrap();
        assert_eq!(written["segments"], serde_json::Value::Null);
        assert_eq!(written["sentences"][0]["text"], "a, b.");
    }

    #[test]
    fn a_streams_documents_become_one() {
        let chunk = |document| Heard::parse(document).unwrap();
        let whole = Heard::of_stream(vec![
            chunk(r#"{"confidence": 0.0}"#),
            chunk(
                r#"{"text": "water", "raw": "water", "confidence": 0.9, "tokens": [{"text": "water", "confidence": 0.9}],
                "words": [{"text": "water", "start_ms": 500, "end_ms": 700, "confidence": 0.9}]}"#,
            ),
            chunk(
                r#"{"text": " world", "raw": " world", "confidence": 0.4, "tokens": [{"text": "world", "confidence": 0.4}],
                "words": [{"text": "world", "start_ms": 800, "end_ms": 900, "confidence": 0.4}]}"#,
            ),
        ]);
        assert_eq!(whole.raw, "water world");
        assert_eq!(whole.confidence, Some(0.6));
        let spoken = whole.spoken().unwrap();
        let times: Vec<_> = spoken
            .iter()
            .map(|word| (word.text, word.start_ms))
            .collect();
        assert_eq!(times, [("water", 500), ("world", 800)]);
    }

    #[test]
    fn words_of_two_passes_are_those_of_the_second() {
        let heard = Heard::parse(
            r#"{"messages": [{"is_final": true, "text": "好。", "segment": {"text": "好", "words": [{"text": "好", "start_ms": 90060, "end_ms": 90120}]}},
                {"is_final": false, "text": "你"}, {"is_final": true, "text": "", "segment": null}], "audio_ms": 95000}"#,
        );
        let spoken: Vec<_> = heard.unwrap().words;
        assert_eq!(spoken.len(), 1);
        assert_eq!(
            (spoken[0].text.as_str(), spoken[0].start_ms),
            ("好", Some(90_060))
        );
    }

    #[test]
    fn silence_has_no_words_and_needs_no_times() {
        let silent = Heard::of_stream(vec![Heard::parse(r#"{"confidence": 0.0}"#).unwrap()]);
        assert_eq!(silent.confidence, Some(0.0));
        assert!(silent.spoken().unwrap().is_empty());
        // A model that does not say how sure it is does not say so of a stream.
        let unknown = Heard::of_stream(vec![Heard::parse(r#"{"text": "好"}"#).unwrap()]);
        assert_eq!(unknown.confidence, None);
    }
}
