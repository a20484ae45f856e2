//! Reads and checks a model file.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message as _;

use super::proto;
use super::tokenizer::{Kind, Piece, Tokenizer};

/// A file far larger than any published vocabulary (5 MB for 250 000 pieces) is refused before it is parsed, since a
/// parsed piece can take sixteen times the memory it takes in a hostile file.
const MAX_BYTES: u64 = 16 << 20;

/// Google's default for `unk_surface`: U+2047 between spaces.
const DEFAULT_UNKNOWN_SURFACE: &str = " \u{2047} ";

/// A file that does not hold a usable SentencePiece model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the tokenizer {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is read, but holds no usable model.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<LoadError>,
    },
    /// More bytes than any model has.
    #[error("not a SentencePiece model: larger than {} MB", MAX_BYTES >> 20)]
    TooLarge,
    /// A Git LFS pointer in the place of the file.
    #[error(
        "not a SentencePiece model but a Git LFS pointer to one: fetch the file itself (git lfs pull)"
    )]
    LfsPointer,
    /// The bytes are not a model's protobuf message: another kind of file, or a damaged one.
    #[error("not a SentencePiece model, or a damaged one: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// The model has no pieces.
    #[error("not a SentencePiece model: it holds no pieces")]
    NoPieces,
    /// A text of the model is not UTF-8.
    #[error("damaged SentencePiece model: {what} is not UTF-8")]
    NotUtf8 {
        /// Which text.
        what: String,
    },
    /// A piece is empty, defined twice, or unfit for its type.
    #[error("unusable SentencePiece model: piece {id} {text:?} {reason}")]
    Piece {
        /// The piece's id.
        id: usize,
        /// The start of its text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Every model has one piece for what is unknown.
    #[error("unusable SentencePiece model: none of its {pieces} pieces is of the type UNKNOWN")]
    NoUnknown {
        /// Pieces in the model.
        pieces: usize,
    },
    /// A model with `byte_fallback` needs a piece for each byte.
    #[error("unusable SentencePiece model: byte_fallback is set, but the piece {piece} is missing")]
    MissingByte {
        /// The first missing piece.
        piece: String,
    },
    /// The model rewrites decoded text by rules of its own.
    #[error(
        "unsupported SentencePiece model: it has a denormalizer (denormalizer_spec with a character map)"
    )]
    Denormalizer,
}

impl Tokenizer {
    /// Reads a `.model` file.
    ///
    /// # Errors
    /// The file cannot be read, or what [`from_bytes`](Self::from_bytes) says; the path is named.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes = model_files::read(path, MAX_BYTES).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|source| LoadError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Reads the bytes of a `.model` file (a serialised `sentencepiece.ModelProto`).
    ///
    /// What Google's library refuses is refused, for the same reasons: no unknown piece or two, empty or duplicate
    /// pieces, byte pieces without `byte_fallback` or fewer than 256 with it.
    ///
    /// # Errors
    /// The bytes are no such message, or one of a model that cannot be decoded with. A model with a denormalizer is
    /// refused, since its texts would be wrong without it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(LoadError::TooLarge);
        }
        if bytes.starts_with(b"version https://git-lfs") {
            return Err(LoadError::LfsPointer);
        }
        let model = proto::Model::decode(bytes)?;
        let charsmap = model
            .denormalizer_spec
            .and_then(|spec| spec.precompiled_charsmap);
        if charsmap.is_some_and(|charsmap| !charsmap.is_empty()) {
            return Err(LoadError::Denormalizer);
        }
        let trainer = model.trainer_spec.unwrap_or_default();
        let normalizer = model.normalizer_spec.unwrap_or_default();
        let unknown_surface = match trainer.unk_surface {
            Some(surface) => utf8(surface, || "unk_surface".to_owned())?,
            None => DEFAULT_UNKNOWN_SURFACE.to_owned(),
        };
        Ok(Self {
            pieces: read_pieces(model.pieces, trainer.byte_fallback.unwrap_or(false))?,
            unknown_surface: unknown_surface.into_boxed_str(),
            add_dummy_prefix: normalizer.add_dummy_prefix.unwrap_or(true),
            remove_extra_whitespaces: normalizer.remove_extra_whitespaces.unwrap_or(true),
        })
    }
}

fn read_pieces(raw: Vec<proto::Piece>, byte_fallback: bool) -> Result<Vec<Piece>, LoadError> {
    if raw.is_empty() {
        return Err(LoadError::NoPieces);
    }
    let mut pieces = Vec::with_capacity(raw.len());
    for (id, piece) in raw.into_iter().enumerate() {
        let text = utf8(piece.piece.unwrap_or_default(), || format!("piece {id}"))?;
        let kind = kind(piece.kind, &text, byte_fallback);
        let kind = kind.map_err(|reason| LoadError::Piece {
            id,
            text: start_of(&text),
            reason,
        })?;
        pieces.push(Piece {
            text: text.into_boxed_str(),
            kind,
        });
    }
    check_unique(&pieces)?;
    if byte_fallback {
        check_bytes(&pieces)?;
    }
    Ok(pieces)
}

fn kind(number: Option<i32>, text: &str, byte_fallback: bool) -> Result<Kind, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    match number {
        Some(2) => Ok(Kind::Unknown),
        Some(3) => Ok(Kind::Control),
        Some(6) if !byte_fallback => Err("is of the type BYTE, but byte_fallback is not set"),
        Some(6) => byte_of(text)
            .map(Kind::Byte)
            .ok_or("is of the type BYTE, but not of the form <0xE4>"),
        // 1 NORMAL, 4 USER_DEFINED, 5 UNUSED. As protobuf has it, a number that nobody knows is the default, NORMAL.
        _ => Ok(Kind::Text),
    }
}

/// The byte that a piece like `<0xE4>` spells, with upper-case digits only.
fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'A'..=b'F');
    (digits.len() == 2 && digits.bytes().all(is_digit))
        .then(|| u8::from_str_radix(digits, 16).ok())?
}

/// One unknown piece, and no piece twice; a text piece may be spelled like a control, unknown or byte piece.
fn check_unique(pieces: &[Piece]) -> Result<(), LoadError> {
    let mut seen = HashSet::with_capacity(pieces.len());
    let mut unknown = false;
    for (id, piece) in pieces.iter().enumerate() {
        let error = |reason| LoadError::Piece {
            id,
            text: start_of(&piece.text),
            reason,
        };
        if !seen.insert((piece.kind == Kind::Text, &*piece.text)) {
            return Err(error("is defined twice"));
        }
        if piece.kind == Kind::Unknown && std::mem::replace(&mut unknown, true) {
            return Err(error("is a second piece of the type UNKNOWN"));
        }
    }
    if unknown {
        Ok(())
    } else {
        Err(LoadError::NoUnknown {
            pieces: pieces.len(),
        })
    }
}

fn check_bytes(pieces: &[Piece]) -> Result<(), LoadError> {
    let mut found = [false; 256];
    for piece in pieces {
        if let Kind::Byte(byte) = piece.kind {
            found[usize::from(byte)] = true;
        }
    }
    match found.iter().position(|&found| !found) {
        Some(byte) => Err(LoadError::MissingByte {
            piece: format!("<0x{byte:02X}>"),
        }),
        None => Ok(()),
    }
}

/// As much of a piece as a message can show.
fn start_of(text: &str) -> String {
    const LONGEST: usize = 40;
    text.chars().take(LONGEST).collect()
}

fn utf8(bytes: Vec<u8>, what: impl FnOnce() -> String) -> Result<String, LoadError> {
    String::from_utf8(bytes).map_err(|_| LoadError::NotUtf8 { what: what() })
}
