//! Which of a model's outputs are asked for, and what their answers say.

use anyhow::{Result, bail};

use crate::http::Answer;
use transcripts::{Heard, Timed};

/// The outputs, by what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The transcript alone.
    Transcript,
    /// The document with all that the model says.
    Document,
    /// The transcript and the words with their times.
    Words,
}

const TRANSCRIPTS: &str = "TRANSCRIPTS";
const RESULT_JSON: &str = "RESULT_JSON";
const WORDS: [&str; 3] = ["WORDS", "WORD_START_MS", "WORD_END_MS"];

impl Wanted {
    /// The most that a model with these outputs says.
    pub(super) fn of(outputs: &[String]) -> Self {
        let has = |name: &str| outputs.iter().any(|output| output == name);
        if has(RESULT_JSON) {
            Self::Document
        } else if WORDS.into_iter().all(has) {
            Self::Words
        } else {
            Self::Transcript
        }
    }

    /// The same, where words with times are needed.
    ///
    /// # Errors
    /// If the model has none.
    pub(super) fn with_times(model: &str, outputs: &[String]) -> Result<Self> {
        match Self::of(outputs) {
            Self::Transcript => bail!(
                "{model} says no times: its outputs are {}; `triton-funasr repo --outputs all` makes a repository whose models \
                 have RESULT_JSON and WORDS",
                outputs.join(", ")
            ),
            wanted => Ok(wanted),
        }
    }

    /// The names of the outputs.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Transcript => &[TRANSCRIPTS],
            Self::Document => &[TRANSCRIPTS, RESULT_JSON],
            Self::Words => &[TRANSCRIPTS, WORDS[0], WORDS[1], WORDS[2]],
        }
    }

    /// The transcript, and what more the model says.
    pub(super) fn read(self, answer: &Answer) -> Result<(String, Option<Heard>)> {
        let transcript = answer.string(TRANSCRIPTS)?;
        let heard = match self {
            Self::Transcript => None,
            Self::Document => {
                let mut heard = Heard::parse(&answer.string(RESULT_JSON)?)?;
                if heard.text.is_empty() && heard.raw.is_empty() {
                    // Of a stream in two passes, whose document has the texts one by one.
                    heard.raw.clone_from(&transcript);
                    heard.text.clone_from(&transcript);
                }
                Some(heard)
            }
            Self::Words => Some(Heard {
                text: transcript.clone(),
                raw: transcript.clone(),
                words: words(answer)?,
                ..Heard::default()
            }),
        };
        Ok((transcript, heard))
    }
}

/// The words of an answer of one row.
fn words(answer: &Answer) -> Result<Vec<Timed>> {
    let texts = answer.strings(WORDS[0])?;
    let (starts, ends) = (answer.integers(WORDS[1])?, answer.integers(WORDS[2])?);
    if texts.len() != starts.len() || texts.len() != ends.len() {
        bail!(
            "{} words have {} starts and {} ends",
            texts.len(),
            starts.len(),
            ends.len()
        );
    }
    let times = starts.into_iter().zip(ends);
    let known = |ms: i32| u64::try_from(ms).ok();
    let words = texts
        .into_iter()
        .zip(times)
        .map(|(text, (start, end))| Timed {
            text,
            start_ms: known(start),
            end_ms: known(end),
            confidence: None,
        });
    // A row is filled up to the longest with nothing.
    Ok(words.filter(|word| !word.text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_document_is_preferred_to_words() {
        let all = outputs("TRANSCRIPTS RESULT_JSON WORDS WORD_START_MS WORD_END_MS");
        assert_eq!(Wanted::of(&all), Wanted::Document);
        assert_eq!(Wanted::of(&all[2..]), Wanted::Words);
        // All three of them, or none.
        assert_eq!(Wanted::of(&all[2..4]), Wanted::Transcript);
        assert_eq!(Wanted::Document.names(), ["TRANSCRIPTS", "RESULT_JSON"]);
        let error = Wanted::with_times("sensevoice", &outputs("TRANSCRIPTS TEXT")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with(
                "sensevoice says no times: its outputs are TRANSCRIPTS, TEXT; `triton-funasr repo --outputs all`"
            ),
            "{error}"
        );
    }

    #[test]
    fn words_and_times_of_an_answer_go_together() {
        let words = b"\x03\0\0\0\xe5\xa5\xbd\x02\0\0\0hi\0\0\0\0";
        let (starts, ends) = (b"\x3c\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", [0; 12]);
        let answer = |starts| {
            Answer::of(&[
                ("TRANSCRIPTS", b"\x02\0\0\0ah"),
                ("WORDS", words),
                ("WORD_START_MS", starts),
                ("WORD_END_MS", &ends),
            ])
        };
        let (text, heard) = Wanted::Words.read(&answer(starts)).unwrap();
        assert_eq!(text, "ah");
        let word = |text: &str, start_ms| Timed {
            text: text.to_owned(),
            start_ms,
            end_ms: Some(0),
            confidence: None,
        };
        let heard = heard.unwrap();
        assert_eq!(heard.words, [word("好", Some(60)), word("hi", None)]);
        let error = Wanted::Words.read(&answer(&starts[4..])).unwrap_err();
        assert_eq!(error.to_string(), "3 words have 2 starts and 3 ends");
    }

    #[test]
    fn a_document_comes_with_the_transcript() {
        let answer = Answer::of(&[
            ("TRANSCRIPTS", b"\x02\0\0\0ah"),
            ("RESULT_JSON", b"\x0d\0\0\0{\"text\":\"oh\"}"),
        ]);
        let (text, heard) = Wanted::Document.read(&answer).unwrap();
        assert_eq!((text.as_str(), heard.unwrap().text.as_str()), ("ah", "oh"));
        let (_, heard) = Wanted::Transcript.read(&answer).unwrap();
        assert_eq!(heard, None);
        assert!(Wanted::Words.read(&answer).is_err());
    }
}
