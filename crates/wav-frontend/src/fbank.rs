//! Kaldi's log-mel filter bank energies.

use std::ops::Range;

use crate::error::{FrontendError, OptionsError, check_size, invalid};
use crate::kernel::{Frames, Plan, Sink, Workspace};
use crate::options::FrontendOptions;
use crate::simd_path::{Machine, SimdPath};

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
    machine: Machine,
    plan: Plan,
}

impl Fbank {
    /// A filter bank with `options`, of which LFR's do not matter here.
    ///
    /// # Errors
    /// When an option makes no sense.
    pub fn new(options: &FrontendOptions) -> Result<Self, OptionsError> {
        options.validate()?;
        let path = SimdPath::fastest();
        Ok(Self {
            path,
            machine: path.machine().unwrap_or(Machine::Portable),
            plan: Plan::new(options)?,
        })
    }

    /// The same filter bank on another instruction set than the fastest that the CPU has.
    ///
    /// # Errors
    /// When the CPU does not have it.
    pub fn with_simd_path(self, path: SimdPath) -> Result<Self, OptionsError> {
        let missing = || invalid("simd path", path.to_string(), "one that this CPU has");
        let machine = path.machine().ok_or_else(missing)?;
        Ok(Self {
            path,
            machine,
            ..self
        })
    }

    /// The instruction set it computes with.
    pub fn simd_path(&self) -> SimdPath {
        self.path
    }

    /// Samples in a frame.
    pub fn frame_length(&self) -> usize {
        self.plan.frame_length
    }

    /// Samples between the starts of two frames.
    pub fn frame_shift(&self) -> usize {
        self.plan.frame_shift
    }

    /// Values per frame.
    pub fn num_mel_bins(&self) -> usize {
        self.plan.num_mel_bins
    }

    /// Whole frames in `samples` samples: 0 for fewer than one frame has.
    pub fn frames(&self, samples: usize) -> usize {
        match samples.checked_sub(self.plan.frame_length) {
            Some(rest) => 1 + rest / self.plan.frame_shift,
            None => 0,
        }
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
        check_size("the log-mel buffer", out.len(), frames, self.num_mel_bins())?;
        let sink = Rows {
            out,
            bins: self.num_mel_bins(),
        };
        self.for_each_frame(samples, 0..frames, 0, workspace, sink);
        Ok(frames)
    }

    /// Hands the index and the log-mel energies of each of `frames` to `sink`. In the audio as a whole, which dither is drawn
    /// for, `samples` begins with frame `number`.
    pub(crate) fn for_each_frame(
        &self,
        samples: &[f32],
        frames: Range<usize>,
        number: usize,
        workspace: &mut Workspace,
        sink: impl Sink,
    ) {
        self.machine.run(Frames {
            plan: &self.plan,
            samples,
            frames,
            number,
            workspace,
            sink,
        });
    }
}

struct Rows<'a> {
    out: &'a mut [f32],
    bins: usize,
}

impl Sink for Rows<'_> {
    #[inline(always)]
    fn put(&mut self, frame: usize, log_mel: &[f32]) {
        self.out[frame * self.bins..][..self.bins].copy_from_slice(log_mel);
    }
}
