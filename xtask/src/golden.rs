//! `golden.tsv`: what the demo model answers for each recording.

use anyhow::{Context, Result, bail};

/// Stands between the two texts of a line.
const WITH_ITN: &str = "  ||withitn: ";

/// One recording's answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Golden {
    /// The recording's file name.
    pub(crate) recording: String,
    /// The transcript without inverse text normalisation.
    pub(crate) without_itn: String,
    /// The transcript with inverse text normalisation.
    pub(crate) with_itn: String,
}

/// Reads the file: a heading, then per line recording, language, spoken text and answers, separated by tabs.
pub(crate) fn parse(text: &str) -> Result<Vec<Golden>> {
    text.lines()
        .enumerate()
        .skip(1)
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| parse_line(line).with_context(|| format!("line {}", index + 1)))
        .collect()
}

fn parse_line(line: &str) -> Result<Golden> {
    let columns: Vec<_> = line.split('\t').collect();
    let [recording, _language, _spoken, answers] = columns[..] else {
        bail!("{} columns instead of 4", columns.len());
    };
    let (without_itn, with_itn) = answers
        .split_once(WITH_ITN)
        .with_context(|| format!("no `{WITH_ITN}` between two texts"))?;
    Ok(Golden {
        recording: recording.to_owned(),
        without_itn: without_itn.to_owned(),
        with_itn: with_itn.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_file_is_read_whole_and_to_the_letter() {
        let golden = parse(include_str!("../../demo/sensevoice/golden.tsv")).unwrap();
        assert_eq!(golden.len(), 11);
        assert_eq!(golden[0].recording, "00_zh.wav");
        assert_eq!(
            golden[1].without_itn,
            "<|zh|><|NEUTRAL|><|Speech|><|woitn|>再见七九二九"
        );
        assert_eq!(
            golden[1].with_itn,
            "<|zh|><|NEUTRAL|><|Speech|><|withitn|>再见7929。"
        );
        // The space in front of a Latin word belongs to the text.
        assert_eq!(
            golden[8].without_itn,
            "<|en|><|NEUTRAL|><|Speech|><|woitn|> good"
        );
        assert_eq!(
            golden[10].with_itn,
            "<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|withitn|>"
        );
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = parse("heading\na.wav\tzh\ttext\n").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: 3 columns instead of 4");
        let error = parse("heading\na.wav\tzh\ttext\tone\n").unwrap_err();
        assert!(format!("{error:#}").starts_with("line 2: no `  ||withitn: `"));
    }
}
