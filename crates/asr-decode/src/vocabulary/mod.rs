//! A Paraformer's vocabulary: `tokens.json`, or the `token_list` of a `config.yaml`.

mod error;
mod yaml;

use std::path::Path;

pub use self::error::VocabularyError;

use crate::words::{Join, Joiner, Subwords};

/// Far more than any vocabulary has (8404 tokens are 60 kB): larger files are refused before they are parsed.
const MAX_BYTES: u64 = 16 << 20;
/// The same for YAML, whose parser can take a hundred times the memory of a hostile file.
const MAX_YAML_BYTES: u64 = 4 << 20;

/// The tokens of a model by id, exactly as the file spells them.
///
/// ```
/// use asr_decode::vocabulary::Vocabulary;
/// let yaml = Vocabulary::from_bytes("fs: 16000\ntoken_list:\n- <blank>\n- 0\n- no\n- -\n- 'on'\n- 好\n".as_bytes())?;
/// let json = Vocabulary::from_bytes(r#"["<blank>", "0", "no", "-", "on", "好"]"#.as_bytes())?;
/// assert_eq!(yaml, json);
/// assert_eq!(yaml.token(2), Some("no"));
/// # Ok::<(), asr_decode::vocabulary::VocabularyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    tokens: Vec<Box<str>>,
    subwords: Option<Subwords>,
}

impl Vocabulary {
    /// Reads `tokens.json` (an array of strings) or a YAML file with a top-level `token_list`; which of them it is,
    /// the content tells. JSON may have 16 MB, YAML 4 MB.
    ///
    /// # Errors
    /// The file cannot be read, or what [`from_bytes`](Self::from_bytes) says; the path is named.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, VocabularyError> {
        let path = path.as_ref();
        let bytes = model_files::read(path, MAX_BYTES).map_err(|source| VocabularyError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|source| VocabularyError::File {
            path: path.to_owned(),
            source: source.into(),
        })
    }

    /// Reads the content of such a file.
    ///
    /// YAML's scalars are kept as they are written: `0`, `1.50`, `no`, `on` and `~` are tokens, not numbers, booleans
    /// or nothing, and so is `-`, although `- -` is a list in a list to YAML.
    ///
    /// # Errors
    /// The bytes are neither, or an entry of the list is not a string.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VocabularyError> {
        check_size(bytes, MAX_BYTES)?;
        let text = std::str::from_utf8(bytes).map_err(|error| VocabularyError::NotUtf8 {
            offset: error.valid_up_to(),
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tokens = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(text)?,
            false => {
                check_size(bytes, MAX_YAML_BYTES)?;
                yaml::token_list(text)?
            }
        };
        Self::from_tokens(tokens)
    }

    fn from_tokens(tokens: Vec<Box<str>>) -> Result<Self, VocabularyError> {
        if tokens.is_empty() {
            return Err(VocabularyError::Empty);
        }
        let any = |is: fn(&str) -> bool| tokens.iter().any(|token| is(token));
        let subwords = match () {
            () if any(|token| token.ends_with("@@")) => Some(Subwords::Continued),
            () if any(|token| token.starts_with('\u{2581}')) => Some(Subwords::Started),
            () => None,
        };
        Ok(Self { tokens, subwords })
    }

    /// Number of tokens: ids are 0 to `len() - 1`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens; never true of a loaded vocabulary.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token as the file spells it, or `None` outside of the vocabulary.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens
            .get(usize::try_from(id).ok()?)
            .map(|token| &**token)
    }

    /// How the vocabulary marks the parts of words; `None` if no token has a mark.
    ///
    /// Without marks every Latin token is taken for a word. That is right for vocabularies of whole words, and wrong
    /// for a copy whose `@@` were lost: its words come apart.
    #[must_use]
    pub fn subwords(&self) -> Option<Subwords> {
        self.subwords
    }

    /// A joiner that knows how this vocabulary marks the parts of words.
    #[must_use]
    pub fn joiner(&self, join: Join) -> Joiner {
        Joiner::new(join, self.subwords.unwrap_or(Subwords::Continued))
    }
}

fn check_size(bytes: &[u8], limit: u64) -> Result<(), VocabularyError> {
    match bytes.len() as u64 > limit {
        true => Err(VocabularyError::TooLarge { limit }),
        false => Ok(()),
    }
}
