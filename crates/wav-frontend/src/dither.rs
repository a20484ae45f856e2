//! Seeded Gaussian noise.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Noise that depends on the seed and the frame's number in its audio alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dither {
    amplitude: f32,
    seed: u64,
}

impl Dither {
    /// `None` when there is no noise to add.
    pub(crate) fn new(amplitude: f32, seed: u64) -> Option<Self> {
        (amplitude > 0.0).then_some(Self { amplitude, seed })
    }

    /// The noise of `frame`, sample by sample, in steps of 16-bit samples.
    pub(crate) fn frame(self, frame: usize) -> impl Iterator<Item = f32> {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(frame as u64);
        std::iter::repeat_with(move || {
            let value: f32 = StandardNormal.sample(&mut generator);
            value * self.amplitude
        })
    }
}
