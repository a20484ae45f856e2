//! Vocabulary and options of a model.

use super::options::PunctuationOptions;
use super::piece::{Cache, Piece};
use super::text::{PunctuationError, Text};
use super::vocabulary::PunctuationVocabulary;
use super::words::words;
use crate::ConfigError;

/// Sets the marks of texts, with a model that somebody else calls.
///
/// ```
/// use speech_segments::punctuation::{PunctuationOptions, PunctuationVocabulary, Punctuator};
///
/// let vocabulary = ["你", "好", "吗", "<unk>"].map(str::to_owned).to_vec();
/// let options = PunctuationOptions::new(["_", "，", "。", "？"].map(str::to_owned))?;
/// let punctuator = Punctuator::new(options, PunctuationVocabulary::new(vocabulary)?)?;
///
/// let mut text = punctuator.text("你好 hello 你好吗");
/// while let Some(ids) = text.ask() {
///     assert_eq!(ids, [0, 1, 3, 0, 1, 2]);
///     // What a model would find.
///     let classes = [0, 1, 1, 0, 0, 3];
///     punctuator.answer(&mut text, &classes)?;
/// }
/// assert_eq!(punctuator.finish(text), "你好，hello，你好吗？");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Punctuator {
    options: PunctuationOptions,
    vocabulary: PunctuationVocabulary,
}

impl Punctuator {
    /// With a model's options and words.
    ///
    /// # Errors
    /// When the options make no sense.
    pub fn new(
        options: PunctuationOptions,
        vocabulary: PunctuationVocabulary,
    ) -> Result<Self, ConfigError> {
        options.validate()?;
        Ok(Self {
            options,
            vocabulary,
        })
    }

    /// The options it has.
    #[must_use]
    pub fn options(&self) -> &PunctuationOptions {
        &self.options
    }

    /// A whole text. Marks that it has are words.
    #[must_use]
    pub fn text(&self, text: &str) -> Text {
        Text::new(&self.options, &self.vocabulary, words(text))
    }

    /// The next piece of a speech, whose cache was left by the piece before.
    #[must_use]
    pub fn piece(&self, cache: &Cache, piece: &str) -> Piece {
        Piece::new(&self.options, &self.vocabulary, cache, piece)
    }

    /// Takes what the model says of the words that `text` asked about; see [`Text::answer`].
    ///
    /// # Errors
    /// As [`Text::answer`].
    pub fn answer(&self, text: &mut Text, classes: &[usize]) -> Result<(), PunctuationError> {
        text.answer(&self.options, classes)
    }

    /// The same for a piece.
    ///
    /// # Errors
    /// As [`Text::answer`].
    pub fn answer_piece(
        &self,
        piece: &mut Piece,
        classes: &[usize],
    ) -> Result<(), PunctuationError> {
        piece.answer(&self.options, classes)
    }

    /// The text with its marks; it ends a sentence. Complete when [`Text::ask`] asks for nothing.
    #[must_use]
    pub fn finish(&self, text: Text) -> String {
        text.render(&self.options)
    }

    /// The piece with its marks, the mark behind the one before in front of it; behind it, none yet. `cache` has the words of the
    /// unfinished sentence then.
    #[must_use]
    pub fn finish_piece(&self, piece: Piece, cache: &mut Cache) -> String {
        piece.finish(&self.options, cache)
    }

    /// The best class of each word, of the model's scores `[words, marks]`; of equal ones, the first.
    ///
    /// # Errors
    /// When that are not as many scores.
    pub fn best(&self, scores: &[f32], words: usize) -> Result<Vec<usize>, PunctuationError> {
        let marks = self.options.marks.len();
        if words.checked_mul(marks) != Some(scores.len()) {
            return Err(PunctuationError::Scores {
                values: scores.len(),
                words,
                marks,
            });
        }
        let best = |scores: &[f32]| {
            let mut best = (0, f32::NEG_INFINITY);
            for (class, &score) in scores.iter().enumerate() {
                if score > best.1 {
                    best = (class, score);
                }
            }
            best.0
        };
        Ok(scores.chunks_exact(marks.max(1)).map(best).collect())
    }
}
