//! Sentences with their times: the texts of segments, one after the other, and the same with marks.

use std::mem::take;

/// Letters of a sentence that may wait for its end. Then it is taken as it is: no speaker is waited for without end.
const LONGEST: usize = 1000;

/// A time within the audio, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
}

/// A word of a segment, spelled as in the segment's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedWord {
    /// The word, perhaps with marks.
    pub text: String,
    /// When it was spoken, if that is known.
    pub span: Option<Span>,
}

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// With its marks.
    pub text: String,
    /// From its first word to its last, or, where times of words are not known, of the segments that they are in.
    pub span: Span,
}

/// A letter, or mark, that belongs to no finished sentence.
#[derive(Clone, Copy)]
struct Letter {
    letter: char,
    after_space: bool,
    /// The word's, if it is known.
    word: Option<Span>,
    segment: Span,
}

/// The texts of segments on their way to sentences.
///
/// [`push`](Self::push) takes each in its order. When enough words wait, [`text`](Self::text) is what is to get marks, and
/// [`finish`](Self::finish) takes it back with them. The last sentence stays and is asked about again with what follows: marks are made for
/// whole texts, which end with a period wherever they are cut.
#[derive(Default)]
pub struct Sentences {
    waiting: Vec<Letter>,
    new_words: usize,
}

impl Sentences {
    /// Takes the text of the next segment, with its words in their order.
    pub fn push(&mut self, text: &str, words: &[TimedWord], segment: Span) {
        let letters = words.iter().flat_map(|word| {
            let letters = word.text.chars().filter(|letter| !letter.is_whitespace());
            letters.map(|letter| (letter, word.span))
        });
        let mut letters = letters.peekable();
        let text = text.trim();
        let last = self.waiting.last().map(|last| last.letter);
        let mut after_space = needs_space(last, text.chars().next());
        for letter in text.chars() {
            if letter.is_whitespace() {
                after_space = true;
                continue;
            }
            // What is in no word is a mark.
            let own = letters.next_if(|(of_word, _)| *of_word == letter);
            self.waiting.push(Letter {
                letter,
                after_space: take(&mut after_space),
                word: own.and_then(|(_, span)| span),
                segment,
            });
        }
        self.new_words += words.len().max(usize::from(!text.is_empty()));
    }

    /// Words that came since marks were asked for last.
    pub fn new_words(&self) -> usize {
        self.new_words
    }

    /// What waits, without the marks that it is to get.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for letter in &self.waiting {
            if letter.after_space && !text.is_empty() {
                text.push(' ');
            }
            text.push(letter.letter);
        }
        text
    }

    /// From the beginning of what waits to its end.
    pub fn span(&self) -> Option<Span> {
        span_of(&self.waiting)
    }

    /// Takes what [`text`](Self::text) gave with marks in it; `last` if nothing follows.
    pub fn finish(&mut self, marked: &str, last: bool) -> Vec<Sentence> {
        self.new_words = 0;
        let letters = take(&mut self.waiting);
        let mut sentences = Vec::new();
        let (mut begun, mut used) = (0, 0);
        let mut text = String::new();
        let mut rest = marked.trim().chars().peekable();
        while let Some(letter) = rest.next() {
            text.push(letter);
            if letters.get(used).is_some_and(|own| own.letter == letter) {
                used += 1;
            }
            if rest.peek().is_none() || ends_sentence(letter, rest.peek().copied()) {
                sentences.push((take(&mut text), begun..used));
                begun = used;
            }
        }
        // Where other letters came back, nothing can be kept for later.
        let whole = used == letters.len();
        let held = match sentences.as_slice() {
            [.., (_, own)] if whole && !last && (own.start > 0 || own.len() <= LONGEST) => {
                self.waiting = letters[own.clone()].to_vec();
                1
            }
            _ => 0,
        };
        sentences.truncate(sentences.len() - held);
        let mut before = None;
        let sentence = |(text, own): (String, std::ops::Range<usize>)| {
            let span = span_of(&letters[own])
                .or(before)
                .or_else(|| span_of(&letters))?;
            before = Some(span);
            let text = text.trim().to_owned();
            Some(Sentence { text, span })
        };
        sentences.into_iter().filter_map(sentence).collect()
    }
}

/// From the first of these letters to the last.
fn span_of(letters: &[Letter]) -> Option<Span> {
    let (first, last) = (letters.first()?, letters.last()?);
    // A mark has the time of the word beside it.
    let timed = |letter: &&Letter| letter.word.is_some();
    let start = letters
        .iter()
        .find(timed)
        .filter(|own| own.segment == first.segment);
    let end = letters
        .iter()
        .rev()
        .find(timed)
        .filter(|own| own.segment == last.segment);
    let start = start
        .and_then(|letter| letter.word)
        .unwrap_or(first.segment);
    let end = end.and_then(|letter| letter.word).unwrap_or(last.segment);
    Some(Span {
        start_ms: start.start_ms,
        end_ms: end.end_ms.max(start.start_ms),
    })
}

/// Whether a sentence ends with this mark; a point within a number or an address does not end one.
fn ends_sentence(mark: char, next: Option<char>) -> bool {
    match mark {
        '。' | '？' | '！' => !next.is_some_and(is_end),
        '.' | '?' | '!' => {
            !next.is_some_and(|next| next.is_alphanumeric() && is_spaced(next) || is_end(next))
        }
        _ => false,
    }
}

fn is_end(mark: char) -> bool {
    matches!(
        mark,
        '。' | '？' | '！' | '.' | '?' | '!' | '”' | '"' | '」'
    )
}

/// Adds a text behind another, with a space between where their languages have that.
pub fn join(text: &mut String, next: &str) {
    if needs_space(text.chars().last(), next.chars().next()) {
        text.push(' ');
    }
    text.push_str(next);
}

fn needs_space(last: Option<char>, next: Option<char>) -> bool {
    last.is_some_and(is_spaced) && next.is_some_and(is_spaced)
}

/// Whether there are spaces between words of such letters: not where Chinese and Japanese are written.
fn is_spaced(letter: char) -> bool {
    !matches!(letter, '\u{2e80}'..='\u{abff}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start_ms: u64, end_ms: u64) -> Span {
        Span { start_ms, end_ms }
    }

    /// Words of 100 ms from `start` on.
    fn words(text: &[&str], start: u64) -> Vec<TimedWord> {
        let word = |(index, text): (u64, &&str)| TimedWord {
            text: (*text).to_owned(),
            span: Some(span(start + 100 * index, start + 100 * index + 100)),
        };
        (0..).zip(text).map(word).collect()
    }

    fn told(sentences: &[Sentence]) -> Vec<(&str, u64, u64)> {
        let told = |own: &'_ Sentence| (own.span.start_ms, own.span.end_ms);
        sentences
            .iter()
            .map(|own| (own.text.as_str(), told(own).0, told(own).1))
            .collect()
    }

    #[test]
    fn a_sentence_waits_for_what_follows() {
        let mut sentences = Sentences::default();
        sentences.push(
            "今天你好吗",
            &words(&["今", "天", "你", "好", "吗"], 1000),
            span(900, 1600),
        );
        assert_eq!(
            (sentences.text().as_str(), sentences.new_words()),
            ("今天你好吗", 5)
        );
        let first = sentences.finish("今天。你好吗？", false);
        assert_eq!(told(&first), [("今天。", 1000, 1200)]);
        assert_eq!(
            (sentences.text().as_str(), sentences.new_words()),
            ("你好吗", 0)
        );
        sentences.push(
            "hello world",
            &words(&["hello", "world"], 3000),
            span(2900, 3300),
        );
        sentences.push("it's 3.5", &words(&["it's", "3.5"], 5000), span(4900, 5300));
        assert_eq!(sentences.text(), "你好吗hello world it's 3.5");
        let rest = sentences.finish("你好吗hello。world, it's 3.5.", true);
        assert_eq!(
            told(&rest),
            [
                ("你好吗hello。", 1200, 3100),
                ("world, it's 3.5.", 3100, 5200)
            ]
        );
        assert_eq!(sentences.text(), "");
    }

    #[test]
    fn marks_of_the_model_itself_end_sentences_too() {
        let mut sentences = Sentences::default();
        sentences.push(
            "Yes! What?! 好。",
            &words(&["Yes!", "What?!", "好"], 0),
            span(0, 500),
        );
        let text = sentences.text();
        assert_eq!(text, "Yes! What?! 好。");
        assert_eq!(
            told(&sentences.finish(&text, true)),
            [("Yes!", 0, 100), ("What?!", 100, 200), ("好。", 200, 300)]
        );
    }

    #[test]
    fn without_times_of_words_a_sentence_is_as_long_as_its_segments() {
        let mut sentences = Sentences::default();
        let untimed = |text: &str| TimedWord {
            text: text.to_owned(),
            span: None,
        };
        sentences.push("a b", &[untimed("a"), untimed("b")], span(100, 200));
        sentences.push("c", &[], span(300, 400));
        assert_eq!(sentences.new_words(), 3);
        assert_eq!(
            told(&sentences.finish("a. b c.", true)),
            [("a.", 100, 200), ("b c.", 100, 400)]
        );
    }

    #[test]
    fn what_comes_back_with_other_letters_is_taken_as_it_is() {
        let mut sentences = Sentences::default();
        sentences.push("ab", &words(&["ab"], 0), span(0, 100));
        assert_eq!(
            told(&sentences.finish("x. y.", false)),
            [("x.", 0, 100), ("y.", 0, 100)]
        );
        assert_eq!(sentences.text(), "");
        assert_eq!(sentences.finish("", false), []);
    }

    #[test]
    fn a_sentence_without_end_ends() {
        let mut sentences = Sentences::default();
        let text = "好".repeat(LONGEST + 1);
        sentences.push(&text, &[], span(0, 9));
        assert_eq!(sentences.finish(&text, false).len(), 1);
        assert_eq!(sentences.text(), "");
    }

    #[test]
    fn texts_are_joined_as_their_languages_are_written() {
        for (one, other, both) in [
            ("好", "吗", "好吗"),
            ("a", "b", "a b"),
            ("a.", "b", "a. b"),
            ("好。", "b", "好。b"),
            ("a", "好", "a好"),
            ("", "b", "b"),
            ("a", "", "a"),
            ("한", "국", "한 국"),
        ] {
            let mut text = one.to_owned();
            join(&mut text, other);
            assert_eq!(text, both);
        }
    }
}
