//! Samples to features: fbank, stacking of frames, normalisation.

use std::ops::{Range, RangeInclusive};

use crate::cmvn::Cmvn;
use crate::error::check_size;
use crate::error::{FrontendError, OptionsError};
use crate::fbank::Fbank;
use crate::kernel::{Sink, Workspace};
use crate::options::FrontendOptions;
use crate::simd_path::SimdPath;

/// The offline front end of SenseVoice and Paraformer: samples in [-1, 1] to `[frames, feature_dim]`.
///
/// Log-mel frames ([`Fbank`]) are stacked at a low frame rate: with m = 7 and n = 6, the first one is
/// repeated 3 times in front, output frame i holds the frames 6i to 6i + 6, and where those run out the
/// last one is repeated. Then, with a [`Cmvn`], every value is shifted and scaled.
///
/// It is shared between threads as it is; each brings its own [`Workspace`].
#[derive(Debug, Clone)]
pub struct Frontend {
    options: FrontendOptions,
    fbank: Fbank,
    /// Shift and scale of each value of a stacked frame.
    cmvn: Option<Cmvn>,
}

impl Frontend {
    /// A front end with `options`, and with normalisation if there is a `cmvn`.
    ///
    /// # Errors
    /// When an option makes no sense, or `cmvn` has not `num_mel_bins * lfr_m` values.
    pub fn new(options: FrontendOptions, cmvn: Option<Cmvn>) -> Result<Self, FrontendError> {
        let fbank = Fbank::new(&options)?;
        if let Some(cmvn) = &cmvn {
            check_cmvn(&options, cmvn)?;
        }
        Ok(Self {
            options,
            fbank,
            cmvn,
        })
    }

    /// The same front end on another instruction set than the fastest that the CPU has.
    ///
    /// # Errors
    /// When the CPU does not have it.
    pub fn with_simd_path(mut self, path: SimdPath) -> Result<Self, OptionsError> {
        self.fbank = self.fbank.with_simd_path(path)?;
        Ok(self)
    }

    /// The instruction set it computes with.
    pub fn simd_path(&self) -> SimdPath {
        self.fbank.simd_path()
    }

    /// The options it was made with.
    pub fn options(&self) -> &FrontendOptions {
        &self.options
    }

    /// The filter bank in front.
    pub fn fbank(&self) -> &Fbank {
        &self.fbank
    }

    /// Values per stacked frame, 560 by default.
    pub fn feature_dim(&self) -> usize {
        self.options.feature_dim()
    }

    /// Stacked frames for `samples` samples: a sixth of the 10 ms frames, rounded up, and 0 for less audio than
    /// one frame (25 ms).
    pub fn output_frames(&self, samples: usize) -> usize {
        self.lfr().rows(self.fbank.frames(samples))
    }

    /// Writes the features of `samples` to `out`, `[output_frames(samples.len()), feature_dim()]`, and returns the
    /// number of frames.
    ///
    /// # Errors
    /// When `out` has another size.
    pub fn extract(
        &self,
        samples: &[f32],
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<usize, FrontendError> {
        let frames = self.output_frames(samples.len());
        check_size("the feature buffer", out.len(), frames, self.feature_dim())?;
        self.extract_range(samples, 0..frames, out, workspace);
        Ok(frames)
    }

    /// Writes the stacked frames `range` to `out`, `[range.len(), feature_dim()]`: the same values as all of them at
    /// once have there.
    pub(crate) fn extract_range(
        &self,
        samples: &[f32],
        range: Range<usize>,
        out: &mut [f32],
        workspace: &mut Workspace,
    ) {
        self.extract_rows(samples, 0, range, out, workspace);
    }

    /// As [`extract_range`](Self::extract_range), for audio of which `samples` begin with the log-mel frame `number`:
    /// the first that `range` needs or one before it. They go on for as far as `range` needs, or to the audio's end.
    pub(crate) fn extract_rows(
        &self,
        samples: &[f32],
        number: usize,
        range: Range<usize>,
        out: &mut [f32],
        workspace: &mut Workspace,
    ) {
        if range.is_empty() {
            return;
        }
        let lfr = self.lfr();
        let last = number + self.fbank.frames(samples.len()) - 1;
        let needed = lfr.sources(range.clone(), last);
        let there = needed.start - number..needed.end - number;
        let sink = Stacked {
            frontend: self,
            number,
            last,
            rows: range,
            out,
        };
        self.fbank
            .for_each_frame(samples, there, number, workspace, sink);
    }

    /// Writes `values`, the ones from `first` on in a stacked frame, to `out`.
    #[inline(always)]
    fn normalise(&self, first: usize, values: &[f32], out: &mut [f32]) {
        let Some(cmvn) = &self.cmvn else {
            out.copy_from_slice(values);
            return;
        };
        let shift = &cmvn.shift()[first..][..values.len()];
        let scale = &cmvn.scale()[first..][..values.len()];
        for ((out, value), (shift, scale)) in
            out.iter_mut().zip(values).zip(shift.iter().zip(scale))
        {
            *out = (value + shift) * scale;
        }
    }

    pub(crate) fn lfr(&self) -> Lfr {
        Lfr {
            m: self.options.lfr_m,
            n: self.options.lfr_n,
        }
    }
}

/// Log-mel frames on their way to the stacked ones.
struct Stacked<'a> {
    frontend: &'a Frontend,
    /// Of the first log-mel frame that there is.
    number: usize,
    /// The audio's last log-mel frame.
    last: usize,
    /// The stacked frames in `out`.
    rows: Range<usize>,
    out: &'a mut [f32],
}

impl Sink for Stacked<'_> {
    #[inline(always)]
    fn put(&mut self, frame: usize, log_mel: &[f32]) {
        let (bins, dim) = (log_mel.len(), self.frontend.feature_dim());
        let lfr = self.frontend.lfr();
        let positions = lfr.positions(self.number + frame, self.last);
        for row in lfr.rows_with(&positions, &self.rows) {
            for slot in lfr.slots(&positions, row) {
                let at = (row - self.rows.start) * dim + slot * bins;
                let out = &mut self.out[at..][..bins];
                self.frontend.normalise(slot * bins, log_mel, out);
            }
        }
    }
}

/// Which frame goes where: row i, slot j holds frame `n i + j - (m - 1) / 2`, or the nearest there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lfr {
    m: usize,
    n: usize,
}

impl Lfr {
    /// Copies of the first frame in front.
    fn pad(self) -> usize {
        (self.m - 1) / 2
    }

    /// Rows for `frames` frames.
    pub(crate) fn rows(self, frames: usize) -> usize {
        frames.div_ceil(self.n)
    }

    /// Rows that no further frame changes once there are `frames` of them.
    pub(crate) fn complete_rows(self, frames: usize) -> usize {
        self.rows(frames.saturating_sub(self.m - 1 - self.pad()))
    }

    /// The first frame that `row` holds.
    pub(crate) fn first_source(self, row: usize) -> usize {
        (row * self.n).saturating_sub(self.pad())
    }

    /// The frames that `rows` (not empty) are made of.
    fn sources(self, rows: Range<usize>, last: usize) -> Range<usize> {
        let first = self.first_source(rows.start);
        let end = ((rows.end - 1) * self.n + self.m).saturating_sub(self.pad());
        first.min(last)..end.clamp(1, last + 1)
    }

    /// The places of `frame` in the padded sequence.
    fn positions(self, frame: usize, last: usize) -> RangeInclusive<usize> {
        let position = frame + self.pad();
        let from = if frame == 0 { 0 } else { position };
        let to = if frame == last { usize::MAX } else { position };
        from..=to
    }

    /// The rows among `rows` that may hold one of the `positions`.
    fn rows_with(self, positions: &RangeInclusive<usize>, rows: &Range<usize>) -> Range<usize> {
        let first = (positions.start() + 1)
            .saturating_sub(self.m)
            .div_ceil(self.n);
        let end = (positions.end() / self.n).saturating_add(1);
        rows.start.max(first)..rows.end.min(end)
    }

    /// The slots of `row` that hold one of the `positions`.
    fn slots(self, positions: &RangeInclusive<usize>, row: usize) -> Range<usize> {
        let start = row * self.n;
        let end = (positions.end() - start).saturating_add(1);
        positions.start().saturating_sub(start)..self.m.min(end)
    }
}

pub(crate) fn check_cmvn(options: &FrontendOptions, cmvn: &Cmvn) -> Result<(), FrontendError> {
    if cmvn.dim() == options.feature_dim() {
        return Ok(());
    }
    Err(FrontendError::CmvnWidth {
        given: cmvn.dim(),
        expected: options.feature_dim(),
        num_mel_bins: options.num_mel_bins,
        lfr_m: options.lfr_m,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as the definition says: padded with copies of the first frame, then of the last.
    fn stacked(m: usize, n: usize, frames: usize) -> Vec<Vec<usize>> {
        let mut padded = vec![0; (m - 1) / 2];
        padded.extend(0..frames);
        padded.resize(padded.len() + m + n, frames - 1);
        (0..frames.div_ceil(n))
            .map(|row| padded[row * n..][..m].to_vec())
            .collect()
    }

    #[test]
    fn complete_rows_are_those_that_more_frames_leave_as_they_are() {
        for (m, n) in [(7, 6), (1, 1), (1, 6), (5, 1), (4, 3), (2, 9), (12, 4)] {
            for frames in 1..40usize {
                let (rows, later) = (stacked(m, n, frames), stacked(m, n, frames + 1));
                // Of equal frames only the last one is known to be followed by another.
                let kept = rows
                    .iter()
                    .zip(&later)
                    .take_while(|(row, later)| row == later)
                    .count();
                let lfr = Lfr { m, n };
                assert_eq!(
                    (lfr.rows(frames), lfr.complete_rows(frames)),
                    (rows.len(), kept),
                    "m {m} n {n} frames {frames}"
                );
            }
        }
    }

    #[test]
    fn every_slot_is_filled_once_for_every_shape_and_range() {
        for (m, n) in [
            (7, 6),
            (1, 1),
            (1, 6),
            (5, 1),
            (4, 3),
            (2, 9),
            (9, 2),
            (12, 4),
        ] {
            let lfr = Lfr { m, n };
            for frames in 1..30usize {
                let truth = stacked(m, n, frames);
                for start in 0..truth.len() {
                    let range = start..truth.len().min(start + 2);
                    let mut rows = vec![vec![usize::MAX; m]; range.len()];
                    for frame in lfr.sources(range.clone(), frames - 1) {
                        let positions = lfr.positions(frame, frames - 1);
                        for row in lfr.rows_with(&positions, &range) {
                            for slot in lfr.slots(&positions, row) {
                                assert_eq!(rows[row - start][slot], usize::MAX, "filled twice");
                                rows[row - start][slot] = frame;
                            }
                        }
                    }
                    assert_eq!(
                        rows,
                        truth[range.clone()],
                        "m {m} n {n} frames {frames} {range:?}"
                    );
                }
            }
        }
    }
}
