//! A text on its way through the model, call by call.

use std::ops::Range;

use super::options::{COMMA, MarkStyle, PAUSE, PERIOD, PunctuationOptions, QUESTION};
use super::vocabulary::PunctuationVocabulary;
use super::words::is_ascii;

/// What a model says cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PunctuationError {
    /// It answers for another number of words.
    #[error("the model answered {got} marks for {asked} words")]
    Words {
        /// Words asked for.
        asked: usize,
        /// Marks answered.
        got: usize,
    },
    /// It answers another number of scores a word than there are marks.
    #[error("the model answered {values} scores for {words} words; punc_list has {marks} marks")]
    Scores {
        /// Scores answered.
        values: usize,
        /// Words asked for.
        words: usize,
        /// Marks that there are.
        marks: usize,
    },
    /// It answers a class that stands for no mark.
    #[error("the model answered mark {class}; punc_list has {marks} marks")]
    NoSuchMark {
        /// What was answered.
        class: usize,
        /// Marks that there are.
        marks: usize,
    },
}

/// A text whose marks are not all set yet.
#[derive(Clone, Debug)]
pub struct Text {
    pub(super) words: Vec<String>,
    ids: Vec<i32>,
    /// The words of the call to be made.
    call: Range<usize>,
    /// The classes of the words before them.
    pub(super) classes: Vec<usize>,
    /// Where the parts end that were settled at once, in order.
    parts: Vec<usize>,
}

impl Text {
    pub(super) fn new<'w>(
        options: &PunctuationOptions,
        vocabulary: &PunctuationVocabulary,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Self {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let ids = words.iter().map(|word| vocabulary.id(word)).collect();
        Self {
            call: 0..words.len().min(options.split_size),
            words,
            ids,
            classes: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// The ids of the words that the model is to be asked about next; none when the text is complete.
    #[must_use]
    pub fn ask(&self) -> Option<&[i32]> {
        self.ids
            .get(self.call.clone())
            .filter(|ids| !ids.is_empty())
    }

    /// Takes what the model says: for each word asked about the class of the mark behind it.
    ///
    /// # Errors
    /// When that are not as many classes as words, or one of them stands for no mark; then nothing was taken.
    pub fn answer(
        &mut self,
        options: &PunctuationOptions,
        classes: &[usize],
    ) -> Result<(), PunctuationError> {
        let asked = self.call.len();
        if classes.len() != asked {
            let got = classes.len();
            return Err(PunctuationError::Words { asked, got });
        }
        let marks = options.marks.len();
        if let Some(&class) = classes.iter().find(|&&class| class >= marks) {
            return Err(PunctuationError::NoSuchMark { class, marks });
        }
        let all = self.words.len();
        let settled = if self.call.end == all {
            Settled::words(asked)
        } else {
            settled(options, classes)
        };
        let known = self.classes.len();
        self.classes.extend(classes.iter().take(settled.words));
        if let (true, Some(class)) = (settled.cut, self.classes[known..].last_mut()) {
            *class = options.period();
        }
        let start = self.call.start + settled.words;
        self.parts.push(start);
        // As a call ends at a multiple of `split_size`, so do all but the last.
        self.call = start..self.call.end.saturating_add(options.split_size).min(all);
        Ok(())
    }

    /// The text with its marks, and a period at the end if it has none.
    pub(super) fn render(&self, options: &PunctuationOptions) -> String {
        let mut text = String::new();
        for (index, (word, &class)) in self.words.iter().zip(&self.classes).enumerate() {
            let ascii = is_ascii(word);
            let first = self.parts.binary_search(&index).is_ok();
            if let Some(before) = index.checked_sub(1).and_then(|at| self.words.get(at))
                && ascii
                && is_ascii(before)
                && (!first || options.style == MarkStyle::ByWord)
            {
                text.push(' ');
            }
            text.push_str(word);
            if let Some(mark) = options.mark(class) {
                text.push_str(options.shown(mark, ascii));
            }
        }
        finish(options, &mut text);
        text
    }
}

/// How many words of a call are settled.
struct Settled {
    words: usize,
    /// They end with a comma, of which a period is made.
    cut: bool,
}

impl Settled {
    fn words(words: usize) -> Self {
        Self { words, cut: false }
    }
}

/// What is settled of a call that others follow: up to its last sentence's end. The end of a sentence of up to two words does not
/// count, nor does one behind the last word.
fn settled(options: &PunctuationOptions, classes: &[usize]) -> Settled {
    let inner = classes.len().saturating_sub(1);
    let last = |wanted: &dyn Fn(usize) -> bool| {
        let inner = classes.iter().take(inner);
        inner
            .enumerate()
            .skip(2)
            .filter(|&(_, &class)| wanted(class))
            .map(|(index, _)| index + 1)
            .last()
    };
    if let Some(words) = last(&|class| options.ends(class)) {
        return Settled::words(words);
    }
    if classes.len() > options.longest_sentence {
        let comma = last(&|class| options.mark(class) == Some(COMMA));
        if let Some(words) = comma {
            return Settled { words, cut: true };
        }
        if classes.len() > options.longest_call {
            return Settled::words(classes.len());
        }
    }
    Settled::words(0)
}

/// Ends a text with a period, unless it ends with one or with a question mark.
fn finish(options: &PunctuationOptions, text: &mut String) {
    let Some(last) = text.chars().next_back() else {
        return;
    };
    let mut buffer = [0; 4];
    let last_text: &str = last.encode_utf8(&mut buffer);
    let english = options.style == MarkStyle::ByWord && last.is_ascii();
    match last_text {
        PERIOD | QUESTION => return,
        "." | "?" if english => return,
        COMMA | PAUSE => {
            text.pop();
        }
        "," if english => {
            text.pop();
        }
        _ => {}
    }
    text.push_str(if english { "." } else { PERIOD });
}
