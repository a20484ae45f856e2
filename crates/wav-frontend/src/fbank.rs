//! Kaldi's log-mel filter bank energies.

use crate::dither::Dither;
use crate::error::{FrontendError, OptionsError};
use crate::fft::{Complex, PowerFft};
use crate::lanes::{LANES, Lanes};
use crate::mel::MelBank;
use crate::options::{FrontendOptions, invalid};
use crate::simd_path::SimdPath;

/// Samples are floats in [-1, 1], Kaldi's are 16-bit.
const SAMPLE_SCALE: f32 = 32_768.0;

/// Log-mel filter bank: samples in [-1, 1] to `[frames, num_mel_bins]`.
///
/// The steps are those of Kaldi's `feature-window` and `feature-fbank`: frames that lie in the audio as a
/// whole (snip_edges), scaled to 16 bits, dithered if asked for, without their mean, preemphasised, windowed,
/// padded with zeros to a power of two, power spectrum, mel filters, natural logarithm with FLT_EPSILON as
/// the floor.
///
/// It is shared between threads as it is; each brings its own [`Workspace`].
#[derive(Debug, Clone)]
pub struct Fbank {
    path: SimdPath,
    arch: pulp::Arch,
    frame_length: usize,
    frame_shift: usize,
    num_mel_bins: usize,
    preemphasis: f32,
    dither: Option<Dither>,
    /// One weight per sample of a frame, halved: see [`PowerFft::power`].
    window: Vec<f32>,
    fft: PowerFft,
    mel: MelBank,
}

/// Scratch memory for one thread's computations, about 100 kB for 16 kHz audio.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// `[frame_length]`
    samples: Vec<Lanes>,
    /// `[fft_size / 2]`
    spectrum: Vec<Complex>,
    /// `[fft_size / 2]`
    power: Vec<Lanes>,
    /// `[num_mel_bins]`
    mel: Vec<Lanes>,
    /// One frame's log-mel energies, `[num_mel_bins]`
    frame: Vec<f32>,
}

impl Workspace {
    /// An empty workspace, which its first use brings to size.
    pub fn new() -> Self {
        Self::default()
    }

    fn fit(&mut self, fbank: &Fbank) {
        let half = fbank.fft_size() / 2;
        self.samples.resize(fbank.frame_length, Lanes::<f32>::ZERO);
        self.spectrum.resize(half, Complex::ZERO);
        self.power.resize(half, Lanes::<f32>::ZERO);
        self.mel.resize(fbank.num_mel_bins, Lanes::<f32>::ZERO);
        self.frame.resize(fbank.num_mel_bins, 0.0);
    }
}

impl Fbank {
    /// A filter bank with `options`, of which LFR's do not matter here.
    ///
    /// # Errors
    /// When an option makes no sense.
    pub fn new(options: &FrontendOptions) -> Result<Self, OptionsError> {
        options.validate()?;
        let frame_length = options.frame_length_samples();
        let window = options.window.weights(frame_length);
        Ok(Self {
            path: SimdPath::fastest(),
            arch: pulp::Arch::new(),
            frame_length,
            frame_shift: options.frame_shift_samples(),
            num_mel_bins: options.num_mel_bins,
            preemphasis: options.preemphasis,
            dither: Dither::new(options.dither, options.dither_seed),
            window: window
                .into_iter()
                .map(|weight| weight as f32 * 0.5)
                .collect(),
            fft: PowerFft::new(frame_length.next_power_of_two()),
            mel: MelBank::new(options)?,
        })
    }

    /// The same filter bank on another instruction set than the fastest that the CPU has.
    ///
    /// # Errors
    /// When the CPU does not have it.
    pub fn with_simd_path(self, path: SimdPath) -> Result<Self, OptionsError> {
        let missing = || invalid("simd path", path.to_string(), "one that this CPU has");
        let arch = path.arch().ok_or_else(missing)?;
        Ok(Self { path, arch, ..self })
    }

    /// The instruction set it computes with.
    pub fn simd_path(&self) -> SimdPath {
        self.path
    }

    /// Samples in a frame.
    pub fn frame_length(&self) -> usize {
        self.frame_length
    }

    /// Samples between the starts of two frames.
    pub fn frame_shift(&self) -> usize {
        self.frame_shift
    }

    /// Values per frame.
    pub fn num_mel_bins(&self) -> usize {
        self.num_mel_bins
    }

    /// Whole frames in `samples` samples: 0 for fewer than one frame has.
    pub fn frames(&self, samples: usize) -> usize {
        match samples.checked_sub(self.frame_length) {
            Some(rest) => 1 + rest / self.frame_shift,
            None => 0,
        }
    }

    fn fft_size(&self) -> usize {
        self.frame_length.next_power_of_two()
    }

    /// Writes the log-mel energies of `samples` to `out`, `[frames(samples.len()), num_mel_bins]`, and returns
    /// the number of frames.
    ///
    /// # Errors
    /// When `out` has another size.
    pub fn extract(
        &self,
        samples: &[f32],
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<usize, FrontendError> {
        let frames = self.frames(samples.len());
        crate::frontend::check_size("the log-mel buffer", out.len(), frames, self.num_mel_bins)?;
        self.for_each_frame(samples, 0..frames, 0, workspace, |frame, log_mel| {
            out[frame * self.num_mel_bins..][..self.num_mel_bins].copy_from_slice(log_mel);
        });
        Ok(frames)
    }

    /// Calls `take` with the index and the log-mel energies of each of `frames`, in order. In the audio as a whole,
    /// which dither is drawn for, `samples` begins with frame `number`.
    pub(crate) fn for_each_frame(
        &self,
        samples: &[f32],
        frames: std::ops::Range<usize>,
        number: usize,
        workspace: &mut Workspace,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        workspace.fit(self);
        for first in frames.clone().step_by(LANES) {
            let count = LANES.min(frames.end - first);
            self.arch.dispatch(Block {
                fbank: self,
                samples,
                first,
                count,
                number,
                workspace: &mut *workspace,
            });
            for lane in 0..count {
                for (value, lanes) in workspace.frame.iter_mut().zip(&workspace.mel) {
                    *value = lanes.0[lane];
                }
                take(first + lane, &workspace.frame);
            }
        }
    }
}

/// Up to [`LANES`] frames from `first` on, on the way from samples to `workspace.mel`.
struct Block<'a> {
    fbank: &'a Fbank,
    samples: &'a [f32],
    first: usize,
    count: usize,
    /// Number of the frame that `samples` begins with.
    number: usize,
    workspace: &'a mut Workspace,
}

impl pulp::WithSimd for Block<'_> {
    type Output = ();

    /// Everything inlined here is compiled for the instruction set of `S`.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _simd: S) {
        self.gather();
        self.shape();
        let Workspace {
            spectrum,
            power,
            mel,
            ..
        } = &mut *self.workspace;
        self.fbank.fft.power(spectrum, power);
        for (out, (first_bin, weights)) in mel.iter_mut().zip(self.fbank.mel.filters()) {
            let mut energy = Lanes::<f32>::ZERO;
            for (power, weight) in power[first_bin..].iter().zip(weights) {
                energy.add_scaled(power, *weight);
            }
            *out = energy.ln_floored(f32::EPSILON);
        }
    }
}

impl Block<'_> {
    /// Puts each frame's samples into its lane. Lanes without a frame keep what they had.
    #[inline(always)]
    fn gather(&mut self) {
        for lane in 0..self.count {
            let frame = self.first + lane;
            let samples =
                &self.samples[frame * self.fbank.frame_shift..][..self.fbank.frame_length];
            for (row, sample) in self.workspace.samples.iter_mut().zip(samples) {
                row.0[lane] = sample * SAMPLE_SCALE;
            }
            if let Some(dither) = self.fbank.dither {
                for (row, noise) in self
                    .workspace
                    .samples
                    .iter_mut()
                    .zip(dither.frame(self.number + frame))
                {
                    row.0[lane] += noise;
                }
            }
        }
    }

    /// Removes the mean, preemphasises, applies the window, and pads with zeros.
    #[inline(always)]
    fn shape(&mut self) {
        let Workspace {
            samples, spectrum, ..
        } = &mut *self.workspace;
        let mut mean = Lanes::<f32>::ZERO;
        for row in samples.iter() {
            mean.add_scaled(row, 1.0);
        }
        for mean in &mut mean.0 {
            *mean /= self.fbank.frame_length as f32;
        }
        // The first sample is its own predecessor.
        let mut before = Lanes::<f32>::ZERO;
        for (before, (sample, mean)) in before.0.iter_mut().zip(samples[0].0.iter().zip(&mean.0)) {
            *before = sample - mean;
        }
        spectrum.fill(Complex::ZERO);
        let rows = spectrum
            .iter_mut()
            .flat_map(|row| [&mut row.re, &mut row.im]);
        for ((row, sample), weight) in rows.zip(samples.iter()).zip(&self.fbank.window) {
            for l in 0..LANES {
                let centred = sample.0[l] - mean.0[l];
                let shaped = (centred - self.fbank.preemphasis * before.0[l]) * weight;
                row.0[l] = f64::from(shaped);
                before.0[l] = centred;
            }
        }
    }
}
