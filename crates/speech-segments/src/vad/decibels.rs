//! How loud a frame is.

use super::options::VadOptions;

/// Below this, numbers are added in eight lanes.
const BLOCK: usize = 128;
const LANES: usize = 8;

/// How loud the samples of a frame are, in dB: ten times the common logarithm of their energy, plus one millionth so that silence
/// has one, too (-60 dB). Samples are in [-1, 1].
///
/// Single precision and in the order that NumPy adds, so that a threshold decides as it does in FunASR.
#[must_use]
pub fn decibel(samples: &[f32]) -> f64 {
    10.0 * f64::from(energy(samples) + 0.000_001).log10()
}

/// [`decibel`] of each whole frame of `samples`: of `frame_length_ms`, every `frame_in_ms`.
pub fn decibels(options: &VadOptions, samples: &[f32]) -> impl Iterator<Item = f64> {
    let length = options.frame_samples().max(1);
    let shift = options.shift_samples().max(1);
    samples.windows(length).step_by(shift).map(decibel)
}

/// The sum of the squares, halves first.
fn energy(samples: &[f32]) -> f32 {
    let count = samples.len();
    if count < LANES {
        return samples
            .iter()
            .fold(0.0, |sum, sample| sum + sample * sample);
    }
    if count > BLOCK {
        let half = count / 2;
        let (left, right) = samples.split_at(half - half % LANES);
        return energy(left) + energy(right);
    }
    let mut lanes = [0.0_f32; LANES];
    let (whole, rest) = samples.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, sample) in lanes.iter_mut().zip(chunk) {
            *lane += sample * sample;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, sample| sum + sample * sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_sixty_decibels_less_than_one() {
        assert_eq!(decibel(&[0.0; 400]), 10.0 * f64::from(1.0e-6_f32).log10());
        assert_eq!(decibel(&[1.0]), 10.0 * f64::from(1.000_001_f32).log10());
        assert_eq!(decibel(&[0.5; 400]).round(), 20.0);
    }

    #[test]
    fn only_whole_frames_have_a_loudness() {
        let options = VadOptions::default();
        let count = |samples: usize| decibels(&options, &vec![0.1; samples]).count();
        assert_eq!([0, 399, 400, 559, 560, 720].map(count), [0, 0, 1, 1, 2, 3]);
    }
}
