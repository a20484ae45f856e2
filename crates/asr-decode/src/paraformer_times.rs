//! When the tokens of a Paraformer were spoken, as FunASR says it of exports with times (BiCifParaformer).
//!
//! Such an export has two more outputs, `us_alphas` and `us_cif_peak` FP32 `[batch, 3 * frames]`: three weights for each frame of the
//! encoder, 20 ms each, and what continuous integrate-and-fire has summed up of them by then. Where that reaches 1, a peak, a
//! token begins, 30 ms earlier than the place says; so n tokens have n + 1 peaks, and each goes on to the next peak.
//!
//! The sums are a loop in the export, of some ten operators for each of the weights, which ONNX Runtime takes as long for as for a good
//! part of a small model. [`sums`] gives the same numbers to the last bit, so that nobody needs to ask for `us_cif_peak`. The rules for what
//! they mean are those of `time_stamp_lfr6_onnx` in FunASR's package `funasr_onnx` (0.4.3):
//!
//! * A token of more than 600 ms is cut off there, but for the last one: silence follows.
//! * The last one goes on to the middle between the last peak and the end of the audio, or to the end if that is no further than 100 ms.
//! * Milliseconds are cut off, not rounded, after the same operations in double precision. What would begin before 0 begins there; FunASR's own
//!   numbers are negative then.
//!
//! Where there are more peaks than that, or less, `funasr_onnx` fails. FunASR itself (`ts_prediction_lfr6_standard`) then scales the weights so
//! that they add up to one more than there are tokens, and sums them up again; so does this. Not even that is enough where there are as many tokens
//! as weights, or where all weights are 0: tokens have no times then.
//!
//! Times are those of the row alone. FunASR adds the beginning of a recording's part in seconds, before it cuts off milliseconds.

use crate::transcript::{Span, Transcript};

/// What a sum has to exceed to be a peak.
const PEAK: f32 = 0.9999;
/// Added to the place of a peak, in weights.
const OFFSET: f64 = -1.5;
/// The longest silence at an end, in weights, that is part of a token.
const END_SILENCE: f64 = 5.0;
/// The longest token but the last, in weights.
const LONGEST: f64 = 30.0;
/// Seconds for each weight.
const SECONDS: f64 = 10.0 * 6.0 / 1000.0 / 3.0;

/// Tensors that no times can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimesError {
    /// There is not one peak value for each weight.
    #[error("there are {weights} us_alphas with {peaks} us_cif_peak, expected as many")]
    Lengths {
        /// Weights given.
        weights: usize,
        /// Sums given.
        peaks: usize,
    },
    /// A weight or a sum is no number: the model that computed it is broken, as exports to half precision can be.
    #[error(
        "us_alphas or us_cif_peak at place {place} is NaN or infinite; the model that computed it is broken (half precision can be \
         the cause)"
    )]
    NotANumber {
        /// The first such place.
        place: usize,
    },
}

/// What continuous integrate-and-fire has summed up at each of a row's weights: `us_cif_peak` of its `us_alphas`, by FunASR's
/// `cif_wo_hidden` with its threshold of 1 - 10⁻⁴.
///
/// ```
/// let sums = asr_decode::paraformer_times::sums(&[0.5, 0.75, 0.5]);
/// assert_eq!(sums, [0.5, 1.25, 1.25f32 - 0.9999 + 0.5]);
/// ```
#[must_use]
pub fn sums(us_alphas: &[f32]) -> Vec<f32> {
    let mut left = 0.0;
    let sum = |weight: &f32| {
        let sum = left + weight;
        left = if sum >= PEAK { sum - PEAK } else { sum };
        sum
    };
    us_alphas.iter().map(sum).collect()
}

/// When each of `tokens` tokens was spoken, those counted that are text. `us_alphas` and `us_cif_peak` are a row's own, three values for each of its
/// frames. Nothing if the weights do not tell.
///
/// ```
/// use asr_decode::{Span, paraformer_times};
/// let mut peaks = [0.5; 30];
/// (peaks[9], peaks[19]) = (1.1, 1.0);
/// let times = paraformer_times::spans(&[0.1; 30], &peaks, 1)?;
/// let expected = Span { start_ms: 150, end_ms: 475 };
/// assert_eq!(times, Some(vec![expected]));
/// # Ok::<(), paraformer_times::TimesError>(())
/// ```
///
/// # Errors
/// The two are not of one length, or hold what is no number.
pub fn spans(
    us_alphas: &[f32],
    us_cif_peak: &[f32],
    tokens: usize,
) -> Result<Option<Vec<Span>>, TimesError> {
    if us_alphas.len() != us_cif_peak.len() {
        return Err(TimesError::Lengths {
            weights: us_alphas.len(),
            peaks: us_cif_peak.len(),
        });
    }
    let finite = |(weight, sum): (&f32, &f32)| weight.is_finite() && sum.is_finite();
    if let Some(place) = us_alphas
        .iter()
        .zip(us_cif_peak)
        .position(|both| !finite(both))
    {
        return Err(TimesError::NotANumber { place });
    }
    if tokens == 0 {
        return Ok(Some(Vec::new()));
    }
    let mut peaks = places(us_cif_peak.iter().map(|sum| *sum > PEAK));
    let fit = |peaks: &[f64]| peaks.len().checked_sub(1) == Some(tokens);
    if !fit(&peaks) {
        peaks = scaled(us_alphas, tokens);
    }
    Ok(fit(&peaks).then(|| between(&peaks, us_alphas.len() as f64)))
}

/// Gives each token of a row its time, if its weights tell: [`spans`] by [`sums`].
///
/// # Errors
/// As [`spans`]; tokens keep what they have then.
pub fn set_times(transcript: &mut Transcript, us_alphas: &[f32]) -> Result<(), TimesError> {
    if transcript.tokens.is_empty() {
        // The model divides by the sum of its weights, which silence can make 0 / 0.
        return Ok(());
    }
    let spans = spans(us_alphas, &sums(us_alphas), transcript.tokens.len())?;
    let mut spans = spans.into_iter().flatten();
    for token in &mut transcript.tokens {
        token.time = spans.next();
    }
    Ok(())
}

/// Where tokens begin, in weights.
fn places(peaks: impl Iterator<Item = bool>) -> Vec<f64> {
    let places = peaks.enumerate().filter(|(_, is_peak)| *is_peak);
    places.map(|(place, _)| place as f64 + OFFSET).collect()
}

/// The same of weights that are made to add up to one more than there are tokens.
fn scaled(us_alphas: &[f32], tokens: usize) -> Vec<f64> {
    let factor = us_alphas.iter().sum::<f32>() / (tokens as f32 + 1.0);
    let scaled: Vec<f32> = us_alphas.iter().map(|weight| weight / factor).collect();
    places(sums(&scaled).into_iter().map(|sum| sum >= PEAK))
}

/// The times between peaks, of which there is one more than tokens, in audio of so many weights.
fn between(peaks: &[f64], weights: f64) -> Vec<Span> {
    let ms = |place: f64| (place * SECONDS * 1000.0) as u64;
    let last_peak = peaks.last().copied().unwrap_or_default();
    let end = match weights - last_peak > END_SILENCE {
        true => f64::midpoint(weights, last_peak),
        false => weights,
    };
    let tokens = peaks.windows(2).zip(1..);
    let span = |(pair, count): (&[f64], usize)| {
        let (start, next) = (pair[0], pair[1]);
        let stop = match () {
            () if count + 1 == peaks.len() => end,
            () if next - start < LONGEST => next,
            () => start + LONGEST,
        };
        Span {
            start_ms: ms(start),
            end_ms: ms(stop),
        }
    };
    tokens.map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums that are peaks at `places`.
    fn peaks(weights: usize, places: &[usize]) -> Vec<f32> {
        let peak = |place| if places.contains(&place) { 1.0 } else { 0.5 };
        (0..weights).map(peak).collect()
    }

    fn times(weights: usize, places: &[usize]) -> Vec<(u64, u64)> {
        let alphas = vec![0.1; weights];
        let spans = spans(&alphas, &peaks(weights, places), places.len() - 1);
        let both = |span: Span| (span.start_ms, span.end_ms);
        spans.unwrap().unwrap().into_iter().map(both).collect()
    }

    #[test]
    fn tokens_lie_between_peaks() {
        // The middle between the last peak, 38.5, and the end; then the end, which is just near enough.
        assert_eq!(times(60, &[10, 25, 40]), [(170, 470), (470, 985)]);
        assert_eq!(times(43, &[10, 25, 40]), [(170, 470), (470, 860)]);
        assert_eq!(times(44, &[10, 25, 40]), [(170, 470), (470, 825)]);
    }

    #[test]
    fn a_long_token_is_cut_off_unless_it_is_the_last() {
        assert_eq!(
            times(140, &[10, 40, 69, 120]),
            [(170, 770), (770, 1350), (1350, 2585)]
        );
        assert_eq!(times(140, &[10, 41, 60])[0], (170, 770));
        assert_eq!(times(140, &[10, 100]), [(170, 2385)]);
    }

    #[test]
    fn nothing_begins_before_the_audio() {
        assert_eq!(times(6, &[0, 1, 3]), [(0, 0), (0, 120)]);
    }

    #[test]
    fn weights_are_summed_up_anew_where_peaks_do_not_fit() {
        let alphas = [0.25f32; 24];
        // Six in all: with two tokens they have to be three, so that one is full in every eighth place.
        let found = spans(&alphas, &peaks(24, &[3, 4]), 2).unwrap();
        let span = |start_ms, end_ms| Span { start_ms, end_ms };
        assert_eq!(found, Some(vec![span(110, 270), span(270, 480)]));
        // More tokens than places, and no weight at all.
        assert_eq!(spans(&alphas, &peaks(24, &[]), 24), Ok(None));
        assert_eq!(spans(&[0.0; 24], &peaks(24, &[]), 1), Ok(None));
        assert_eq!(spans(&[], &[], 1), Ok(None));
        assert_eq!(spans(&[], &[], 0), Ok(Some(Vec::new())));
    }

    #[test]
    fn nobody_minds_the_weights_of_silence() {
        assert_eq!(
            set_times(&mut Transcript::default(), &[f32::NAN; 3]),
            Ok(())
        );
    }

    #[test]
    fn what_is_no_number_is_told_with_its_place() {
        assert_eq!(
            spans(&[0.1; 3], &[0.1; 4], 1),
            Err(TimesError::Lengths {
                weights: 3,
                peaks: 4
            })
        );
        for bad in [f32::NAN, f32::INFINITY] {
            let error = Err(TimesError::NotANumber { place: 1 });
            assert_eq!(spans(&[0.1, bad, bad], &[0.1; 3], 1), error);
            assert_eq!(spans(&[0.1; 3], &[0.1, bad, 0.1], 0), error);
        }
    }
}
