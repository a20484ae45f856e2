//! A piece of a speech that goes on.

use super::options::{NO_MARK, PunctuationOptions};
use super::text::{PunctuationError, Text};
use super::vocabulary::PunctuationVocabulary;
use super::words::{is_ascii, words};

/// The words of a speech whose sentence is not finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    words: Vec<String>,
}

impl Cache {
    /// The words, those that follow an English one with a space in front.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// A piece whose marks are not all set yet: the cache's words and its own.
#[derive(Clone, Debug)]
pub struct Piece {
    pub(super) text: Text,
    /// Words of the cache.
    old: usize,
}

impl Piece {
    pub(super) fn new(
        options: &PunctuationOptions,
        vocabulary: &PunctuationVocabulary,
        cache: &Cache,
        piece: &str,
    ) -> Self {
        let before = cache.words.concat();
        let new = words(piece);
        let old = if new.is_empty() {
            Vec::new()
        } else {
            words(&before)
        };
        Self {
            old: old.len(),
            text: Text::new(options, vocabulary, old.into_iter().chain(new)),
        }
    }

    /// The ids of the words that the model is to be asked about next; none when the piece is complete.
    #[must_use]
    pub fn ask(&self) -> Option<&[i32]> {
        self.text.ask()
    }

    /// For [`vad_mask`](super::vad_mask): the words of the cache.
    #[must_use]
    pub fn old(&self) -> usize {
        self.old
    }

    /// Takes what the model says, as [`Text::answer`].
    ///
    /// # Errors
    /// As [`Text::answer`].
    pub fn answer(
        &mut self,
        options: &PunctuationOptions,
        classes: &[usize],
    ) -> Result<(), PunctuationError> {
        self.text.answer(options, classes)
    }

    /// The piece with its marks, in front of it the mark behind the one before; behind it, none yet. The words of the sentence
    /// that it leaves unfinished become those of `cache`.
    pub(super) fn finish(self, options: &PunctuationOptions, cache: &mut Cache) -> String {
        let Text {
            mut words, classes, ..
        } = self.text;
        if words.is_empty() {
            return String::new();
        }
        let ascii: Vec<bool> = words.iter().map(|word| is_ascii(word)).collect();
        for (word, pair) in words.iter_mut().skip(1).zip(ascii.windows(2)) {
            if pair == [true, true] {
                word.insert(0, ' ');
            }
        }
        let (mut text, mut set) = (String::new(), None);
        for (index, (word, (&class, &ascii))) in
            words.iter().zip(classes.iter().zip(&ascii)).enumerate()
        {
            if index >= self.old {
                text.push_str(word);
            }
            if index + 1 >= self.old {
                set = options.mark(class).map(|mark| options.shown(mark, ascii));
                text.push_str(set.unwrap_or_default());
            }
        }
        undo_last(options, set, &mut text);
        let sentence = classes.iter().take(classes.len().saturating_sub(1));
        let unfinished = sentence
            .enumerate()
            .skip(2)
            .rfind(|&(_, &class)| options.ends(class))
            .map_or(0, |(index, _)| index + 1);
        // A speech in which no sentence ever ends goes on for days.
        let most = words.len().saturating_sub(options.longest_call);
        let unfinished = unfinished.max(most);
        cache.words = words.split_off(unfinished);
        text
    }
}

/// Takes back the mark at the end, set or spoken: nobody knows yet what follows.
fn undo_last(options: &PunctuationOptions, set: Option<&str>, text: &mut String) {
    let Some(last) = text.chars().next_back() else {
        return;
    };
    let mut buffer = [0; 4];
    let last: &str = last.encode_utf8(&mut buffer);
    let mut marks = options.marks.iter().filter(|mark| *mark != NO_MARK);
    if set == Some(last) || marks.any(|mark| mark == last) {
        text.pop();
    }
}
