//! Words to the cues of subtitles.
//!
//! A cue ends behind a sentence, before a pause, and where another word would make it too long to read: by its width, a line of
//! 42 Latin or 20 Chinese characters, or by its time, 7 s. Behind a comma it ends where the line is half full. A word that is
//! longer than all that is a cue by itself. A cue stays for a second, where the next one leaves it so much: of a short word models hear
//! little more than its middle.

use asr_decode::words::is_spaced_letter;
use unicode_width::UnicodeWidthChar;

use crate::heard::Spoken;

/// A pause, in milliseconds: silence that is longer parts two cues.
const PAUSE_MS: u64 = 600;
/// How long a cue lasts at most, in milliseconds.
const LONGEST_MS: u64 = 7_000;
/// How long a cue lasts at least, in milliseconds, if the next one does not come before.
const LEAST_MS: u64 = 1_000;
/// The width of a line: 42 characters of `NARROW`, or 20 of `WIDE`.
const LINE: usize = 420;
const NARROW: usize = 10;
const WIDE: usize = 21;

/// A line of subtitles, and when it is to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// What is to be read.
    pub text: String,
    /// From the beginning of the recording.
    pub start_ms: u64,
    /// The same.
    pub end_ms: u64,
}

/// The cues of words in the order in which they are spoken. None begins before the one in front of it ends.
pub fn cues(words: &[Spoken<'_>]) -> Vec<Cue> {
    let mut cues: Vec<Cue> = Vec::new();
    let mut ended = true;
    for word in words {
        let shown_until = cues.last().map_or(0, |cue| cue.end_ms);
        let start_ms = word.start_ms.max(shown_until);
        let end_ms = word.end_ms.max(start_ms);
        match cues.last_mut() {
            Some(cue) if !ended && takes(cue, word.text, start_ms, end_ms) => {
                append(&mut cue.text, word.text);
                cue.end_ms = end_ms;
            }
            _ => cues.push(Cue {
                text: word.text.to_owned(),
                start_ms,
                end_ms,
            }),
        }
        ended = cues.last().is_some_and(|cue| ends(&cue.text));
    }
    let mut next_ms = u64::MAX;
    for cue in cues.iter_mut().rev() {
        let least_ms = cue.start_ms.saturating_add(LEAST_MS).min(next_ms);
        cue.end_ms = cue.end_ms.max(least_ms);
        next_ms = cue.start_ms;
    }
    cues
}

/// Whether a word still belongs to a cue.
fn takes(cue: &Cue, word: &str, start_ms: u64, end_ms: u64) -> bool {
    let space = if parted(&cue.text, word) { NARROW } else { 0 };
    start_ms - cue.end_ms <= PAUSE_MS
        && end_ms - cue.start_ms <= LONGEST_MS
        && width(&cue.text) + space + width(word) <= LINE
}

/// Whether a cue that reads so is complete.
fn ends(text: &str) -> bool {
    match text.trim_end_matches(is_closing).chars().next_back() {
        Some('.' | '!' | '?' | '…' | '。' | '！' | '？') => true,
        Some(',' | ';' | ':' | '、' | '，' | '；' | '：') => width(text) >= LINE / 2,
        _ => false,
    }
}

/// What may stand behind the sign that ends a sentence.
fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | '”' | '’' | '）' | '」' | '』' | '》')
}

fn append(text: &mut String, word: &str) {
    if parted(text, word) {
        text.push(' ');
    }
    text.push_str(word);
}

/// Whether a space goes between two words: where both scripts write one. A number goes with the word beside it.
fn parted(before: &str, after: &str) -> bool {
    let last = before.chars().rfind(|c| c.is_alphanumeric());
    let first = after.chars().find(|c| c.is_alphanumeric());
    let (Some(last), Some(first)) = (last, first) else {
        return false;
    };
    match (is_spaced_letter(last), is_spaced_letter(first)) {
        (true, spaced) => spaced || first.is_ascii_digit(),
        (false, spaced) => spaced && last.is_ascii_digit(),
    }
}

fn width(text: &str) -> usize {
    let of = |c: char| match c.width() {
        Some(0) | None => 0,
        Some(1) => NARROW,
        Some(_) => WIDE,
    };
    text.chars().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of 200 ms, one right after the other.
    fn at_once<'a>(words: &[&'a str]) -> Vec<Spoken<'a>> {
        let spoken = |(at, &text): (usize, &&'a str)| Spoken {
            text,
            start_ms: at as u64 * 200,
            end_ms: at as u64 * 200 + 200,
        };
        words.iter().enumerate().map(spoken).collect()
    }

    fn texts(words: &[Spoken<'_>]) -> Vec<String> {
        cues(words).into_iter().map(|cue| cue.text).collect()
    }

    #[test]
    fn words_are_parted_where_both_scripts_write_spaces() {
        let joined = |words: &[&str]| texts(&at_once(words)).join("|");
        assert_eq!(joined(&["water", "world"]), "water world");
        assert_eq!(joined(&["红", "色", "hello", "看"]), "红色hello看");
        assert_eq!(joined(&["well,", "yes"]), "well, yes");
        assert_eq!(joined(&["room", "3", "is", "free"]), "room 3 is free");
        assert_eq!(joined(&["第", "3", "遍"]), "第3遍");
        assert_eq!(joined(&["안녕", "세상"]), "안녕 세상");
        assert_eq!(joined(&["好", "，", "看"]), "好，看");
    }

    #[test]
    fn a_sentence_or_a_pause_ends_a_cue() {
        let sentences = at_once(&["good", "day.", "再", "见。", "“好。”", "好"]);
        assert_eq!(texts(&sentences), ["good day.", "再见。", "“好。”", "好"]);
        let mut words = at_once(&["a", "b", "c"]);
        words[1].start_ms += 600;
        words[1].end_ms += 600;
        words[2].start_ms += 1201;
        words[2].end_ms += 1201;
        let found = cues(&words);
        assert_eq!(
            found,
            [
                Cue {
                    text: "a b".to_owned(),
                    start_ms: 0,
                    end_ms: 1000
                },
                Cue {
                    text: "c".to_owned(),
                    start_ms: 1601,
                    end_ms: 2601
                }
            ]
        );
    }

    #[test]
    fn a_cue_is_a_line_of_42_latin_or_20_chinese_characters() {
        let chinese = ["好"; 45];
        let lengths: Vec<_> = texts(&at_once(&chinese))
            .iter()
            .map(|text| text.chars().count())
            .collect();
        assert_eq!(lengths, [20, 20, 5]);
        // Seven letters and a space, five times, are 40.
        let latin = ["weather"; 7];
        let lengths: Vec<_> = texts(&at_once(&latin)).iter().map(String::len).collect();
        assert_eq!(lengths, [39, 15]);
        let long = "x".repeat(60);
        assert_eq!(texts(&at_once(&["a", &long, "b"])), ["a", &long, "b"]);
        // Behind a comma, only where the line is half full.
        let commas = ["well,", "somewhat", "later", "on,", "yes"];
        assert_eq!(
            texts(&at_once(&commas)),
            ["well, somewhat later on,", "yes"]
        );
    }

    #[test]
    fn a_cue_lasts_at_most_7_seconds() {
        let slow: Vec<_> = (0..12)
            .map(|at| Spoken {
                text: "a",
                start_ms: at * 1000,
                end_ms: at * 1000 + 1000,
            })
            .collect();
        let times: Vec<_> = cues(&slow)
            .iter()
            .map(|cue| (cue.start_ms, cue.end_ms))
            .collect();
        assert_eq!(times, [(0, 7000), (7000, 12_000)]);
    }

    #[test]
    fn cues_do_not_overlap_whatever_a_model_says() {
        let word = |text, start_ms, end_ms| Spoken {
            text,
            start_ms,
            end_ms,
        };
        let times = |words: &[Spoken<'_>]| {
            let found = cues(words);
            let pairs = found.iter().map(|cue| (cue.start_ms, cue.end_ms));
            pairs.collect::<Vec<_>>()
        };
        let overlapping = [word("好。", 100, 500), word("好", 400, 450)];
        assert_eq!(times(&overlapping), [(100, 500), (500, 1500)]);
        assert_eq!(times(&[word("好", 300, 200)]), [(300, 1300)]);
        // Whatever the numbers.
        assert_eq!(
            times(&[word("好", u64::MAX, 0), word("好", 5, 5)]),
            [(u64::MAX, u64::MAX)]
        );
        assert!(cues(&[]).is_empty());
    }

    #[test]
    fn a_cue_stays_for_a_second_or_until_the_next() {
        let word = |text, start_ms| Spoken {
            text,
            start_ms,
            end_ms: start_ms + 60,
        };
        let words = [word("好。", 300), word("好。", 800), word("好。", 5000)];
        let times: Vec<_> = cues(&words)
            .iter()
            .map(|cue| (cue.start_ms, cue.end_ms))
            .collect();
        assert_eq!(times, [(300, 800), (800, 1800), (5000, 6000)]);
    }
}
