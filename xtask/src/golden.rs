//! `golden.tsv`: what a demo model answers for each recording.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;

/// One recording's answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Golden {
    /// The recording's file name.
    pub recording: String,
    /// What the model answers, in a form of its own for each kind of model.
    pub answer: String,
}

/// Reads a `golden.tsv`.
pub fn read(path: &Path) -> Result<Vec<Golden>> {
    fs::read_to_string(path)
        .map_err(anyhow::Error::from)
        .and_then(|text| parse(&text))
        .with_context(|| format!("cannot read {}", path.display()))
}

/// A heading, then per line recording, language, spoken text and answer, separated by tabs.
fn parse(text: &str) -> Result<Vec<Golden>> {
    text.lines()
        .enumerate()
        .skip(1)
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| parse_line(line).with_context(|| format!("line {}", index + 1)))
        .collect()
}

fn parse_line(line: &str) -> Result<Golden> {
    let columns: Vec<_> = line.split('\t').collect();
    let [recording, _language, _spoken, answer] = columns[..] else {
        bail!("{} columns instead of 4", columns.len());
    };
    Ok(Golden {
        recording: recording.to_owned(),
        answer: answer.to_owned(),
    })
}

/// SenseVoice's transcripts without and with inverse text normalisation.
pub fn text_norms(answer: &str) -> Result<(&str, &str)> {
    const WITH_ITN: &str = "  ||withitn: ";
    answer
        .split_once(WITH_ITN)
        .with_context(|| format!("no `{WITH_ITN}` between two texts"))
}

/// Paraformer's transcript: the answer's tokens, joined to words as the server joins them.
pub fn words(vocabulary: &Vocabulary, answer: &str) -> Result<String> {
    Ok(deltas(vocabulary, answer)?.concat())
}

/// What each chunk of a stream adds to the transcript. The answer has `|` between the chunks' tokens.
pub fn deltas(vocabulary: &Vocabulary, answer: &str) -> Result<Vec<String>> {
    let mut joiner = vocabulary.joiner(Join::Words);
    let mut deltas = Vec::new();
    for chunk in answer.split('|') {
        let mut delta = String::new();
        for token in tokens_in(vocabulary, chunk.trim())? {
            joiner.push(token, &mut delta);
        }
        deltas.push(delta);
    }
    if let Some(last) = deltas.last_mut() {
        joiner.finish(last);
    }
    Ok(deltas)
}

/// The tokens that `text` was put together from, without anything between them.
fn tokens_in<'a>(vocabulary: &'a Vocabulary, text: &str) -> Result<Vec<&'a str>> {
    let mut tokens: Vec<_> = (0..)
        .map_while(|id| vocabulary.token(id))
        .filter(|token| !token.is_empty())
        .collect();
    // The longest that fits is right, unless the rest cannot be put together then.
    tokens.sort_by_key(|token| std::cmp::Reverse(token.len()));
    split(&tokens, text).with_context(|| format!("`{text}` does not consist of tokens"))
}

fn split<'a>(tokens: &[&'a str], text: &str) -> Option<Vec<&'a str>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    tokens.iter().find_map(|&token| {
        let mut rest = split(tokens, text.strip_prefix(token)?)?;
        rest.insert(0, token);
        Some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::from_bytes(include_bytes!("../../demo/paraformer/tokens.json")).unwrap()
    }

    #[test]
    fn the_sensevoice_file_is_read_whole_and_to_the_letter() {
        let golden = parse(include_str!("../../demo/sensevoice/golden.tsv")).unwrap();
        assert_eq!(golden.len(), 11);
        assert_eq!(golden[0].recording, "00_zh.wav");
        assert_eq!(
            text_norms(&golden[1].answer).unwrap(),
            (
                "<|zh|><|NEUTRAL|><|Speech|><|woitn|>再见七九二九",
                "<|zh|><|NEUTRAL|><|Speech|><|withitn|>再见7929。"
            )
        );
        // The space in front of a Latin word belongs to the text.
        assert_eq!(
            text_norms(&golden[8].answer).unwrap().0,
            "<|en|><|NEUTRAL|><|Speech|><|woitn|> good"
        );
        assert_eq!(
            text_norms(&golden[10].answer).unwrap().1,
            "<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|withitn|>"
        );
    }

    #[test]
    fn paraformers_tokens_are_joined_to_words() {
        let golden = parse(include_str!("../../demo/paraformer/golden.tsv")).unwrap();
        let vocabulary = vocabulary();
        let text = |index: usize| words(&vocabulary, &golden[index].answer).unwrap();
        assert_eq!(text(0), "红色空调晚上朋友");
        assert_eq!(text(6), "water world please two");
        assert_eq!(text(10), "");
        assert_eq!(golden.len(), 11);
    }

    #[test]
    fn a_streams_deltas_put_together_are_its_text() {
        let golden = parse(include_str!("../../demo/paraformer_online/golden.tsv")).unwrap();
        let vocabulary = vocabulary();
        let deltas = |index: usize| deltas(&vocabulary, &golden[index].answer).unwrap();
        assert_eq!(deltas(0), ["", "红", "色空调", "晚上", "朋", "友"]);
        assert_eq!(deltas(6), ["", "water", " world please", " you", " school"]);
        assert_eq!(deltas(10), ["", "", "", ""]);
    }

    #[test]
    fn what_begins_like_a_longer_token_is_still_found() {
        let vocabulary = Vocabulary::from_bytes(br#"["to", "two", "t", "wood"]"#).unwrap();
        assert_eq!(
            tokens_in(&vocabulary, "twotwood").unwrap(),
            ["two", "t", "wood"]
        );
        let error = tokens_in(&vocabulary, "twx").unwrap_err();
        assert_eq!(error.to_string(), "`twx` does not consist of tokens");
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = parse("heading\na.wav\tzh\ttext\n").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: 3 columns instead of 4");
        let error = text_norms("one").unwrap_err();
        assert!(error.to_string().starts_with("no `  ||withitn: `"));
    }
}
