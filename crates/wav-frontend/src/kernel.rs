//! From samples to log-mel energies, as many frames at once as there are lanes.
//!
//! Frames are computed in single precision. Its rounding spreads over the whole spectrum, so that where a filter's energy is
//! a tiny share of the frame's, the logarithm would be off; and so it would be where a faint signal rides on a large
//! constant. Such frames, a few in a hundred of speech, are found by their energies and computed again in double precision.

use std::ops::Range;

use pulp::bytemuck;

use crate::dither::Dither;
use crate::error::OptionsError;
use crate::fft::{self, Complex, PowerFft, quarters};
use crate::lanes::{Isa, Lanes, MAX_LANES, Number, ln_floored};
use crate::mel::MelBank;
use crate::options::FrontendOptions;
use crate::scratch::Scratch;
use crate::simd_path::Kernel;

/// Samples are floats in [-1, 1], Kaldi's are 16-bit.
const SAMPLE_SCALE: f64 = 32_768.0;
/// The least energy of a filter, as a share of the sum of all bins' powers, that single precision gets right to 1e-4.
const LEAST_SHARE: f32 = 1e-7;
/// The same, over the square of a frame's mean sample.
const LEAST_OVER_MEAN: f32 = 2.4e-4 * (SAMPLE_SCALE * SAMPLE_SCALE) as f32;

/// Samples in a cache line.
const LINE: usize = 16;

/// What the steps need to know, in one precision.
#[derive(Debug, Clone)]
pub(crate) struct Tables<T> {
    preemphasis: T,
    /// What preemphasis leaves of a constant.
    constant: T,
    /// One over the number of samples in a frame.
    reciprocal: T,
    /// One weight per sample of a frame, then zeros up to a whole complex number and half of the FFT at least. They scale to
    /// 16 bits and are halved: see [`PowerFft::power`].
    window: Vec<T>,
    fft: PowerFft<T>,
    mel: MelBank<T>,
}

impl<T: Number> Tables<T> {
    pub(crate) fn new(options: &FrontendOptions, fft_size: usize) -> Result<Self, OptionsError> {
        let frame_length = options.frame_length_samples();
        let weights = options.window.weights(frame_length).into_iter();
        let mut window: Vec<T> = weights
            .map(|weight| T::from_f64(weight * SAMPLE_SCALE * 0.5))
            .collect();
        window.resize(frame_length.next_multiple_of(2).max(fft_size / 2), T::ZERO);
        let preemphasis = f64::from(options.preemphasis);
        Ok(Self {
            preemphasis: T::from_f64(preemphasis),
            constant: T::from_f64(1.0 - preemphasis),
            reciprocal: T::from_f64(1.0 / frame_length as f64),
            window,
            fft: PowerFft::new(fft_size),
            mel: options.mel_bank()?,
        })
    }
}

/// What a filter bank computes with: sizes in samples, and the tables of both precisions.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) frame_length: usize,
    pub(crate) frame_shift: usize,
    pub(crate) num_mel_bins: usize,
    fft_size: usize,
    dither: Option<Dither>,
    singles: Tables<f32>,
    doubles: Tables<f64>,
}

impl Plan {
    /// For options that were checked.
    pub(crate) fn new(options: &FrontendOptions) -> Result<Self, OptionsError> {
        let frame_length = options.frame_length_samples();
        let fft_size = frame_length.next_power_of_two().max(fft::MIN_SIZE);
        Ok(Self {
            frame_length,
            frame_shift: options.frame_shift_samples(),
            num_mel_bins: options.num_mel_bins,
            fft_size,
            dither: Dither::new(options.dither, options.dither_seed),
            singles: Tables::new(options, fft_size)?,
            doubles: Tables::new(options, fft_size)?,
        })
    }

    /// Mel bins in whole vectors.
    fn padded_bins(&self) -> usize {
        self.num_mel_bins.next_multiple_of(MAX_LANES)
    }
}

/// Where the frames go.
pub(crate) trait Sink {
    /// Takes a frame's log-mel energies. Each frame comes once, but not in order.
    fn put(&mut self, frame: usize, log_mel: &[f32]);
}

/// Scratch memory for one thread's computations, about 70 kB for 16 kHz audio.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// A block's samples or spectrum, powers and mel energies.
    vectors: Scratch,
    /// A block's log-mel energies, `[lanes, padded_bins]`.
    frames: Vec<f32>,
    /// Frames that want double precision.
    again: Vec<usize>,
    /// What a stream kept and its new chunk.
    joined: Vec<f32>,
}

impl Workspace {
    /// An empty workspace, which its first use brings to size.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer to join samples in, to be [put back](Self::put_back_joined).
    pub(crate) fn take_joined(&mut self) -> Vec<f32> {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        joined
    }

    pub(crate) fn put_back_joined(&mut self, joined: Vec<f32>) {
        self.joined = joined;
    }

    fn fit(&mut self, plan: &Plan) {
        let bins = plan.padded_bins();
        let vector = MAX_LANES * size_of::<f32>();
        self.vectors
            .fit((plan.fft_size + plan.fft_size / 2 + bins) * vector);
        if self.frames.len() < bins * MAX_LANES {
            self.frames.resize(bins * MAX_LANES, 0.0);
        }
        self.again.clear();
        self.again.reserve(2 * MAX_LANES);
    }
}

/// A block's vectors.
struct Block<'a, V> {
    /// Samples, then the spectrum: `[fft_size]`.
    rows: &'a mut [V],
    /// `[fft_size / 2]`
    power: &'a mut [V],
    /// `[padded_bins]`
    mel: &'a mut [V],
}

impl<'a, V: bytemuck::Pod> Block<'a, V> {
    #[inline(always)]
    fn new(plan: &Plan, vectors: &'a mut Scratch) -> Self {
        let (rows, rest) = vectors.as_mut().split_at_mut(plan.fft_size);
        let (power, rest) = rest.split_at_mut(plan.fft_size / 2);
        let mel = &mut rest[..plan.padded_bins()];
        Self { rows, power, mel }
    }
}

/// What tells whether a frame's features are right, in each lane.
struct Check<V> {
    /// The least energy of a filter over its largest weight.
    least: V,
    /// The sum of all bins' powers.
    total: V,
    /// Of the samples.
    mean: V,
}

impl<T: Number> Tables<T> {
    /// From the samples in `block.rows` to the energies in `block.mel`.
    #[inline(always)]
    fn energies<L: Lanes<Number = T>>(
        &self,
        lanes: L,
        frame_length: usize,
        block: &mut Block<'_, L::Vector>,
    ) -> Check<L::Vector> {
        let mean = self.mean(lanes, &block.rows[..frame_length]);
        block.rows[frame_length..self.window.len()].fill(lanes.splat(T::ZERO));
        let spectrum: &mut [Complex<L::Vector>] = bytemuck::cast_slice_mut(block.rows);
        self.shape(lanes, spectrum, mean);
        let total = self.fft.power(lanes, spectrum, block.power);
        let least = self.mel.apply(lanes, block.power, block.mel);
        Check { least, total, mean }
    }

    /// The mean of each frame: the first sample, and the mean of the others' differences from it, so that nothing remains of a
    /// constant.
    #[inline(always)]
    fn mean<L: Lanes<Number = T>>(&self, lanes: L, samples: &[L::Vector]) -> L::Vector {
        let first = samples[0];
        let mut sums = [lanes.splat(T::ZERO); 4];
        let (fours, rest) = samples.as_chunks::<4>();
        for four in fours {
            for (sum, sample) in sums.iter_mut().zip(four) {
                *sum = lanes.add(*sum, lanes.sub(*sample, first));
            }
        }
        for (sum, sample) in sums.iter_mut().zip(rest) {
            *sum = lanes.add(*sum, lanes.sub(*sample, first));
        }
        let [a, b, c, d] = sums;
        let sum = lanes.add(lanes.add(a, b), lanes.add(c, d));
        lanes.mul_add(sum, lanes.splat(self.reciprocal), first)
    }

    /// Removes the mean, preemphasises and applies the window, on the way into the first pass of the transform.
    #[inline(always)]
    fn shape<L: Lanes<Number = T>>(
        &self,
        lanes: L,
        spectrum: &mut [Complex<L::Vector>],
        mean: L::Vector,
    ) {
        let shaper = Shaper {
            lanes,
            preemphasis: lanes.splat(self.preemphasis),
            constant: lanes.splat(self.constant),
            mean,
            offset: lanes.mul(mean, lanes.splat(self.constant)),
        };
        let (window, _) = self.window.as_chunks::<2>();
        let [a, b, c, d] = quarters(spectrum);
        let quarter = a.len();
        let (window_a, window) = window.split_at(quarter);
        let (window_b, window) = window.split_at(quarter);
        let (window_c, window_d) = window.split_at(quarter.min(window.len()));
        // Each sample's predecessor; the first is its own.
        let mut before = [
            a[0][0],
            a[quarter - 1][1],
            b[quarter - 1][1],
            c[quarter - 1][1],
        ];
        let (with_d, with_c) = (window_d.len(), window_c.len());
        for i in 0..with_d {
            let x = shaper.pair(a[i], &mut before[0], window_a[i]);
            let y = shaper.pair(b[i], &mut before[1], window_b[i]);
            let z = shaper.pair(c[i], &mut before[2], window_c[i]);
            let w = shaper.pair(d[i], &mut before[3], window_d[i]);
            [a[i], b[i], c[i], d[i]] = fft::first(lanes, x, y, Some(z), Some(w));
        }
        for i in with_d..with_c {
            let x = shaper.pair(a[i], &mut before[0], window_a[i]);
            let y = shaper.pair(b[i], &mut before[1], window_b[i]);
            let z = shaper.pair(c[i], &mut before[2], window_c[i]);
            [a[i], b[i], c[i], d[i]] = fft::first(lanes, x, y, Some(z), None);
        }
        for i in with_c..quarter {
            let x = shaper.pair(a[i], &mut before[0], window_a[i]);
            let y = shaper.pair(b[i], &mut before[1], window_b[i]);
            [a[i], b[i], c[i], d[i]] = fft::first(lanes, x, y, None, None);
        }
    }
}

/// Mean removal, preemphasis and window.
struct Shaper<L: Lanes> {
    lanes: L,
    preemphasis: L::Vector,
    constant: L::Vector,
    mean: L::Vector,
    /// What preemphasis leaves of the mean.
    offset: L::Vector,
}

impl<L: Lanes> Shaper<L> {
    #[inline(always)]
    fn pair(
        &self,
        samples: Complex<L::Vector>,
        before: &mut L::Vector,
        weights: [L::Number; 2],
    ) -> Complex<L::Vector> {
        let [even, odd] = samples;
        let shaped = [
            self.sample(even, *before, weights[0]),
            self.sample(odd, even, weights[1]),
        ];
        *before = odd;
        shaped
    }

    /// `(sample - mean) - preemphasis (before - mean)`, in the order that rounds the least.
    #[inline(always)]
    fn sample(&self, sample: L::Vector, before: L::Vector, weight: L::Number) -> L::Vector {
        let lanes = self.lanes;
        let difference = if L::FUSED {
            let difference = lanes.sub_mul(sample, self.preemphasis, before);
            lanes.sub(difference, self.offset)
        } else {
            let rest = lanes.mul(self.constant, lanes.sub(before, self.mean));
            lanes.add(lanes.sub(sample, before), rest)
        };
        lanes.mul(difference, lanes.splat(weight))
    }
}

/// The work of `Fbank::for_each_frame`.
pub(crate) struct Frames<'a, S> {
    pub(crate) plan: &'a Plan,
    pub(crate) samples: &'a [f32],
    pub(crate) frames: Range<usize>,
    /// Number of the frame that `samples` begins with.
    pub(crate) number: usize,
    pub(crate) workspace: &'a mut Workspace,
    pub(crate) sink: S,
}

impl<S: Sink> Kernel for Frames<'_, S> {
    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        self.workspace.fit(self.plan);
        let lanes = <I::Singles as Lanes>::COUNT;
        for first in self.frames.clone().step_by(lanes) {
            let count = lanes.min(self.frames.end - first);
            self.single_block(isa, first, count);
            while self.workspace.again.len() >= <I::Doubles as Lanes>::COUNT {
                self.double_block(isa);
            }
        }
        while !self.workspace.again.is_empty() {
            self.double_block(isa);
        }
    }
}

impl<S: Sink> Frames<'_, S> {
    /// Computes `count` frames from `first` on, and remembers those that want double precision.
    #[inline(always)]
    fn single_block<I: Isa>(&mut self, isa: I, first: usize, count: usize) {
        let plan = self.plan;
        let (lanes, width) = (isa.singles(), <I::Singles as Lanes>::COUNT);
        let mut block = Block::new(plan, &mut self.workspace.vectors);
        // Lanes without a frame compute the last one again.
        let mut starts = [0; MAX_LANES];
        for (lane, start) in starts.iter_mut().enumerate() {
            *start = (first + lane.min(count - 1)) * plan.frame_shift;
        }
        let end = starts[width - 1] + plan.frame_length;
        read_ahead(self.samples, end..end + width * plan.frame_shift);
        let whole = plan.frame_length - plan.frame_length % width;
        for at in (0..whole).step_by(width) {
            isa.load_tile(&self.samples[at..], &starts, &mut block.rows[at..]);
        }
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(block.rows);
        for at in whole..plan.frame_length {
            for (lane, start) in starts[..width].iter().enumerate() {
                numbers[at * width + lane] = self.samples[start + at];
            }
        }
        if let Some(dither) = plan.dither {
            for lane in 0..count {
                let noise = noise(dither, self.number + first + lane);
                for (row, noise) in numbers
                    .chunks_exact_mut(width)
                    .take(plan.frame_length)
                    .zip(noise)
                {
                    row[lane] += noise as f32;
                }
            }
        }
        let check = plan.singles.energies(lanes, plan.frame_length, &mut block);
        let stride = plan.padded_bins();
        for at in (0..stride).step_by(width) {
            isa.store_tile(&block.mel[at..], &mut self.workspace.frames[at..], stride);
        }
        for lane in 0..count {
            if is_doubtful::<I::Singles>(&check, lane) {
                self.workspace.again.push(first + lane);
            } else {
                self.finish::<I>(lane, first + lane);
            }
        }
    }

    /// Computes some frames again, in double precision.
    #[inline(always)]
    fn double_block<I: Isa>(&mut self, isa: I) {
        let plan = self.plan;
        let (lanes, width) = (isa.doubles(), <I::Doubles as Lanes>::COUNT);
        let mut block = Block::new(plan, &mut self.workspace.vectors);
        let numbers: &mut [f64] = bytemuck::cast_slice_mut(block.rows);
        let again = &mut self.workspace.again;
        let rest = again.len().saturating_sub(width);
        let frames = &again[rest..];
        for lane in 0..width {
            let frame = frames[lane.min(frames.len() - 1)];
            let samples = &self.samples[frame * plan.frame_shift..][..plan.frame_length];
            for (row, sample) in numbers.chunks_exact_mut(width).zip(samples) {
                row[lane] = f64::from(*sample);
            }
            if let Some(dither) = plan.dither {
                let noise = noise(dither, self.number + frame);
                for (row, noise) in numbers
                    .chunks_exact_mut(width)
                    .take(plan.frame_length)
                    .zip(noise)
                {
                    row[lane] += noise;
                }
            }
        }
        plan.doubles.energies(lanes, plan.frame_length, &mut block);
        let mel: &[f64] = bytemuck::cast_slice(block.mel);
        let stride = plan.padded_bins();
        for lane in 0..frames.len() {
            let out = &mut self.workspace.frames[lane * stride..][..stride];
            for (out, row) in out.iter_mut().zip(mel.chunks_exact(width)) {
                *out = row[lane] as f32;
            }
        }
        for lane in 0..self.workspace.again.len() - rest {
            self.finish::<I>(lane, self.workspace.again[rest + lane]);
        }
        self.workspace.again.truncate(rest);
    }

    /// From the energies of a lane to what the sink takes.
    #[inline(always)]
    fn finish<I: Isa>(&mut self, lane: usize, frame: usize) {
        let stride = self.plan.padded_bins();
        let log_mel = &mut self.workspace.frames[lane * stride..][..stride];
        ln_floored::<I::Singles>(log_mel, f32::EPSILON);
        self.sink.put(frame, &log_mel[..self.plan.num_mel_bins]);
    }
}

/// Reads a sample of each cache line in `range`, as far as there are any: those that the next block adds. Memory answers while
/// this block is computed, and sees one stream where the block's lanes would be many.
#[inline(always)]
fn read_ahead(samples: &[f32], range: Range<usize>) {
    let end = range.end.min(samples.len());
    let mut read = 0;
    for sample in samples[range.start.min(end)..end].iter().step_by(LINE) {
        read |= sample.to_bits();
    }
    std::hint::black_box(read);
}

/// The noise of a frame, on the scale of samples in [-1, 1].
fn noise(dither: Dither, frame: usize) -> impl Iterator<Item = f64> {
    dither
        .frame(frame)
        .map(|noise| f64::from(noise) / SAMPLE_SCALE)
}

/// Whether single precision is not enough for the frame in `lane`.
#[inline(always)]
fn is_doubtful<L: Lanes<Number = f32>>(check: &Check<L::Vector>, lane: usize) -> bool {
    let (mean, total) = (
        number::<L>(&check.mean, lane),
        number::<L>(&check.total, lane),
    );
    let bound = LEAST_SHARE * total + LEAST_OVER_MEAN * mean * mean;
    // Below the floor of the logarithm, errors do not show.
    number::<L>(&check.least, lane) < bound && bound > f32::EPSILON
}

#[inline(always)]
fn number<L: Lanes>(vector: &L::Vector, lane: usize) -> L::Number {
    bytemuck::cast_slice(std::slice::from_ref(vector))[lane]
}
