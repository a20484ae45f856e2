//! What a model says of a recording: the document that docs/result.schema.json describes.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

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
    /// Tokens joined to words.
    pub words: Vec<Timed>,
}

/// A long recording's document (docs/long-audio.schema.json), whose words stand in its segments, or that of a stream in two passes
/// (docs/two-pass.schema.json), whose words stand in those of its last messages.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Long {
    segments: Vec<Segment>,
    messages: Vec<Message>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    segment: Option<Segment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Segment {
    words: Vec<Timed>,
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
    /// If it is no such document.
    pub fn parse(document: &str) -> Result<Self> {
        let wrong = || format!("RESULT_JSON is {document:?}");
        let mut heard: Self = serde_json::from_str(document).with_context(wrong)?;
        if heard.words.is_empty() {
            let long: Long = serde_json::from_str(document).with_context(wrong)?;
            let again = long.messages.into_iter().filter_map(|told| told.segment);
            let segments = long.segments.into_iter().chain(again);
            heard.words = segments.flat_map(|own| own.words).collect();
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
    /// If a word has none.
    pub fn spoken(&self) -> Result<Vec<Spoken<'_>>> {
        let words: Option<Vec<_>> = self.words.iter().map(Timed::spoken).collect();
        words.context(
            "the model says no times of its words: docs/results.md tells what its export needs for them",
        )
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
