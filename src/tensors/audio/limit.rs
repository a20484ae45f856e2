//! How much audio a row may have.

use triton_backend::{Error, ModelContext};

use crate::tensors::parameters::Parameter;

/// The parameter that limits a row of audio, or a stream's chunk.
pub(crate) const MAX_AUDIO_SECONDS: Parameter<f64> = Parameter::new(
    "max_audio_seconds",
    "a longer row, or chunk of a stream, is refused, see [How much audio](#how-much-audio)",
)
.default(600.0)
.within("above 0", |seconds| *seconds > 0.0);

/// The most audio of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) seconds: f64,
}

impl Limit {
    /// The limit that a config sets; `inf` is none.
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let seconds = MAX_AUDIO_SECONDS.read(context)?;
        Ok(Self { seconds })
    }

    /// The samples of a rate. Rounded down, but for what binary fractions are off: 2.3 s are 36800 samples, not 36799.
    fn samples(self, sample_rate: u32) -> f64 {
        (self.seconds * f64::from(sample_rate) + 1.0e-3).floor()
    }

    /// Checks the lengths of the rows that the input called `name` tells; `rates` has the sample rate of each.
    pub(super) fn check(&self, name: &str, lengths: &[usize], rates: &[u32]) -> Result<(), Error> {
        let mut rows = lengths.iter().zip(rates).enumerate();
        let longer =
            |(_, (length, rate)): &(usize, (&usize, &u32))| **length as f64 > self.samples(**rate);
        let Some((row, (length, &rate))) = rows.find(longer) else {
            return Ok(());
        };
        let (seconds, samples) = (self.seconds, self.samples(rate));
        let parameter = MAX_AUDIO_SECONDS.name();
        let message = format!(
            "row {row} is {length} samples; parameter {parameter} ({seconds} s) allows {samples}"
        );
        Err(Error::input(name, message).because(parameter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_number_of_samples_a_person_would_say() {
        for (seconds, samples) in [
            (600.0, 9_600_000.0),
            (2.3, 36_800.0),
            (0.1, 1600.0),
            (1e-5, 0.0),
            (f64::INFINITY, f64::INFINITY),
        ] {
            assert_eq!(Limit { seconds }.samples(16_000), samples);
        }
    }

    #[test]
    fn the_first_row_beyond_it_is_named() {
        let limit = Limit { seconds: 2.3 };
        let check = |lengths: &[usize], rates: &[u32]| limit.check("wav_lens", lengths, rates);
        assert!(check(&[0, 36_800], &[16_000; 2]).is_ok());
        assert_eq!(
            check(&[1, 36_801, 99_999], &[16_000; 3])
                .unwrap_err()
                .to_string(),
            "input 'wav_lens': row 1 is 36801 samples; parameter max_audio_seconds (2.3 s) allows 36800"
        );
        assert!(check(&[110_400], &[48_000]).is_ok());
        assert!(check(&[110_401], &[48_000]).is_err());
    }
}
