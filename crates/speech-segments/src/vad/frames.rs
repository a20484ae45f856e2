//! Frames as the model scores them.

use super::options::VadOptions;

/// How far from [0, 1] a probability may be by rounding.
const ROUNDING: f32 = 1.0e-3;

/// Frames of one stream, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// The model's probabilities, `[frames, classes]`.
    pub scores: &'a [f32],
    /// Classes of a frame.
    pub classes: usize,
    /// How loud each frame is, in dB; see [`decibels`](super::decibels).
    pub decibels: &'a [f64],
}

/// Frames cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VadError {
    /// There are not as many frames of scores as of loudness.
    #[error(
        "{scores} scores of {classes} classes are not {frames} frames, which is how many there are in the audio"
    )]
    Frames {
        /// Scores given.
        scores: usize,
        /// Classes of a frame.
        classes: usize,
        /// Frames whose loudness was given.
        frames: usize,
    },
    /// The model has fewer classes than the options think.
    #[error(
        "sil_pdf_ids has {id}, but the model tells {classes} classes apart: from 0 to {}",
        classes.saturating_sub(1)
    )]
    NoSuchClass {
        /// The class that is silence.
        id: usize,
        /// Classes of a frame.
        classes: usize,
    },
    /// A score is no probability.
    #[error(
        "frame {frame} is silence with a probability of {probability}, expected 0 to 1; does the model end with a softmax?"
    )]
    NotAProbability {
        /// The frame, from the beginning of the stream.
        frame: i64,
        /// What the model says.
        probability: f32,
    },
}

impl Frames<'_> {
    /// How probable it is that each frame is silence; `first` is the number of the first one.
    pub(super) fn silence(&self, options: &VadOptions, first: i64) -> Result<Vec<f32>, VadError> {
        let &Self {
            scores,
            classes,
            decibels,
        } = self;
        if decibels.len().checked_mul(classes) != Some(scores.len()) {
            return Err(VadError::Frames {
                scores: scores.len(),
                classes,
                frames: decibels.len(),
            });
        }
        if let Some(&id) = options.sil_pdf_ids.iter().find(|&&id| id >= classes) {
            return Err(VadError::NoSuchClass { id, classes });
        }
        let silence = |(frame, scores): (i64, &[f32])| {
            let of = |&id: &usize| scores.get(id).copied().unwrap_or(0.0);
            let probability: f32 = options.sil_pdf_ids.iter().map(of).sum();
            if (-ROUNDING..=1.0 + ROUNDING).contains(&probability) {
                return Ok(probability.clamp(0.0, 1.0));
            }
            Err(VadError::NotAProbability { frame, probability })
        };
        (first..)
            .zip(scores.chunks_exact(classes.max(1)))
            .map(silence)
            .collect()
    }
}
