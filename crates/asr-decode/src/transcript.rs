//! What a decoder heard: the text, the tokens it is made of, and what the model says about the whole.

use crate::tags::{Tags, tag};
use crate::words::Subwords;

/// What was heard of a row, or of what a stream's request added.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Transcript {
    /// The text as the model has it, tags included.
    pub raw: String,
    /// The text with its numbers as they are written, where that is wanted; it has no tags.
    pub written: Option<String>,
    /// The tokens, in order. Their pieces need not add up to the text, which has its own rules for spaces.
    pub tokens: Vec<Token>,
    /// What the tags in front of the text say.
    pub tags: Tags,
    /// How the vocabulary of the tokens marks the parts of words, for [`words`](Self::words); `None` without tokens.
    pub(crate) subwords: Option<Subwords>,
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
    /// When it was spoken, where that is asked for. Tags have none.
    pub time: Option<Span>,
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

/// A piece of the audio, in milliseconds from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends; that is no part of it.
    pub end_ms: u64,
}

impl Token {
    /// Whether it is one of the tags that say something of the whole, like `<|zh|>`.
    #[must_use]
    pub fn is_tag(&self) -> bool {
        tag(&self.piece).is_some()
    }
}

impl Transcript {
    /// The text without the tags among the tokens, and without the space that one leaves at an end of the text or beside
    /// another space. Where there are no tags, that is `raw` as it is: the deltas of a stream can be put together.
    ///
    /// ```
    /// use asr_decode::{ctc, Probabilities, sentencepiece::Tokenizer};
    /// # let tokenizer = Tokenizer::from_file("tests/data/bytes.model")?;
    /// # let vocab = tokenizer.len();
    /// # let mut scores = vec![0.0; 2 * vocab];
    /// # scores[3] = 1.0;
    /// # scores[vocab + 5] = 1.0;
    /// let transcript = ctc::transcript(&scores, 0, &tokenizer, Probabilities::Absent)?;
    /// assert_eq!(transcript.raw, "<|zh|> hello");
    /// assert_eq!(transcript.text(), "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(written) = &self.written {
            return written.clone();
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut rest = self.raw.as_str();
        let tags = self.tokens.iter().filter(|token| token.is_tag());
        for piece in tags.map(|token| &*token.piece) {
            // Control pieces are tokens, but silent.
            let Some((before, after)) = rest.split_once(piece) else {
                continue;
            };
            text.push_str(before);
            rest = match text.is_empty() || text.ends_with(' ') {
                true => after.trim_start_matches(' '),
                false => after,
            };
            if rest.is_empty() {
                text.truncate(text.trim_end_matches(' ').len());
            }
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(piece: &str) -> Token {
        Token {
            id: 0,
            piece: piece.into(),
            frames: None,
            time: None,
            probability: None,
        }
    }

    /// A transcript of tokens whose raw text they are.
    fn transcript(pieces: &[&str]) -> Transcript {
        let tokens: Vec<Token> = pieces.iter().copied().map(token).collect();
        Transcript {
            raw: pieces.concat(),
            written: None,
            tags: Tags::of(pieces.iter().copied()),
            tokens,
            subwords: Some(Subwords::Started),
        }
    }

    #[test]
    fn what_is_no_known_tag_is_none_of_the_four_and_no_text() {
        let heard = transcript(&[
            "<|en|>",
            "<|itn2|>",
            "<|zh|>",
            "<|Laughter|>",
            "<|EMO_UNK|>",
            " hi",
        ]);
        assert_eq!(heard.tags.language.as_deref(), Some("en"));
        assert_eq!(heard.tags.event.as_deref(), Some("Laughter"));
        assert_eq!(heard.tags.emotion.as_deref(), Some("EMO_UNK"));
        assert_eq!(heard.tags.text_norm, None);
        assert_eq!(heard.text(), "hi");
    }

    #[test]
    fn the_text_is_what_stands_between_tags() {
        let text = |pieces: &[&str]| transcript(pieces).text();
        assert_eq!(
            text(&[
                "<|zh|>",
                "<|NEUTRAL|>",
                "<|Speech|>",
                "<|withitn|>",
                "再见7929。"
            ]),
            "再见7929。"
        );
        assert_eq!(
            text(&["<|en|>", " good", " ", "<|en|>", " day"]),
            "good day"
        );
        assert_eq!(text(&["<|en|>", " good", "<|BGM|>", " day"]), "good day");
        assert_eq!(text(&["<|en|>", " good", " ", "<|BGM|>"]), "good");
        assert_eq!(text(&["<|nospeech|>", "<|Event_UNK|>"]), "");
        assert_eq!(text(&[]), "");
        // What only looks like a tag is text, and so is space where no tag was.
        assert_eq!(text(&["<|zh|>", "a ", "<|", "b", "|>", " "]), "a <|b|> ");
        assert_eq!(text(&[" a", " "]), " a ");
        assert_eq!(text(&["a", "<||>"]), "a<||>");
    }

    #[test]
    fn what_is_written_is_the_text() {
        let heard = Transcript {
            written: Some("5%".to_owned()),
            ..transcript(&["百", "分", "之", "五"])
        };
        assert_eq!(
            (heard.text().as_str(), heard.raw.as_str()),
            ("5%", "百分之五")
        );
    }

    #[test]
    fn silent_tags_take_nothing_from_the_text() {
        let heard = Transcript {
            raw: "好<|zh|>".to_owned(),
            ..transcript(&["<|en|>", "好", "<|zh|>"])
        };
        assert_eq!(heard.text(), "好");
        assert_eq!(heard.tags.language.as_deref(), Some("en"));
    }
}
