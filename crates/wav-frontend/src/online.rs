//! The streaming front end: chunks of a stream to windows of log-mel frames.
//!
//! The frames are those of the whole stream, with the first one repeated in front as stacking wants it. Windows of
//! them are handed out whose stacked frames continue each other: with chunks of 0.6 s and seven frames stacked every
//! six, a window is 61 frames, of which the last is the next one's first.
//!
//! ```
//! use wav_frontend::online::{OnlineFrontend, OnlineState};
//! use wav_frontend::{FrontendOptions, Workspace};
//!
//! let frontend = OnlineFrontend::new(&FrontendOptions::default(), 0.6)?;
//! assert_eq!((frontend.chunk_samples(), frontend.window_frames()), (9600, 61));
//!
//! let mut state = OnlineState::new(); // one per stream
//! let mut window = vec![0.0; frontend.window_len()]; // [61, 80]
//! let mut workspace = Workspace::new();
//! frontend.push(&mut state, &[0.1; 7000])?;
//! assert!(!frontend.pop(&mut state, &mut window, &mut workspace)?, "not yet");
//! frontend.push(&mut state, &[0.1; 7000])?;
//! assert!(frontend.pop(&mut state, &mut window, &mut workspace)?);
//! # Ok::<(), wav_frontend::FrontendError>(())
//! ```

use crate::error::{FrontendError, OptionsError, check_size, invalid};
use crate::fbank::Fbank;
use crate::kernel::{Sink, Workspace};
use crate::options::FrontendOptions;

/// Chunks of audio that may wait in a stream.
const MAX_BACKLOG_CHUNKS: usize = 64;
/// Most samples in a chunk: a minute at 16 kHz.
const MAX_CHUNK_SAMPLES: usize = 960_000;

/// Chunks of streams to windows of log-mel frames; what it knows of a stream is its [`OnlineState`].
///
/// It is shared between threads as it is; each brings its own [`Workspace`].
#[derive(Debug, Clone)]
pub struct OnlineFrontend {
    fbank: Fbank,
    /// Frames between the starts of two windows.
    stride: usize,
    window: usize,
    /// Copies of the first frame in front.
    pad: usize,
}

/// One stream's memory: the samples that its next windows need.
///
/// About 2 kB between calls of [`chunk`](OnlineFrontend::chunk) with 0.6 s, and at most the 64 chunks that may wait.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OnlineState {
    /// From the first frame of the next window on.
    samples: Vec<f32>,
    /// Windows handed out.
    windows: usize,
}

impl OnlineState {
    /// A stream that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the stream, to begin another.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A window's frames, of which the first is copied in front.
struct Window<'a> {
    out: &'a mut [f32],
    bins: usize,
    copies: usize,
}

impl Sink for Window<'_> {
    #[inline(always)]
    fn put(&mut self, frame: usize, log_mel: &[f32]) {
        let from = if frame == 0 { 0 } else { self.copies + frame };
        let out = &mut self.out[from * self.bins..(self.copies + frame + 1) * self.bins];
        for row in out.chunks_exact_mut(self.bins) {
            row.copy_from_slice(log_mel);
        }
    }
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkReport {
    /// Zero samples appended, as the chunk was too short for a window.
    pub padding: usize,
    /// Samples that wait beyond the end of the window's chunk, as this or an earlier chunk was too long.
    pub backlog: usize,
}

impl OnlineFrontend {
    /// A streaming front end for chunks of `chunk_size_s` seconds, 0.6 in the published models.
    ///
    /// # Errors
    /// When an option makes no sense or a chunk is not a whole number of stacked frames: `lfr_n` times the frame shift.
    pub fn new(options: &FrontendOptions, chunk_size_s: f64) -> Result<Self, OptionsError> {
        let fbank = Fbank::new(options)?;
        let (m, n, pad) = (options.lfr_m, options.lfr_n, (options.lfr_m - 1) / 2);
        let wrong = |expected: String| invalid("chunk_size_s", chunk_size_s.to_string(), expected);
        let samples = (chunk_size_s * f64::from(options.sample_rate)).round();
        let hop = n * fbank.frame_shift();
        if !(hop as f64..=MAX_CHUNK_SAMPLES as f64).contains(&samples)
            || !(samples as usize).is_multiple_of(hop)
        {
            let hop_s = hop as f64 / f64::from(options.sample_rate);
            return Err(wrong(format!(
                "a multiple of {hop_s} (lfr_n {n} x {} samples) up to {MAX_CHUNK_SAMPLES} samples",
                fbank.frame_shift()
            )));
        }
        let stride = samples as usize / fbank.frame_shift();
        let frontend = Self {
            stride,
            window: stride + m - n,
            pad,
            fbank,
        };
        let needed = frontend.first_samples();
        if stride < pad || frontend.window <= pad || needed > frontend.chunk_samples() {
            let needed = needed as f64 / f64::from(options.sample_rate);
            return Err(wrong(format!(
                "at least the {needed} s that the first window takes"
            )));
        }
        Ok(frontend)
    }

    /// Samples in a chunk, 9600.
    pub fn chunk_samples(&self) -> usize {
        self.stride * self.fbank.frame_shift()
    }

    /// Frames in a window, 61.
    pub fn window_frames(&self) -> usize {
        self.window
    }

    /// Frames between the starts of two windows, 60.
    pub fn stride_frames(&self) -> usize {
        self.stride
    }

    /// Values in a window, 61 x 80.
    pub fn window_len(&self) -> usize {
        self.window * self.fbank.num_mel_bins()
    }

    /// Samples that the first window takes, 9520.
    fn first_samples(&self) -> usize {
        self.samples_in(self.window.saturating_sub(self.pad))
    }

    fn samples_in(&self, frames: usize) -> usize {
        frames.saturating_sub(1) * self.fbank.frame_shift() + self.fbank.frame_length()
    }

    /// Frames of the next window that are computed, the others being copies of the first.
    fn own_frames(&self, state: &OnlineState) -> usize {
        if state.windows == 0 {
            self.window - self.pad
        } else {
            self.window
        }
    }

    /// Samples from the state's first on that reach the end of the next window's chunk.
    fn samples_to_boundary(&self, state: &OnlineState) -> usize {
        let carried = if state.windows == 0 {
            0
        } else {
            self.pad * self.fbank.frame_shift()
        };
        carried + self.chunk_samples()
    }

    /// Appends `samples`, in [-1, 1] and as many as there are, to the stream.
    ///
    /// # Errors
    /// When more than 64 chunks would wait; the stream is as before then.
    pub fn push(&self, state: &mut OnlineState, samples: &[f32]) -> Result<(), FrontendError> {
        self.check_backlog(state, samples)?;
        state.samples.extend_from_slice(samples);
        Ok(())
    }

    fn check_backlog(&self, state: &OnlineState, samples: &[f32]) -> Result<(), FrontendError> {
        let (held, given) = (state.samples.len(), samples.len());
        let limit = MAX_BACKLOG_CHUNKS * self.chunk_samples();
        if held.saturating_add(given) > limit {
            return Err(FrontendError::Backlog { held, given, limit });
        }
        Ok(())
    }

    /// Writes the stream's next window to `out`, `[window_frames(), num_mel_bins]`, if its samples are there.
    ///
    /// # Errors
    /// When `out` has another size.
    pub fn pop(
        &self,
        state: &mut OnlineState,
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<bool, FrontendError> {
        self.check_window(out)?;
        if state.samples.len() < self.samples_in(self.own_frames(state)) {
            return Ok(false);
        }
        let used = self.window(state.windows, &state.samples, out, workspace);
        state.samples.drain(..used);
        state.windows += 1;
        self.give_back(state);
        Ok(true)
    }

    fn check_window(&self, out: &[f32]) -> Result<(), FrontendError> {
        let bins = self.fbank.num_mel_bins();
        check_size("the window buffer", out.len(), self.window, bins)
    }

    /// Computes window `index`, whose first frame `samples` begin with, and returns the samples that no later one needs.
    fn window(
        &self,
        index: usize,
        samples: &[f32],
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> usize {
        let copies = if index == 0 { self.pad } else { 0 };
        let own = self.window - copies;
        let number = (index * self.stride).saturating_sub(self.pad);
        let bins = self.fbank.num_mel_bins();
        let sink = Window { out, bins, copies };
        self.fbank
            .for_each_frame(samples, 0..own, number, workspace, sink);
        samples
            .len()
            .min((self.stride - copies) * self.fbank.frame_shift())
    }

    /// Gives memory back that a backlog took.
    fn give_back(&self, state: &mut OnlineState) {
        let usual = 2 * self.chunk_samples();
        if state.samples.capacity() > usual && state.samples.len() < usual / 2 {
            state.samples.shrink_to(self.samples_in(self.pad));
        }
    }

    /// One chunk in, one window out, `[window_frames(), num_mel_bins]`: what a model with fixed tensors needs. A chunk that
    /// leaves the stream short of the next multiple of [`chunk_samples`](Self::chunk_samples) is padded with zeros up
    /// to there; what goes beyond waits for the next call.
    ///
    /// # Errors
    /// As [`push`](Self::push) and [`pop`](Self::pop); the stream is as before then.
    pub fn chunk(
        &self,
        state: &mut OnlineState,
        samples: &[f32],
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<ChunkReport, FrontendError> {
        self.check_window(out)?;
        self.check_backlog(state, samples)?;
        let boundary = self.samples_to_boundary(state);
        let total = state.samples.len() + samples.len();
        // The stream itself keeps only what is left, a small part of a chunk.
        let mut joined = workspace.take_joined();
        joined.extend_from_slice(&state.samples);
        joined.extend_from_slice(samples);
        joined.resize(total.max(boundary), 0.0);
        let used = self.window(state.windows, &joined, out, workspace);
        state.samples.clear();
        state.samples.extend_from_slice(&joined[used..]);
        state.windows += 1;
        self.give_back(state);
        workspace.put_back_joined(joined);
        Ok(ChunkReport {
            padding: boundary.saturating_sub(total),
            backlog: total.saturating_sub(boundary),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_keeps_little_between_chunks() -> Result<(), FrontendError> {
        let frontend = OnlineFrontend::new(&FrontendOptions::default(), 0.6)?;
        let (mut state, mut workspace) = (OnlineState::new(), Workspace::new());
        let mut window = vec![0.0; frontend.window_len()];
        for _ in 0..100 {
            frontend.chunk(&mut state, &[0.1; 9600], &mut window, &mut workspace)?;
            assert_eq!(state.samples.len(), 3 * 160);
            assert!(
                state.samples.capacity() < 1024,
                "{}",
                state.samples.capacity()
            );
        }
        Ok(())
    }
}
