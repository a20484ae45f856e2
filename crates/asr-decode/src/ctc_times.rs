//! When the tokens of a CTC row were spoken, as FunASR says it of SenseVoice.
//!
//! A frame is 60 ms long, and FunASR has it begin 30 ms before its number says: the frames `first` to `last` after the prompt are
//! 60 `first` - 30 to 60 `last` + 30 ms, and nothing begins before 0 (`SenseVoiceSmall.inference` with `output_timestamp`).
//!
//! FunASR finds a token's frames by aligning the text with the scores anew, and has changed how:
//!
//! * Since 1.3.2 it looks for the path through the frames with the largest sum of *logarithms* of probabilities, after it has set blank's
//!   to 0, that of certainty, wherever blank is the best. No path can beat the one that takes the best unit of every frame,
//!   and that one spells the text. So a token's frames are those that it is the best of, which a transcript has already: [`set_times`].
//!   Only if two units of a frame have scores so near that their sums are the same number may FunASR say otherwise.
//! * Before, it summed up the *probabilities*, blank's being 0 where blank is the best. So tokens spread over the blanks about them.
//!
//! FunASR aligns what its tokenizer makes of the text, here it is the tokens that were heard: where its tokenizer would cut the same
//! text otherwise, tokens differ, and with them their times.

use crate::transcript::{Frames, Span, Transcript};

/// How long a frame is.
const FRAME_MS: u64 = 60;
/// How much before its number says a frame begins.
const SHIFT_MS: u64 = 30;

/// Gives each token the time of the frames that it is the best of.
///
/// The first `prompt_frames` of the row hold no audio, and tags are not spoken: what is heard there has no time, nor have tags.
///
/// ```
/// use asr_decode::{Best, Span, ctc, ctc_times, sentencepiece::Tokenizer};
/// let tokenizer = Tokenizer::from_file("tests/data/bytes.model")?;
/// let best = Best::new(&[3, 0, 0, 5, 5], &[0.0; 5], tokenizer.len())?;
/// let mut heard = ctc::transcript_of_best(&best, 0, &tokenizer)?;
/// ctc_times::set_times(&mut heard, 1);
/// assert_eq!(heard.tokens[0].time, None);
/// assert_eq!(heard.tokens[1].time, Some(Span { start_ms: 90, end_ms: 210 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn set_times(transcript: &mut Transcript, prompt_frames: usize) {
    for token in &mut transcript.tokens {
        let spoken = token.frames.filter(|_| !token.is_tag());
        token.time = spoken.and_then(|frames| span(frames, prompt_frames));
    }
}

/// The time of frames that are counted from the beginning of the row; `None` if none of them is behind the prompt.
fn span(frames: Frames, prompt_frames: usize) -> Option<Span> {
    let prompt = prompt_frames as u64;
    let last = frames.last.checked_sub(prompt)?;
    let first = frames.first.saturating_sub(prompt);
    let border = |frame: u64| truncated(frame.saturating_mul(FRAME_MS).saturating_sub(SHIFT_MS));
    Some(Span {
        start_ms: border(first),
        end_ms: border(last.saturating_add(1)),
    })
}

/// What FunASR makes of milliseconds: seconds, and milliseconds again whose fraction is cut off. One in 150 becomes 1 less.
fn truncated(ms: u64) -> u64 {
    (ms as f64 / 1000.0 * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Token;

    fn token(piece: &str, first: u64, last: u64) -> Token {
        Token {
            id: 7,
            piece: piece.into(),
            frames: Some(Frames { first, last }),
            time: None,
            probability: None,
        }
    }

    fn times(transcript: &Transcript) -> Vec<Option<(u64, u64)>> {
        let times = transcript.tokens.iter().map(|token| token.time);
        times
            .map(|time| time.map(|Span { start_ms, end_ms }| (start_ms, end_ms)))
            .collect()
    }

    #[test]
    fn frames_are_counted_from_behind_the_prompt() {
        let mut heard = Transcript {
            tokens: vec![
                token("<|zh|>", 0, 0),
                token("before", 1, 3),
                token("across", 3, 4),
                token("a", 5, 5),
                token("<|en|>", 6, 6),
                token("b", 37, 40),
            ],
            ..Transcript::default()
        };
        set_times(&mut heard, 4);
        assert_eq!(
            times(&heard),
            [
                None,
                None,
                Some((0, 30)),
                Some((30, 90)),
                None,
                // 2.19 s, and 1.95 s.
                Some((1950, 2190)),
            ]
        );
        set_times(&mut heard, 0);
        assert_eq!(times(&heard)[1], Some((30, 210)));
    }

    #[test]
    fn fractions_of_seconds_are_cut_off_as_in_funasr() {
        // In Python, int(2.01 * 1000) is 2009.
        assert_eq!([2010, 8190, 1950].map(truncated), [2009, 8189, 1950]);
        let span = span(
            Frames {
                first: 34,
                last: 34,
            },
            0,
        );
        assert_eq!(
            span.map(|span| (span.start_ms, span.end_ms)),
            Some((2009, 2070))
        );
    }

    #[test]
    fn frames_that_no_recording_has_are_none() {
        let all = Frames {
            first: u64::MAX,
            last: u64::MAX,
        };
        assert!(span(all, 0).is_some());
    }
}
