//! The front end of a whole stream: samples as they come to the frames that the offline [`Frontend`] makes of them all.
//!
//! ```
//! use wav_frontend::stream::{StreamFrontend, StreamState};
//! use wav_frontend::{Frontend, FrontendOptions, Workspace};
//!
//! let frontend = Frontend::new(FrontendOptions::default(), None)?;
//! let frontend = StreamFrontend::new(frontend).with_positions(512)?;
//!
//! let (mut state, mut workspace) = (StreamState::new(), Workspace::new());
//! let mut frames = Vec::new(); // [_, 560]
//! frontend.push(&mut state, &[0.1; 16_000])?;
//! assert_eq!(frontend.ready(&state), 16);
//! assert_eq!(frontend.advance(&mut state, 10, &mut frames, &mut workspace), 10);
//! assert_eq!(frontend.advance(&mut state, 10, &mut frames, &mut workspace), 6);
//!
//! // A second has 98 frames of 10 ms; the 17th stacked one is short of one, which the end of the stream replaces.
//! frontend.finish(&mut state);
//! assert_eq!(frontend.advance(&mut state, 10, &mut frames, &mut workspace), 1);
//! assert_eq!(frames.len(), 17 * 560);
//! # Ok::<(), wav_frontend::FrontendError>(())
//! ```

use std::collections::TryReserveError;

use crate::error::{FrontendError, OptionsError};
use crate::frontend::Frontend;
use crate::kernel::Workspace;
use crate::positions::Positions;
use crate::queue::Queue;

/// Samples of streams to stacked frames; what it knows of a stream is its [`StreamState`].
///
/// The frames of a stream are, bit for bit, those of [`Frontend::extract`] over all its samples, however they were cut
/// into pushes and whatever the number of frames computed at a time. The last ones, which hold repetitions of the
/// stream's last 10 ms frame, come after [`finish`](Self::finish).
///
/// It is shared between threads as it is; each brings its own [`Workspace`].
#[derive(Debug, Clone)]
pub struct StreamFrontend {
    frontend: Frontend,
    positions: Option<Positions>,
}

/// One stream's memory: the samples that its next frames need, which is less than 100 ms of them once all frames that
/// are ready are computed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamState {
    /// Samples from the log-mel frame `dropped` on.
    queue: Queue,
    /// Log-mel frames before them.
    dropped: usize,
    /// Stacked frames computed.
    frames: usize,
    /// Samples received.
    samples: u64,
    finished: bool,
}

impl StreamState {
    /// A stream that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the stream, to begin another.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Samples the stream has received.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Samples the stream holds because frames to come need them: what its memory is bounded by.
    pub fn waiting_samples(&self) -> usize {
        self.queue.len()
    }

    /// Makes room for so many more samples, whose number a client decides: without, [`StreamFrontend::push`] of more than there is
    /// memory for ends the process.
    ///
    /// # Errors
    /// If there is no memory for them; the stream is as before then.
    pub fn reserve(&mut self, samples: usize) -> Result<(), TryReserveError> {
        self.queue.reserve(samples)
    }

    /// Frames computed so far.
    pub fn frames(&self) -> u64 {
        self.frames as u64
    }

    /// Whether the stream was finished.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

impl StreamFrontend {
    /// The frames of `frontend`, stream by stream.
    pub fn new(frontend: Frontend) -> Self {
        Self {
            frontend,
            positions: None,
        }
    }

    /// With the frames scaled and encoded as the streaming Paraformer's encoder wants them: times the square root of
    /// `encoder_output_size`, plus the sinusoidal encoding of their positions 1, 2, 3… in the stream, of which there is
    /// no last one. They are those of [`LfrCmvnPe`](crate::lfr_cmvn_pe::LfrCmvnPe), bit for bit.
    ///
    /// # Errors
    /// When `encoder_output_size` is not in 1 to 2^20, or a frame's number of values is odd or below 4.
    pub fn with_positions(self, encoder_output_size: usize) -> Result<Self, OptionsError> {
        let options = self.frontend.options();
        let positions = Positions::new(options.num_mel_bins, options.lfr_m, encoder_output_size)?;
        Ok(Self {
            positions: Some(positions),
            ..self
        })
    }

    /// The front end whose frames these are.
    pub fn frontend(&self) -> &Frontend {
        &self.frontend
    }

    /// Values per frame, 560.
    pub fn feature_dim(&self) -> usize {
        self.frontend.feature_dim()
    }

    /// Appends `samples`, in [-1, 1] and as many as there are, to the stream. They are only stored;
    /// [`advance`](Self::advance) computes.
    ///
    /// # Errors
    /// When the stream is finished; it is as before then.
    pub fn push(&self, state: &mut StreamState, samples: &[f32]) -> Result<(), FrontendError> {
        if state.finished {
            return Err(FrontendError::Finished {
                what: "samples",
                given: samples.len(),
            });
        }
        state.queue.extend(samples);
        state.samples += samples.len() as u64;
        Ok(())
    }

    /// Says that the stream has no more samples, so that its last frames are ready. A stream shorter than a 25 ms frame
    /// has none.
    pub fn finish(&self, state: &mut StreamState) {
        state.finished = true;
    }

    /// Frames that can be computed now.
    pub fn ready(&self, state: &StreamState) -> usize {
        let log_mel = state.dropped + self.frontend.fbank().frames(state.queue.len());
        let lfr = self.frontend.lfr();
        let frames = if state.finished {
            lfr.rows(log_mel)
        } else {
            lfr.complete_rows(log_mel)
        };
        frames - state.frames
    }

    /// Computes the next frames, as many as are ready but no more than `max_frames`, appends them to `out`, `[_,
    /// feature_dim()]`, and returns their number. The samples that no further frame needs are dropped.
    pub fn advance(
        &self,
        state: &mut StreamState,
        max_frames: usize,
        out: &mut Vec<f32>,
        workspace: &mut Workspace,
    ) -> usize {
        let count = self.ready(state).min(max_frames);
        if count == 0 {
            return 0;
        }
        let rows = state.frames..state.frames + count;
        let start = out.len();
        out.resize(start + count * self.feature_dim(), 0.0);
        let out = &mut out[start..];
        let samples = state.queue.as_slice();
        self.frontend
            .extract_rows(samples, state.dropped, rows, out, workspace);
        if let Some(positions) = &self.positions {
            positions.apply(state.frames as u64 + 1, out);
        }
        state.frames += count;
        self.drop_used(state);
        count
    }

    /// Drops the samples before the next stacked frame's first log-mel frame.
    fn drop_used(&self, state: &mut StreamState) {
        let fbank = self.frontend.fbank();
        // Where stacked frames leave some log-mel frames out, the next one's may not be there yet.
        let there = state.dropped + fbank.frames(state.queue.len());
        let needed = self.frontend.lfr().first_source(state.frames).min(there);
        state
            .queue
            .skip((needed - state.dropped) * fbank.frame_shift());
        state.dropped = needed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrontendOptions;

    fn frontend() -> Result<StreamFrontend, FrontendError> {
        let frontend = Frontend::new(FrontendOptions::default(), None)?;
        Ok(StreamFrontend::new(frontend).with_positions(512)?)
    }

    #[test]
    fn nothing_is_allocated_once_buffers_have_their_size() -> Result<(), FrontendError> {
        let (frontend, mut state) = (frontend()?, StreamState::new());
        let (mut out, mut workspace) = (Vec::with_capacity(20 * 560), Workspace::new());
        let mut buffers = None;
        for round in 0..300 {
            out.clear();
            frontend.push(&mut state, &[0.1; 9_600])?;
            frontend.advance(&mut state, usize::MAX, &mut out, &mut workspace);
            assert!(state.waiting_samples() < 1_600);
            let now = (state.queue.as_ptr(), state.queue.capacity(), out.as_ptr());
            // The queue has its size after the second push.
            if round > 1 {
                assert_eq!(*buffers.get_or_insert(now), now);
            }
        }
        assert_eq!(state.samples(), 300 * 9_600);
        Ok(())
    }

    #[test]
    fn a_long_push_gives_its_memory_back_while_it_is_worked_off() -> Result<(), FrontendError> {
        let (frontend, mut state) = (frontend()?, StreamState::new());
        let (mut out, mut workspace) = (Vec::new(), Workspace::new());
        frontend.push(&mut state, &vec![0.1; 16_000 * 60])?;
        while frontend.advance(&mut state, 10, &mut out, &mut workspace) > 0 {
            out.clear();
            let bound = (8 * state.waiting_samples()).max(16_384);
            assert!(
                state.queue.capacity() <= bound,
                "{}",
                state.queue.capacity()
            );
        }
        assert!(state.waiting_samples() < 1_600);
        Ok(())
    }
}
