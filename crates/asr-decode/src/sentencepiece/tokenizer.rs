//! A vocabulary of pieces.

use crate::tags::tag;

/// What a piece stands for (`ModelProto.SentencePiece.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Normal, user-defined and unused pieces: all are decoded to their text.
    Text,
    /// The unknown piece, decoded to the model's surface for it.
    Unknown,
    /// Control pieces such as `<s>`, decoded to nothing.
    Control,
    /// One byte of a UTF-8 sequence.
    Byte(u8),
}

#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) text: Box<str>,
    pub(super) kind: Kind,
}

/// The vocabulary of a SentencePiece `.model` file and the rules to decode with it.
///
/// Decoding needs no more than that: the segmentation model and the text normaliser of the file are ignored. Cloning
/// copies the vocabulary; share it by reference or in an `Arc`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pub(super) pieces: Vec<Piece>,
    pub(super) unknown_surface: Box<str>,
    /// `add_dummy_prefix`: the encoder put a space in front of the text, so the decoder takes one away.
    pub(super) add_dummy_prefix: bool,
    /// `remove_extra_whitespaces`: a text never starts with a space.
    pub(super) remove_extra_whitespaces: bool,
}

/// An id outside of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("id {id} is outside of the tokenizer's vocabulary of {len} pieces")]
#[non_exhaustive]
pub struct UnknownId {
    /// The id given.
    pub id: u32,
    /// Pieces in the vocabulary.
    pub len: usize,
}

impl Tokenizer {
    /// Number of pieces: ids are 0 to `len() - 1`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there are no pieces; never true of a loaded model.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The piece as the model file spells it (a space is `▁`, U+2581), or `None` outside of the vocabulary.
    #[must_use]
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.get(id).map(|piece| &*piece.text)
    }

    /// Whether the vocabulary holds tags such as `<|zh|>` or `<|NEUTRAL|>`, as those of SenseVoice do.
    #[must_use]
    pub fn has_tags(&self) -> bool {
        self.pieces.iter().any(|piece| tag(&piece.text).is_some())
    }

    pub(super) fn get(&self, id: u32) -> Option<&Piece> {
        self.pieces.get(usize::try_from(id).ok()?)
    }
}
