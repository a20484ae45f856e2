//! The parameters, with the package's names.

use super::sizes::{PER_MS, SAMPLE_RATE, STEP};

/// How much less probable speech is where it ends than where it begins.
const HYSTERESIS: f64 = 0.15;
/// Speech does not end at a smaller probability, in whole recordings.
const LEAST_NEG_THRESHOLD: f64 = 0.01;
/// No time is longer: a day.
const LONGEST_MS: u32 = 86_400_000;

/// Values make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}, expected {expected}")]
pub struct SileroError {
    /// The parameter.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

/// How end points are found. The defaults are the package's.
///
/// ```
/// use speech_segments::silero::SileroOptions;
///
/// let options = SileroOptions { threshold: 0.8, ..SileroOptions::default() };
/// assert!(options.validate().is_ok());
/// assert!(SileroOptions { threshold: 1.5, ..options }.validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SileroOptions {
    /// Speech begins with a window that is speech with this probability, 0.5.
    pub threshold: f64,
    /// It ends with windows of a smaller probability than this. None: 0.15 less than `threshold`.
    pub neg_threshold: Option<f64>,
    /// Shorter segments are none, in ms, 250; in whole recordings alone.
    pub min_speech_duration_ms: u32,
    /// So many ms of silence end a segment, 100.
    pub min_silence_duration_ms: u32,
    /// Segments begin so many ms earlier, and end so many later, 30; where two meet, in the middle.
    pub speech_pad_ms: u32,
    /// No segment is longer, in seconds; it is cut at its longest silence of at least 98 ms if it has one. Infinite: they are as long as they
    /// are. In whole recordings alone.
    pub max_speech_duration_s: f64,
}

impl Default for SileroOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            neg_threshold: None,
            min_speech_duration_ms: 250,
            min_silence_duration_ms: 100,
            speech_pad_ms: 30,
            max_speech_duration_s: f64::INFINITY,
        }
    }
}

impl SileroOptions {
    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn validate(&self) -> Result<(), SileroError> {
        let error = |name, value: &dyn ToString, expected| {
            let value = value.to_string();
            Err(SileroError {
                name,
                value,
                expected,
            })
        };
        if !(0.0..=1.0).contains(&self.threshold) {
            return error("threshold", &self.threshold, "0 to 1");
        }
        if let Some(low) = self.neg_threshold
            && !(0.0..=self.threshold).contains(&low)
        {
            return error("neg_threshold", &low, "0 to threshold");
        }
        for (name, ms) in [
            ("min_speech_duration_ms", self.min_speech_duration_ms),
            ("min_silence_duration_ms", self.min_silence_duration_ms),
            ("speech_pad_ms", self.speech_pad_ms),
        ] {
            if ms > LONGEST_MS {
                return error(name, &ms, "no more than 86400000");
            }
        }
        let longest = self.longest();
        if longest.is_nan() || longest <= 0.0 {
            let expected = "more than a window (32 ms) and twice speech_pad_ms";
            return error(
                "max_speech_duration_s",
                &self.max_speech_duration_s,
                expected,
            );
        }
        Ok(())
    }

    /// Below this, a window of a whole recording is silence.
    pub(super) fn silence_in_recordings(&self) -> f64 {
        let default = (self.threshold - HYSTERESIS).max(LEAST_NEG_THRESHOLD);
        self.neg_threshold.unwrap_or(default)
    }

    /// Below this, a window of a stream is silence.
    pub(super) fn silence_in_streams(&self) -> f64 {
        self.neg_threshold.unwrap_or(self.threshold - HYSTERESIS)
    }

    /// Samples of speech between silences that no segment is longer than, what pads it left out.
    pub(super) fn longest(&self) -> f64 {
        let padding = 2.0 * f64::from(self.speech_pad_ms) * PER_MS as f64;
        f64::from(SAMPLE_RATE) * self.max_speech_duration_s - STEP as f64 - padding
    }
}

/// Samples of so many ms.
pub(super) fn samples(ms: u32) -> i64 {
    i64::from(ms) * PER_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let default = SileroOptions::default;
        for (options, words) in [
            (
                SileroOptions {
                    threshold: f64::NAN,
                    ..default()
                },
                "threshold is NaN, expected 0 to 1",
            ),
            (
                SileroOptions {
                    neg_threshold: Some(0.6),
                    ..default()
                },
                "neg_threshold is 0.6, expected 0 to threshold",
            ),
            (
                SileroOptions {
                    speech_pad_ms: 90_000_000,
                    ..default()
                },
                "speech_pad_ms is 90000000, expected no more than",
            ),
            (
                SileroOptions {
                    max_speech_duration_s: 0.092,
                    ..default()
                },
                "max_speech_duration_s is 0.092, expected more than a window",
            ),
        ] {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        let shortest = SileroOptions {
            max_speech_duration_s: 0.093,
            ..default()
        };
        assert_eq!(shortest.validate(), Ok(()));
    }

    #[test]
    fn speech_ends_below_where_it_begins() {
        let low = SileroOptions {
            threshold: 0.1,
            ..SileroOptions::default()
        };
        assert_eq!(low.silence_in_recordings(), 0.01);
        assert!(low.silence_in_streams() < 0.0, "there it never ends");
        let own = SileroOptions {
            neg_threshold: Some(0.2),
            ..low
        };
        assert_eq!(
            (own.silence_in_recordings(), own.silence_in_streams()),
            (0.2, 0.2)
        );
    }
}
