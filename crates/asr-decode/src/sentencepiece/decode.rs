//! Ids to text: the rules of `SentencePieceProcessor::Decode`.

use super::tokenizer::{Kind, Piece, Tokenizer, UnknownId};

/// SentencePiece's sign for a space.
const SPACE: char = '\u{2581}';

impl Tokenizer {
    /// The text of `ids`, the same as that of `DecodeIds` in Google's library.
    ///
    /// Control pieces are silent; the unknown piece becomes the model's surface for it (` ⁇ ` unless the model says
    /// otherwise); byte pieces in a row become the characters they spell, and U+FFFD for every byte that belongs to
    /// none; `▁` becomes a space, except at the start of the text.
    ///
    /// # Errors
    /// An id is outside of the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, UnknownId> {
        let mut text = String::new();
        self.decode_into(ids, &mut text)?;
        Ok(text)
    }

    /// Like [`decode`](Self::decode), into a buffer that is emptied first.
    ///
    /// # Errors
    /// An id is outside of the vocabulary; `text` then holds what came before it.
    pub fn decode_into(&self, ids: &[u32], text: &mut String) -> Result<(), UnknownId> {
        text.clear();
        let mut leading = Leading {
            open: true,
            taken: false,
        };
        let mut bytes = Vec::new();
        for &id in ids {
            let piece = self.get(id).ok_or(UnknownId {
                id,
                len: self.len(),
            })?;
            if let Kind::Byte(byte) = piece.kind {
                bytes.push(byte);
                continue;
            }
            flush_bytes(&mut bytes, text);
            leading.open &= !leading.taken && text.is_empty();
            leading.taken = self.push_piece(piece, leading.open, text);
        }
        flush_bytes(&mut bytes, text);
        Ok(())
    }

    /// Appends a piece; says whether it gave up the one space that the encoder had put in front of the text.
    fn push_piece(&self, piece: &Piece, at_start: bool, text: &mut String) -> bool {
        let mut rest = match piece.kind {
            Kind::Text => &*piece.text,
            Kind::Unknown => {
                text.push_str(&self.unknown_surface);
                return false;
            }
            Kind::Control | Kind::Byte(_) => return false,
        };
        let mut taken = false;
        if at_start
            && (self.add_dummy_prefix || self.remove_extra_whitespaces)
            && let Some(stripped) = rest.strip_prefix(SPACE)
        {
            rest = stripped;
            taken = true;
        }
        push_with_spaces(rest, text);
        // A model that removes extra spaces goes on taking them until the text has begun.
        taken && !self.remove_extra_whitespaces
    }
}

/// Whether spaces at the start of the text are still to be taken away.
struct Leading {
    open: bool,
    /// The piece before this one gave up its space.
    taken: bool,
}

fn push_with_spaces(piece: &str, text: &mut String) {
    for (index, part) in piece.split(SPACE).enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(part);
    }
}

/// Appends the characters that `bytes` spell, U+FFFD for each byte that is part of none, and empties `bytes`.
fn flush_bytes(bytes: &mut Vec<u8>, text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // Google's rule is one sign per byte, not, as Unicode advises, one per truncated sequence.
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    bytes.clear();
}
