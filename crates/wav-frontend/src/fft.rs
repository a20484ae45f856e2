//! Power spectra of real frames, [`LANES`] frames side by side.
//!
//! A frame of N samples is transformed as N/2 complex numbers (even samples real, odd ones imaginary) by an
//! in-place radix-4 decimation in frequency, whose outputs stay where they fall; the step that separates the
//! two halves reads them from there. Twiddle factors are computed in f64.

use std::f64::consts::TAU;

use crate::lanes::{LANES, Lanes};

/// A complex number of each lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Complex {
    pub(crate) re: Lanes<f64>,
    pub(crate) im: Lanes<f64>,
}

impl Complex {
    pub(crate) const ZERO: Self = Self {
        re: Lanes::<f64>::ZERO,
        im: Lanes::<f64>::ZERO,
    };
}

/// `exp(-i phase)`
#[derive(Debug, Clone, Copy)]
struct Twiddle {
    re: f64,
    im: f64,
}

impl Twiddle {
    /// The `k`-th of `n` steps around the unit circle, clockwise.
    fn new(k: usize, n: usize) -> Self {
        let phase = TAU * k as f64 / n as f64;
        Self {
            re: phase.cos(),
            im: -phase.sin(),
        }
    }
}

/// One radix-4 pass: blocks of `size`, each split into four quarters.
#[derive(Debug, Clone)]
struct Stage {
    size: usize,
    /// For each index within a quarter the factors of the second, third and fourth output.
    twiddles: Vec<[Twiddle; 3]>,
}

/// Two bins of the spectrum of the real frame that come from the same two complex outputs.
#[derive(Debug, Clone, Copy)]
struct Pair {
    bin: usize,
    mirror_bin: usize,
    at: usize,
    mirror_at: usize,
    twiddle: Twiddle,
}

/// The plan for frames of one power-of-two size.
#[derive(Debug, Clone)]
pub(crate) struct PowerFft {
    stages: Vec<Stage>,
    /// Whether a radix-2 pass follows, as half the size is not a power of four.
    radix2_last: bool,
    pairs: Vec<Pair>,
}

impl PowerFft {
    /// A plan for frames of `size` samples, a power of two from 2 on.
    pub(crate) fn new(size: usize) -> Self {
        debug_assert!(size.is_power_of_two() && size >= 2);
        let half = size / 2;
        let mut stages = Vec::new();
        let mut block = half;
        while block >= 4 {
            let twiddles = (0..block / 4).map(|j| [1, 2, 3].map(|k| Twiddle::new(j * k, block)));
            stages.push(Stage {
                size: block,
                twiddles: twiddles.collect(),
            });
            block /= 4;
        }
        let pair = |bin: usize| {
            let mirror_bin = (half - bin) % half;
            Pair {
                bin,
                mirror_bin,
                at: position(bin, half),
                mirror_at: position(mirror_bin, half),
                twiddle: Twiddle::new(bin, size),
            }
        };
        Self {
            stages,
            radix2_last: block == 2,
            pairs: (0..=half / 2).map(pair).collect(),
        }
    }

    /// Transforms `frame` (`[size / 2]`, used up) and writes 4 times the power of its bins from 0 up to, without,
    /// Nyquist to `power` (`[size / 2]`).
    #[inline(always)]
    pub(crate) fn power(&self, frame: &mut [Complex], power: &mut [Lanes]) {
        for stage in &self.stages {
            for block in frame.chunks_exact_mut(stage.size) {
                stage.run(block);
            }
        }
        if self.radix2_last {
            for pair in frame.chunks_exact_mut(2) {
                if let [a, b] = pair {
                    butterfly2(a, b);
                }
            }
        }
        for pair in &self.pairs {
            let (z, mirror) = (&frame[pair.at], &frame[pair.mirror_at]);
            let (low, high) = pair_power(z, mirror, pair.twiddle);
            // Bin 0 has Nyquist as its mirror, which is left out; it is its own mirror here, so it goes last.
            power[pair.mirror_bin] = high;
            power[pair.bin] = low;
        }
    }
}

impl Stage {
    #[inline(always)]
    fn run(&self, block: &mut [Complex]) {
        let (low, high) = block.split_at_mut(self.size / 2);
        let (a, b) = low.split_at_mut(self.size / 4);
        let (c, d) = high.split_at_mut(self.size / 4);
        let rows = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
        for (((a, b), (c, d)), twiddles) in rows.zip(&self.twiddles) {
            butterfly4(a, b, c, d, twiddles);
        }
    }
}

/// Where the in-place transform of `n` numbers leaves output `k`.
fn position(k: usize, n: usize) -> usize {
    match n {
        1 => 0,
        2 => k,
        _ => (k % 4) * (n / 4) + position(k / 4, n / 4),
    }
}

#[inline(always)]
fn butterfly2(a: &mut Complex, b: &mut Complex) {
    for l in 0..LANES {
        let (ar, ai, br, bi) = (a.re.0[l], a.im.0[l], b.re.0[l], b.im.0[l]);
        (a.re.0[l], a.im.0[l]) = (ar + br, ai + bi);
        (b.re.0[l], b.im.0[l]) = (ar - br, ai - bi);
    }
}

#[inline(always)]
fn butterfly4(
    a: &mut Complex,
    b: &mut Complex,
    c: &mut Complex,
    d: &mut Complex,
    w: &[Twiddle; 3],
) {
    let [w1, w2, w3] = *w;
    for l in 0..LANES {
        let (sum_re, sum_im) = (a.re.0[l] + c.re.0[l], a.im.0[l] + c.im.0[l]);
        let (dif_re, dif_im) = (a.re.0[l] - c.re.0[l], a.im.0[l] - c.im.0[l]);
        let (sum2_re, sum2_im) = (b.re.0[l] + d.re.0[l], b.im.0[l] + d.im.0[l]);
        // -i (b - d)
        let (dif2_re, dif2_im) = (b.im.0[l] - d.im.0[l], d.re.0[l] - b.re.0[l]);

        a.re.0[l] = sum_re + sum2_re;
        a.im.0[l] = sum_im + sum2_im;
        let (re, im) = (dif_re + dif2_re, dif_im + dif2_im);
        b.re.0[l] = re * w1.re - im * w1.im;
        b.im.0[l] = re * w1.im + im * w1.re;
        let (re, im) = (sum_re - sum2_re, sum_im - sum2_im);
        c.re.0[l] = re * w2.re - im * w2.im;
        c.im.0[l] = re * w2.im + im * w2.re;
        let (re, im) = (dif_re - dif2_re, dif_im - dif2_im);
        d.re.0[l] = re * w3.re - im * w3.im;
        d.im.0[l] = re * w3.im + im * w3.re;
    }
}

/// 4 times the power of a bin and of its mirror. With `E = z + conj(mirror)` and `O = -i (z - conj(mirror))`, twice
/// the spectra of the even and of the odd samples, the bins are `(E + w O) / 2` and `conj(E - w O) / 2`.
#[inline(always)]
fn pair_power(z: &Complex, mirror: &Complex, w: Twiddle) -> (Lanes, Lanes) {
    let (mut low, mut high) = (Lanes::<f32>::ZERO, Lanes::<f32>::ZERO);
    for l in 0..LANES {
        let (even_re, even_im) = (z.re.0[l] + mirror.re.0[l], z.im.0[l] - mirror.im.0[l]);
        let (odd_re, odd_im) = (z.im.0[l] + mirror.im.0[l], mirror.re.0[l] - z.re.0[l]);
        let turned_re = odd_re * w.re - odd_im * w.im;
        let turned_im = odd_re * w.im + odd_im * w.re;
        let (re, im) = (even_re + turned_re, even_im + turned_im);
        low.0[l] = squared_magnitude(re, im);
        let (re, im) = (even_re - turned_re, even_im - turned_im);
        high.0[l] = squared_magnitude(re, im);
    }
    (low, high)
}

/// As Kaldi rounds it: the bin first, then its power.
#[inline(always)]
fn squared_magnitude(re: f64, im: f64) -> f32 {
    let (re, im) = (re as f32, im as f32);
    re * re + im * im
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(size: usize, lane: usize) -> Vec<f64> {
        (0..size)
            .map(|i| ((i * i * (lane + 1) + 3 * i + lane) % 23) as f64 - 11.0)
            .collect()
    }

    /// The power of `bin` by the definition of the Fourier transform.
    fn dft_power(samples: &[f64], bin: usize) -> f64 {
        let turn = |i: usize| TAU * (i * bin % samples.len()) as f64 / samples.len() as f64;
        let re: f64 = samples
            .iter()
            .enumerate()
            .map(|(i, x)| x * turn(i).cos())
            .sum();
        let im: f64 = samples
            .iter()
            .enumerate()
            .map(|(i, x)| x * turn(i).sin())
            .sum();
        re * re + im * im
    }

    #[test]
    fn power_is_that_of_the_plain_transform_for_every_size() {
        for size in [2, 4, 8, 16, 32, 64, 256, 512, 1024, 2048] {
            let mut frame = vec![Complex::ZERO; size / 2];
            for lane in 0..LANES {
                for (i, x) in signal(size, lane).into_iter().enumerate() {
                    let row = if i % 2 == 0 {
                        &mut frame[i / 2].re
                    } else {
                        &mut frame[i / 2].im
                    };
                    row.0[lane] = x;
                }
            }
            let mut power = vec![Lanes::<f32>::ZERO; size / 2];
            PowerFft::new(size).power(&mut frame, &mut power);
            for lane in [0, 7, LANES - 1] {
                let samples = signal(size, lane);
                let energy: f64 = samples.iter().map(|x| x * x).sum::<f64>() * size as f64;
                for (bin, power) in power.iter().enumerate() {
                    let error = f64::from(power.0[lane]) / 4.0 - dft_power(&samples, bin);
                    assert!(
                        error.abs() < 1e-6 * energy,
                        "size {size} lane {lane} bin {bin}: {error}"
                    );
                }
            }
        }
    }
}
