//! Greedy decoding of a CTC row: best unit per frame, repeats collapsed, blanks dropped
//! (Graves et al., *Connectionist Temporal Classification*, 2006, best path decoding).

use crate::argmax::each_argmax;
use crate::best::Best;
use crate::probability::{Probabilities, probability};
use crate::sentencepiece::{Tokenizer, UnknownId};
use crate::tags::Tags;
use crate::transcript::{Frames, Token, Transcript};
use crate::words::Subwords;

/// Scores that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CtcError {
    /// The vocabulary dimension is 0 or has more entries than an id can number.
    #[error("the CTC scores have a vocabulary of {vocab} units, expected 1 to 2^32")]
    Vocabulary {
        /// The size given.
        vocab: usize,
    },
    /// The slice is not a whole number of frames.
    #[error("{len} CTC scores are not a whole number of frames of {vocab} units")]
    PartialFrame {
        /// Scores given.
        len: usize,
        /// Scores per frame.
        vocab: usize,
    },
    /// A frame has nothing but NaN: the model that computed it is broken, as exports to half precision can be.
    #[error(
        "frame {frame} has no score but NaN; the model that computed it is broken (half precision can be the cause)"
    )]
    NotANumber {
        /// The first such frame.
        frame: usize,
    },
}

/// Decodes one row greedily and puts its ids into `ids`, replacing what was there.
///
/// `scores` are `[frames, vocab]`, row-major, and only the frames that belong to the row: a caller with a padded
/// batch cuts the row's slice at its length. Logits, log-probabilities and probabilities give the same ids. Ties and
/// NaN beside numbers are settled as in [`argmax`](crate::argmax()).
///
/// ```
/// use asr_decode::ctc;
/// let scores = [
///     0.1, 0.9, 0.0, // 1
///     0.1, 0.9, 0.0, // 1 again: collapsed
///     0.9, 0.1, 0.0, // blank
///     0.1, 0.9, 0.0, // 1: a new one after the blank
///     0.0, 0.1, 0.9, // 2
/// ];
/// let mut ids = Vec::new();
/// ctc::greedy(&scores, 3, 0, &mut ids)?;
/// assert_eq!(ids, [1, 1, 2]);
/// # Ok::<(), ctc::CtcError>(())
/// ```
///
/// # Errors
/// `vocab` is 0 or above 2^32, `scores` is not a multiple of it, or a frame has nothing but NaN; `ids` is then empty.
pub fn greedy(
    scores: &[f32],
    vocab: usize,
    blank: u32,
    ids: &mut Vec<u32>,
) -> Result<(), CtcError> {
    ids.clear();
    let broken = each_frame(scores, vocab, collapser(blank, ids))?;
    broken.map_or(Ok(()), |frame| {
        ids.clear();
        Err(CtcError::NotANumber { frame })
    })
}

/// A unit and the frames in a row that it is the best of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The unit.
    pub id: u32,
    /// The first frame.
    pub first: usize,
    /// The last frame.
    pub last: usize,
}

/// Like [`greedy`], with the frames that each unit was heard in.
///
/// ```
/// use asr_decode::ctc::{self, Run};
/// let scores = [0.9, 0.1, /* blank */ 0.1, 0.9, /* 1 */ 0.1, 0.9, /* 1 */ 0.9, 0.1 /* blank */];
/// let mut runs = Vec::new();
/// ctc::runs(&scores, 2, 0, &mut runs)?;
/// assert_eq!(runs, [Run { id: 1, first: 1, last: 2 }]);
/// # Ok::<(), ctc::CtcError>(())
/// ```
///
/// # Errors
/// As [`greedy`]; `runs` is then empty.
pub fn runs(scores: &[f32], vocab: usize, blank: u32, runs: &mut Vec<Run>) -> Result<(), CtcError> {
    runs.clear();
    let mut joined = Runs::new(blank, runs);
    let broken = each_frame(scores, vocab, |id| joined.push(id))?;
    joined.finish();
    broken.map_or(Ok(()), |frame| {
        runs.clear();
        Err(CtcError::NotANumber { frame })
    })
}

/// Joins the best units of frames, which come one after the other.
struct Runs<'a> {
    blank: u32,
    frame: usize,
    open: Option<Run>,
    runs: &'a mut Vec<Run>,
}

impl<'a> Runs<'a> {
    fn new(blank: u32, runs: &'a mut Vec<Run>) -> Self {
        Self {
            blank,
            frame: 0,
            open: None,
            runs,
        }
    }

    #[inline]
    fn push(&mut self, id: u32) {
        let frame = self.frame;
        match &mut self.open {
            Some(run) if run.id == id => run.last = frame,
            open => {
                self.runs.extend(open.take());
                *open = (id != self.blank).then_some(Run {
                    id,
                    first: frame,
                    last: frame,
                });
            }
        }
        self.frame += 1;
    }

    fn finish(self) {
        self.runs.extend(self.open);
    }
}

/// What was heard in the frames of `scores`, by the rules of [`greedy`] and with the pieces of `tokenizer`, of which there is
/// one for each score of a frame. A token's frames are those in a row that it is the best of, and its probability is the
/// largest that it has in one of them. No frames, or nothing but blanks, are an empty transcript.
///
/// ```
/// use asr_decode::{ctc, Frames, Probabilities, sentencepiece::Tokenizer};
/// let tokenizer = Tokenizer::from_file("tests/data/bytes.model")?;
/// let vocab = tokenizer.len();
/// let mut scores = vec![0.0; 3 * vocab];
/// scores[3] = 9.0;
/// scores[vocab + 5] = 8.0;
/// scores[2 * vocab + 5] = 9.0;
/// let heard = ctc::transcript(&scores, 0, &tokenizer, Probabilities::Computed)?;
/// assert_eq!((heard.raw.as_str(), heard.text().as_str()), ("<|zh|> hello", "hello"));
/// assert_eq!(heard.tags.language.as_deref(), Some("zh"));
/// assert_eq!(heard.tokens[1].frames, Some(Frames { first: 1, last: 2 }));
/// assert_eq!(heard.tokens[1].probability.map(|p| (100.0 * p) as u32), Some(96));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`greedy`], the size of the vocabulary being that of `tokenizer`.
pub fn transcript(
    scores: &[f32],
    blank: u32,
    tokenizer: &Tokenizer,
    probabilities: Probabilities,
) -> Result<Transcript, TranscriptError> {
    let vocab = tokenizer.len();
    let mut found = Vec::new();
    runs(scores, vocab, blank, &mut found)?;
    let mut transcript = Transcript::of_runs(&found, tokenizer)?;
    if probabilities == Probabilities::Computed {
        for (token, run) in transcript.tokens.iter_mut().zip(&found) {
            token.probability = run.probability(scores, vocab);
        }
    }
    Ok(transcript)
}

/// The transcript that [`transcript`] makes of the scores of which these are the best; tokens have their probabilities.
///
/// ```
/// use asr_decode::{Best, Frames, ctc, sentencepiece::Tokenizer};
/// let tokenizer = Tokenizer::from_file("tests/data/bytes.model")?;
/// let best = Best::new(&[3, 5, 5], &[-0.1, -0.7, -0.2], tokenizer.len())?;
/// let heard = ctc::transcript_of_best(&best, 0, &tokenizer)?;
/// assert_eq!(heard.raw, "<|zh|> hello");
/// assert_eq!(heard.tokens[1].frames, Some(Frames { first: 1, last: 2 }));
/// assert_eq!(heard.tokens[1].probability, Some((-0.2f32).exp()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An id is outside of the vocabulary of `tokenizer`.
pub fn transcript_of_best(
    best: &Best<'_>,
    blank: u32,
    tokenizer: &Tokenizer,
) -> Result<Transcript, UnknownId> {
    let mut found = Vec::new();
    let mut joined = Runs::new(blank, &mut found);
    best.ids().for_each(|id| joined.push(id));
    joined.finish();
    let mut transcript = Transcript::of_runs(&found, tokenizer)?;
    for (token, run) in transcript.tokens.iter_mut().zip(&found) {
        let frames = best.probabilities().skip(run.first);
        token.probability = frames.take(run.last - run.first + 1).reduce(f32::max);
    }
    Ok(transcript)
}

/// Why scores are no transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// The scores cannot be decoded.
    #[error(transparent)]
    Scores(#[from] CtcError),
    /// The tokenizer belongs to another model.
    #[error(transparent)]
    Piece(#[from] UnknownId),
}

impl Run {
    /// The largest probability of the unit in one of its frames.
    fn probability(&self, scores: &[f32], vocab: usize) -> Option<f32> {
        let frames = scores.chunks_exact(vocab).skip(self.first);
        frames
            .take(self.last - self.first + 1)
            .filter_map(|frame| probability(frame, self.id as usize))
            .reduce(f32::max)
    }
}

impl Transcript {
    /// The transcript of CTC's runs, without probabilities, by the rules of `tokenizer`.
    ///
    /// # Errors
    /// An id is outside of the vocabulary.
    pub fn of_runs(runs: &[Run], tokenizer: &Tokenizer) -> Result<Self, UnknownId> {
        let ids: Vec<u32> = runs.iter().map(|run| run.id).collect();
        let token = |run: &Run| Token {
            id: run.id,
            piece: tokenizer.piece(run.id).unwrap_or_default().into(),
            frames: Some(Frames {
                first: run.first as u64,
                last: run.last as u64,
            }),
            time: None,
            probability: None,
        };
        let raw = tokenizer.decode(&ids)?;
        let tokens: Vec<Token> = runs.iter().map(token).collect();
        Ok(Self {
            written: None,
            raw,
            tags: Tags::of(tokens.iter().map(|token| &*token.piece)),
            subwords: (!tokens.is_empty()).then_some(Subwords::Started),
            tokens,
        })
    }
}

/// Gives `each` the best unit of every frame that has one, and returns the number of the first that has nothing but NaN.
fn each_frame(
    scores: &[f32],
    vocab: usize,
    mut each: impl FnMut(u32),
) -> Result<Option<usize>, CtcError> {
    let largest_id = vocab.checked_sub(1).and_then(|id| u32::try_from(id).ok());
    if largest_id.is_none() {
        return Err(CtcError::Vocabulary { vocab });
    }
    if !scores.len().is_multiple_of(vocab) {
        return Err(CtcError::PartialFrame {
            len: scores.len(),
            vocab,
        });
    }
    let (mut frame, mut broken) = (0, None);
    each_argmax(scores, vocab, |id| {
        match id {
            // Not a lossy cast: every index is below `vocab`, whose last id was just seen to fit.
            Some(id) => each(id as u32),
            None => broken = broken.or(Some(frame)),
        }
        frame += 1;
    });
    Ok(broken)
}

/// Collapses repeats of `frame_ids` (the best id of each frame), drops `blank` and appends the rest to `ids`.
pub fn collapse(frame_ids: impl IntoIterator<Item = u32>, blank: u32, ids: &mut Vec<u32>) {
    frame_ids.into_iter().for_each(collapser(blank, ids));
}

/// Takes the best id of each frame, one after the other.
fn collapser(blank: u32, ids: &mut Vec<u32>) -> impl FnMut(u32) {
    let mut previous = blank;
    move |id| {
        if id != previous && id != blank {
            ids.push(id);
        }
        previous = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collapsed(frame_ids: &[u32], blank: u32) -> Vec<u32> {
        let mut ids = Vec::new();
        collapse(frame_ids.iter().copied(), blank, &mut ids);
        ids
    }

    #[test]
    fn repeats_collapse_and_blanks_separate() {
        assert_eq!(collapsed(&[0, 5, 5, 0, 5, 7, 7, 7, 0, 0], 0), [5, 5, 7]);
        assert_eq!(collapsed(&[5, 5, 6, 5], 0), [5, 6, 5]);
        assert_eq!(collapsed(&[0, 0], 0), [0; 0]);
        assert_eq!(collapsed(&[], 0), [0; 0]);
    }

    #[test]
    fn the_blank_is_a_parameter() {
        assert_eq!(collapsed(&[0, 0, 3, 0, 1, 3, 1], 3), [0, 0, 1, 1]);
    }

    #[test]
    fn the_buffer_is_replaced_and_kept() {
        let mut ids = Vec::with_capacity(8);
        ids.extend([9, 9, 9]);
        let buffer = ids.as_ptr();
        greedy(&[0.0, 1.0, 1.0, 0.0, 0.0, 1.0], 2, 0, &mut ids).unwrap();
        assert_eq!(ids, [1, 1]);
        assert_eq!(ids.as_ptr(), buffer);
        greedy(&[], 2, 0, &mut ids).unwrap();
        assert_eq!(ids, [0; 0]);
    }

    #[test]
    fn a_frame_of_nothing_but_nan_is_an_error() {
        let nan = f32::NAN;
        let mut ids = Vec::new();
        greedy(&[nan, 1.0, 1.0, nan, 0.0, 1.0], 2, 0, &mut ids).unwrap();
        assert_eq!(ids, [1, 1]);
        let error = greedy(&[0.0, 1.0, nan, nan, nan, nan], 2, 0, &mut ids).unwrap_err();
        assert_eq!(error, CtcError::NotANumber { frame: 1 });
        assert_eq!(ids, [0; 0]);
    }

    #[test]
    fn runs_know_their_frames() {
        let scores = |ids: &[usize]| -> Vec<f32> {
            let one_hot = |&id: &usize| (0..4).map(move |unit| f32::from(u8::from(unit == id)));
            ids.iter().flat_map(one_hot).collect()
        };
        let decoded = |ids: &[usize]| {
            let (mut found, mut greedily) = (Vec::new(), Vec::new());
            runs(&scores(ids), 4, 0, &mut found).unwrap();
            greedy(&scores(ids), 4, 0, &mut greedily).unwrap();
            assert_eq!(found.iter().map(|run| run.id).collect::<Vec<_>>(), greedily);
            found
                .iter()
                .map(|run| (run.id, run.first, run.last))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            decoded(&[0, 1, 1, 0, 1, 2, 2, 2, 0]),
            [(1, 1, 2), (1, 4, 4), (2, 5, 7)]
        );
        assert_eq!(decoded(&[3, 3]), [(3, 0, 1)]);
        assert_eq!(decoded(&[0, 0]), []);
        assert_eq!(decoded(&[]), []);
        let mut broken = vec![Run {
            id: 1,
            first: 0,
            last: 0,
        }];
        let error = runs(&[0.0, 1.0, f32::NAN, f32::NAN], 2, 0, &mut broken);
        assert_eq!(error, Err(CtcError::NotANumber { frame: 1 }));
        assert_eq!(broken, []);
    }

    #[test]
    fn unfit_shapes_are_errors() {
        let mut ids = vec![1];
        assert_eq!(
            greedy(&[1.0], 0, 0, &mut ids),
            Err(CtcError::Vocabulary { vocab: 0 })
        );
        let error = greedy(&[1.0; 7], 3, 0, &mut ids).unwrap_err();
        assert_eq!(error, CtcError::PartialFrame { len: 7, vocab: 3 });
        assert_eq!(
            error.to_string(),
            "7 CTC scores are not a whole number of frames of 3 units"
        );
        assert_eq!(ids, [0; 0]);
    }
}
