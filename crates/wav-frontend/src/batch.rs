//! Rows of different lengths as one piece of work.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::ops::Range;

use crate::error::FrontendError;
use crate::error::check_size;
use crate::frontend::Frontend;
use crate::kernel::Workspace;

/// Stacked frames that a thread takes at a time: what two threads get differs by less.
const UNIT_FRAMES: usize = 64;
/// Stacked frames, about a minute of audio, below which one more thread costs more than it brings.
const FRAMES_PER_THREAD: usize = 1024;

thread_local! {
    /// Of the thread that asks for batches, again and again.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// One row of a batch: its samples, without padding, and where its features go.
#[derive(Debug)]
pub struct Row<'a> {
    /// Samples in [-1, 1].
    pub samples: &'a [f32],
    /// `[output_frames(samples.len()), feature_dim()]`
    pub out: &'a mut [f32],
}

/// Some consecutive stacked frames of a row.
struct Unit<'a> {
    samples: &'a [f32],
    frames: Range<usize>,
    out: &'a mut [f32],
}

impl Frontend {
    /// Writes the features of every row, on up to `max_threads` threads where that is worth their start.
    /// What a row gets does not depend on the other rows, nor on the number of threads.
    ///
    /// # Errors
    /// When a row's `out` has not the size of its features; nothing is written then.
    pub fn extract_batch(
        &self,
        rows: &mut [Row<'_>],
        max_threads: NonZeroUsize,
    ) -> Result<(), FrontendError> {
        let mut frames = 0;
        for row in rows.iter() {
            let row_frames = self.output_frames(row.samples.len());
            check_size(
                "a row's feature buffer",
                row.out.len(),
                row_frames,
                self.feature_dim(),
            )?;
            frames += row_frames;
        }
        let threads = max_threads.get().min(frames / FRAMES_PER_THREAD).max(1);
        if threads == 1 {
            return WORKSPACE.with_borrow_mut(|workspace| {
                rows.iter_mut()
                    .try_for_each(|row| self.extract(row.samples, row.out, workspace).map(drop))
            });
        }
        self.on_threads(self.shares(rows, frames.div_ceil(threads)));
        Ok(())
    }

    /// Cuts the rows into units and deals them out in shares of about `share_frames`.
    fn shares<'a>(&self, rows: &'a mut [Row<'_>], share_frames: usize) -> Vec<Vec<Unit<'a>>> {
        let mut shares = vec![Vec::new()];
        let mut dealt = 0;
        for row in rows {
            let mut start = 0;
            for out in row.out.chunks_mut(UNIT_FRAMES * self.feature_dim()) {
                let frames = start..start + out.len() / self.feature_dim();
                if dealt >= share_frames {
                    shares.push(Vec::new());
                    dealt = 0;
                }
                dealt += frames.len();
                start = frames.end;
                let unit = Unit {
                    samples: row.samples,
                    frames,
                    out,
                };
                if let Some(share) = shares.last_mut() {
                    share.push(unit);
                }
            }
        }
        shares
    }

    fn on_threads(&self, mut shares: Vec<Vec<Unit<'_>>>) {
        let run = |share: Vec<Unit<'_>>| {
            let mut workspace = Workspace::new();
            for unit in share {
                self.extract_range(unit.samples, unit.frames, unit.out, &mut workspace);
            }
        };
        let own = shares.pop();
        std::thread::scope(|scope| {
            for share in shares {
                scope.spawn(move || run(share));
            }
            own.map(run);
        });
    }
}
