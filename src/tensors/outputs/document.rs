//! `RESULT_JSON`: everything that is known of a row in one document, as docs/result.schema.json has it.

use asr_decode::Span;
use serde_json::{Map, Value, json};

use super::told::Told;

/// The document of a row.
pub(super) fn of(row: &Told<'_>) -> String {
    let heard = row.heard;
    let mut document = json!({
        "text": heard.text(),
        "raw": heard.raw,
        "language": heard.tags.language,
        "emotion": heard.tags.emotion,
        "event": heard.tags.event,
        "confidence": heard.confidence().map(rounded),
        "tokens": row.tokens().map(|token| part(&token.piece, token.time, token.probability)).collect::<Vec<Value>>(),
        "words": row.words.iter().map(|word| part(&word.text, word.time, word.probability)).collect::<Vec<Value>>(),
    });
    if let (Some(stream), Value::Object(members)) = (row.stream, &mut document) {
        members.insert("is_final".to_owned(), stream.ended.into());
        members.insert("full_text".to_owned(), stream.text.into());
    }
    if let (Some(warning), Value::Object(members)) = (row.warning(), &mut document) {
        members.insert("warning".to_owned(), warning.into());
    }
    document.to_string()
}

/// A token or a word.
fn part(text: &str, time: Option<Span>, probability: Option<f32>) -> Value {
    let members = [
        ("text", Value::from(text)),
        ("start_ms", time.map(|time| time.start_ms).into()),
        ("end_ms", time.map(|time| time.end_ms).into()),
        ("confidence", probability.map(rounded).into()),
    ];
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Value::Object(Map::from_iter(members))
}

/// A probability with as many digits as anyone reads.
fn rounded(probability: f32) -> f64 {
    (f64::from(probability) * 1e4).round() / 1e4
}
