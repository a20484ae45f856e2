//! Cues as files: SubRip, WebVTT, and a table.

use std::fmt::Write as _;

use crate::cues::Cue;

/// SubRip (`.srt`): numbered cues with times as in `00:00:01,230`.
pub fn srt(cues: &[Cue]) -> String {
    let mut file = String::new();
    for (cue, number) in cues.iter().zip(1..) {
        let (start, end) = (time(cue.start_ms, ','), time(cue.end_ms, ','));
        // A string takes whatever is written.
        let _ = write!(file, "{number}\n{start} --> {end}\n{}\n\n", cue.text);
    }
    file
}

/// WebVTT (`.vtt`, <https://www.w3.org/TR/webvtt1/>): a heading, and times as in `00:00:01.230`.
pub fn vtt(cues: &[Cue]) -> String {
    let mut file = "WEBVTT\n\n".to_owned();
    for cue in cues {
        let (start, end) = (time(cue.start_ms, '.'), time(cue.end_ms, '.'));
        // They would begin a tag or an entity.
        let text = cue.text.replace('&', "&amp;").replace('<', "&lt;");
        let text = text.replace('>', "&gt;");
        let _ = write!(file, "{start} --> {end}\n{text}\n\n");
    }
    file
}

/// A table with a heading, as openai-whisper writes it: milliseconds of the start and of the end, and the text of each cue.
pub fn tsv(cues: &[Cue]) -> String {
    let mut file = "start\tend\ttext\n".to_owned();
    for cue in cues {
        let text = cue.text.replace('\t', " ");
        let _ = writeln!(file, "{}\t{}\t{text}", cue.start_ms, cue.end_ms);
    }
    file
}

/// Hours, minutes, seconds and milliseconds.
fn time(ms: u64, point: char) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Cue; 2] {
        let cue = |text: &str, start_ms, end_ms| Cue {
            text: text.to_owned(),
            start_ms,
            end_ms,
        };
        [
            cue("water & <world>", 1_230, 2_000),
            cue("再见。", 3_599_999, 36_061_001),
        ]
    }

    #[test]
    fn subrip() {
        assert_eq!(
            srt(&two()),
            "1\n00:00:01,230 --> 00:00:02,000\nwater & <world>\n\n\
             2\n00:59:59,999 --> 10:01:01,001\n再见。\n\n"
        );
        assert_eq!(srt(&[]), "");
    }

    #[test]
    fn webvtt() {
        assert_eq!(
            vtt(&two()),
            "WEBVTT\n\n\
             00:00:01.230 --> 00:00:02.000\nwater &amp; &lt;world&gt;\n\n\
             00:59:59.999 --> 10:01:01.001\n再见。\n\n"
        );
        assert_eq!(vtt(&[]), "WEBVTT\n\n");
    }

    #[test]
    fn a_table() {
        assert_eq!(
            tsv(&two()),
            "start\tend\ttext\n1230\t2000\twater & <world>\n3599999\t36061001\t再见。\n"
        );
        let tabulator = Cue {
            text: "a\tb".to_owned(),
            start_ms: 0,
            end_ms: 1,
        };
        assert_eq!(tsv(&[tabulator]), "start\tend\ttext\n0\t1\ta b\n");
    }
}
