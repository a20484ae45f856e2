//! What a decoder heard: the text, the tokens it is made of, and what the model says about the whole.

use crate::ctc::Run;
use crate::sentencepiece::{Tokenizer, UnknownId};

/// What was heard of a row, or of what a stream's request added.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Transcript {
    /// The text as the model has it, tags included.
    pub raw: String,
    /// The tokens, in order. Their pieces need not add up to the text, which has its own rules for spaces.
    pub tokens: Vec<Token>,
    /// What the tags in front of the text say.
    pub tags: Tags,
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// How the vocabulary spells it.
    pub piece: Box<str>,
    /// The encoder's frames that it was heard in, where the decoder knows them.
    pub frames: Option<Frames>,
    /// How probable it is, 0 to 1, where the model says so.
    pub probability: Option<f32>,
}

/// Frames of the encoder, counted from the beginning of the row or of the stream. Both are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// SenseVoice's tags, without their signs: `zh` for `<|zh|>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tags {
    /// `zh`, `en`, `yue`, `ja`, `ko`, `nospeech`.
    pub language: Option<Box<str>>,
    /// `NEUTRAL`, `HAPPY`, …, `EMO_UNKNOWN`.
    pub emotion: Option<Box<str>>,
    /// `Speech`, `BGM`, …, `Event_UNK`.
    pub event: Option<Box<str>>,
    /// `withitn` or `woitn`.
    pub text_norm: Option<Box<str>>,
}

impl Transcript {
    /// The text of CTC's runs, by the rules of `tokenizer`.
    ///
    /// # Errors
    /// An id is outside of the vocabulary.
    pub fn of_runs(runs: &[Run], tokenizer: &Tokenizer) -> Result<Self, UnknownId> {
        let ids: Vec<u32> = runs.iter().map(|run| run.id).collect();
        let token = |run: &Run| Token {
            id: run.id,
            piece: tokenizer.piece(run.id).unwrap_or_default().into(),
            frames: Some(Frames {
                first: run.first as u64,
                last: run.last as u64,
            }),
            probability: None,
        };
        let raw = tokenizer.decode(&ids)?;
        let tokens: Vec<Token> = runs.iter().map(token).collect();
        Ok(Self {
            raw,
            tags: Tags::of(&tokens),
            tokens,
        })
    }

    /// The text without tags, and without space around it.
    ///
    /// ```
    /// let mut transcript = asr_decode::Transcript::default();
    /// transcript.raw = "<|en|><|NEUTRAL|><|Speech|><|woitn|> good day".to_owned();
    /// assert_eq!(transcript.text(), "good day");
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.raw.len());
        let mut rest = self.raw.as_str();
        while let Some((before, tagged)) = rest.split_once("<|") {
            text.push_str(before);
            match tagged.split_once("|>") {
                Some((_, after)) => rest = after,
                None => {
                    text.push_str("<|");
                    rest = tagged;
                }
            }
        }
        text.push_str(rest);
        text.trim().to_owned()
    }
}

impl Tags {
    /// The tags among the tokens in front of the first that is none.
    fn of(tokens: &[Token]) -> Self {
        let mut tags = Self::default();
        for token in tokens {
            let Some(name) = tag(&token.piece) else {
                break;
            };
            let place = match name {
                "withitn" | "woitn" => &mut tags.text_norm,
                name if EMOTIONS.contains(&name) => &mut tags.emotion,
                // Languages are written small, events are not.
                name if name.starts_with(|first: char| first.is_lowercase()) => &mut tags.language,
                _ => &mut tags.event,
            };
            place.get_or_insert_with(|| name.into());
        }
        tags
    }
}

/// SenseVoice's emotions; what else has a capital letter is an event.
const EMOTIONS: [&str; 8] = [
    "HAPPY",
    "SAD",
    "ANGRY",
    "NEUTRAL",
    "FEARFUL",
    "DISGUSTED",
    "SURPRISED",
    "EMO_UNKNOWN",
];

/// What stands in a tag.
fn tag(piece: &str) -> Option<&str> {
    let name = piece.strip_prefix("<|")?.strip_suffix("|>")?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(piece: &str) -> Token {
        Token {
            id: 0,
            piece: piece.into(),
            frames: None,
            probability: None,
        }
    }

    #[test]
    fn tags_are_told_apart_by_their_names() {
        let tokens = [
            "<|yue|>",
            "<|EMO_UNKNOWN|>",
            "<|BGM|>",
            "<|withitn|>",
            "好",
            "<|en|>",
        ];
        let tags = Tags::of(&tokens.map(token));
        assert_eq!(tags.language.as_deref(), Some("yue"));
        assert_eq!(tags.emotion.as_deref(), Some("EMO_UNKNOWN"));
        assert_eq!(tags.event.as_deref(), Some("BGM"));
        assert_eq!(tags.text_norm.as_deref(), Some("withitn"));
        // One of them may be missing, or none be there.
        let tags = Tags::of(&["<|nospeech|>", "<|Event_UNK|>"].map(token));
        assert_eq!(tags.language.as_deref(), Some("nospeech"));
        assert_eq!(tags.event.as_deref(), Some("Event_UNK"));
        assert_eq!((tags.emotion, tags.text_norm), (None, None));
        assert_eq!(Tags::of(&["hello", "<|en|>"].map(token)), Tags::default());
    }

    #[test]
    fn the_text_is_what_stands_between_tags() {
        let text = |raw: &str| {
            let raw = raw.to_owned();
            Transcript {
                raw,
                ..Transcript::default()
            }
            .text()
        };
        assert_eq!(
            text("<|zh|><|NEUTRAL|><|Speech|><|withitn|>再见7929。"),
            "再见7929。"
        );
        assert_eq!(text("<|en|> good <|en|>day"), "good day");
        assert_eq!(text("<|nospeech|><|Event_UNK|>"), "");
        assert_eq!(text("a <| b"), "a <| b");
    }
}
