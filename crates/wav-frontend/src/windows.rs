//! The encoder's windows over a stream's frames, and which of their frames are new.
//!
//! The streaming Paraformer's encoder sees a window of 20 frames every 10 frames. Of a window, CIF consumes the 10 in
//! the middle: the 5 before them are context from the past and the 5 after them from the future. At the end of a
//! stream, windows are as long as what is left, so that every frame of the stream is consumed exactly once.
//!
//! ```
//! use wav_frontend::windows::{EncoderWindows, WindowSizes};
//!
//! let mut windows = EncoderWindows::new(WindowSizes::default(), 560)?; // one per stream
//! windows.push(&[0.5; 23 * 560])?;
//!
//! // Frames -10 to 10, of which those before the stream are zeros; then 0 to 20.
//! let window = windows.pop().ok_or("no window")?;
//! assert_eq!((window.first, window.len, window.consume), (-10, 20, 5..15));
//! assert_eq!((window.frames[9 * 560], window.frames[10 * 560]), (0.0, 0.5));
//! let window = windows.pop().ok_or("no window")?;
//! assert_eq!((window.first, window.len, window.consume), (0, 20, 5..15));
//! assert!(windows.pop().is_none(), "frame 29 is not there yet");
//!
//! // Frames 15 to 22 are left.
//! windows.finish();
//! let window = windows.pop().ok_or("no window")?;
//! assert_eq!((window.first, window.len, window.consume, window.last), (10, 13, 5..13, true));
//! assert!(windows.is_done());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::ops::Range;

use crate::error::check_size;
use crate::error::invalid;
use crate::error::{FrontendError, OptionsError};
use crate::queue::Queue;

/// Largest window in frames: a minute.
pub const MAX_WINDOW: usize = 1024;

/// Frames of a window; the default, (5, 10, 5), is that of the published streaming Paraformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSizes {
    /// Frames that an earlier window has consumed.
    pub left: usize,
    /// Frames that the window consumes, at least 1.
    pub centre: usize,
    /// Frames that a later window will consume.
    pub right: usize,
}

impl Default for WindowSizes {
    fn default() -> Self {
        Self {
            left: 5,
            centre: 10,
            right: 5,
        }
    }
}

impl From<[usize; 3]> for WindowSizes {
    fn from([left, centre, right]: [usize; 3]) -> Self {
        Self {
            left,
            centre,
            right,
        }
    }
}

impl WindowSizes {
    /// Frames in a window before the stream's end, 20.
    pub fn total(&self) -> usize {
        self.left
            .saturating_add(self.centre)
            .saturating_add(self.right)
    }

    fn validate(&self) -> Result<(), OptionsError> {
        if self.centre > 0 && self.total() <= MAX_WINDOW {
            return Ok(());
        }
        Err(invalid(
            "chunk_size",
            format!("{}, {}, {}", self.left, self.centre, self.right),
            format!(
                "the frames before, within and after a chunk, at least 1 within it and up to {MAX_WINDOW} in all"
            ),
        ))
    }
}

/// One window, for one call of the encoder, which knows nothing of the windows before: all that are there can be
/// computed together.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderWindow<'a> {
    /// `[len, dim]`, zeros before the stream's start.
    pub frames: &'a [f32],
    /// Frames in the window: [`WindowSizes::total`], or fewer at the stream's end.
    pub len: usize,
    /// The stream's frame, from 0, that the window begins with; negative before its start.
    pub first: i64,
    /// The frames, counted in the window, that are consumed; never none.
    pub consume: Range<usize>,
    /// No window comes after it. A stream without any frame has no window at all: see [`EncoderWindows::is_done`].
    pub last: bool,
}

/// A stream's frames on the way to the encoder. It holds those that windows to come need.
///
/// With sizes (l, c, r), window k = 0, 1, 2… covers the frames kc - l - r to kc + c, and the middle c of them are
/// consumed. At the end, the frames not yet consumed are taken c at a time in windows of l frames before them and all
/// that are left.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderWindows {
    sizes: WindowSizes,
    dim: usize,
    /// The frames of the next window and those after them, behind `taken` ones.
    queue: Queue,
    /// Frames that only the window handed out last needed.
    taken: usize,
    /// The first frame that the next window consumes: before the start of the stream, the frames are zeros.
    next: i64,
    /// Frames received.
    frames: i64,
    finished: bool,
}

impl EncoderWindows {
    /// A stream that has not begun, of frames with `dim` values.
    ///
    /// # Errors
    /// When `sizes` has no frame to consume or more than 1024 in all, or `dim` is 0.
    pub fn new(sizes: WindowSizes, dim: usize) -> Result<Self, OptionsError> {
        sizes.validate()?;
        if dim == 0 {
            let expected = "at least one value per frame";
            return Err(invalid("feature_dim", dim.to_string(), expected));
        }
        let mut windows = Self {
            sizes,
            dim,
            queue: Queue::default(),
            taken: 0,
            next: 0,
            frames: 0,
            finished: false,
        };
        windows.reset();
        Ok(windows)
    }

    /// Forgets the stream, to begin another.
    pub fn reset(&mut self) {
        self.queue = Queue::default();
        self.queue
            .extend_zeros((self.sizes.left + self.sizes.right) * self.dim);
        self.taken = 0;
        self.next = -signed(self.sizes.right);
        self.frames = 0;
        self.finished = false;
    }

    /// The sizes it was made with.
    pub fn sizes(&self) -> WindowSizes {
        self.sizes
    }

    /// Appends `frames`, `[_, dim]`, to the stream.
    ///
    /// # Errors
    /// When the last frame is not whole, or the stream is finished; it is as before then.
    pub fn push(&mut self, frames: &[f32]) -> Result<(), FrontendError> {
        let count = frames.len() / self.dim;
        check_size("the stream's new frames", frames.len(), count, self.dim)?;
        if self.finished {
            return Err(FrontendError::Finished {
                what: "frames",
                given: count,
            });
        }
        self.drop_taken();
        self.queue.extend(frames);
        self.frames += signed(count);
        Ok(())
    }

    /// Says that the stream has no more frames, so that all those not yet consumed are to be.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the stream has no more frames.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Frames of the window that [`pop`](Self::pop) would give.
    pub fn next_len(&self) -> Option<usize> {
        let first = self.upcoming()?.start - signed(self.sizes.left);
        Some(length(self.frames.min(self.full_end()) - first))
    }

    /// Windows that can be taken now.
    pub fn ready(&self) -> usize {
        let centre = signed(self.sizes.centre);
        let beyond = self.frames - self.full_end();
        let full = if beyond < 0 { 0 } else { beyond / centre + 1 };
        let rest = if self.finished {
            let left = self.frames - (self.next + full * centre).max(0);
            (left + centre - 1) / centre
        } else {
            0
        };
        usize::try_from(full + rest).unwrap_or(0)
    }

    /// Whether the stream is finished and all its windows were taken.
    pub fn is_done(&self) -> bool {
        self.finished && self.upcoming().is_none()
    }

    /// The next window, if its frames are there.
    pub fn pop(&mut self) -> Option<EncoderWindow<'_>> {
        let consumed = self.upcoming()?;
        let end = self.frames.min(self.full_end());
        let left = signed(self.sizes.left);
        // A stream that ends before its first window is complete consumes none of the zeros before it.
        let zeros = length(consumed.start - self.next);
        self.queue.skip((self.taken + zeros) * self.dim);

        let count = length(consumed.end - consumed.start);
        let first = consumed.start - left;
        let len = length(end - first);
        self.taken = count;
        self.next = consumed.end;
        Some(EncoderWindow {
            last: self.is_done(),
            frames: &self.queue.as_slice()[..len * self.dim],
            len,
            first,
            consume: self.sizes.left..self.sizes.left + count,
        })
    }

    /// The frames that the next window consumes, if it is there.
    fn upcoming(&self) -> Option<Range<i64>> {
        let centre = signed(self.sizes.centre);
        if self.frames >= self.full_end() {
            return Some(self.next..self.next + centre);
        }
        let start = self.next.max(0);
        (self.finished && start < self.frames).then(|| start..self.frames.min(start + centre))
    }

    /// Where the next window ends if the stream does not end before.
    fn full_end(&self) -> i64 {
        self.next + signed(self.sizes.centre) + signed(self.sizes.right)
    }

    fn drop_taken(&mut self) {
        self.queue.skip(self.taken * self.dim);
        self.taken = 0;
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The number of frames in a range that does not end before it begins.
fn length(difference: i64) -> usize {
    usize::try_from(difference).unwrap_or(0)
}
