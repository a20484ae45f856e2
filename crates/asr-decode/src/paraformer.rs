//! Paraformer's answer to text: one token per row of scores.

use crate::argmax::each_argmax;
use crate::best::Best;
use crate::probability::Probabilities;
use crate::tags::Tags;
use crate::transcript::{Frames, Span, Token, Transcript};
use crate::vocabulary::Vocabulary;
use crate::words::{Join, Joiner, Subwords};

/// Ids up to this one (`<blank>`, `<s>`, `</s>`) are not text.
const LAST_SPECIAL: u32 = 2;

/// Scores that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The vocabulary dimension is 0 or has more entries than an id can number.
    #[error("the scores have a vocabulary of {vocab} tokens, expected 1 to 2^32")]
    Vocabulary {
        /// The size given.
        vocab: usize,
    },
    /// There are fewer scores than the token count calls for.
    #[error("{token_num} tokens of {vocab} scores each are announced, but there are {len} scores")]
    Missing {
        /// Tokens announced.
        token_num: usize,
        /// Scores per token.
        vocab: usize,
        /// Scores given.
        len: usize,
    },
    /// A token has nothing but NaN: the model that computed it is broken, as exports to half precision can be.
    #[error(
        "token {token} has no score but NaN; the model that computed it is broken (half precision can be the cause)"
    )]
    NotANumber {
        /// The place of the first such token.
        token: usize,
    },
}

/// An id outside of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model answers token {id}, but the vocabulary has {len} tokens: it belongs to another model"
)]
#[non_exhaustive]
pub struct UnknownToken {
    /// The id.
    pub id: i64,
    /// Tokens in the vocabulary.
    pub len: usize,
}

/// Puts the best id of each of the first `token_num` rows of `scores` into `ids`, replacing what was there.
///
/// `scores` are `[rows, vocab]`, row-major, with at least `token_num` rows; the others are padding. Ids 0, 1 and 2 are
/// left out. Ties and NaN beside numbers are settled as in [`argmax`](crate::argmax()).
///
/// ```
/// use asr_decode::paraformer;
/// let scores = [
///     0.1, 0.0, 0.0, 0.9, // 3
///     0.1, 0.0, 0.9, 0.0, // </s>
///     0.1, 0.0, 0.0, 0.9, // padding
/// ];
/// let mut ids = Vec::new();
/// paraformer::greedy(&scores, 4, 2, &mut ids)?;
/// assert_eq!(ids, [3]);
/// # Ok::<(), paraformer::ScoreError>(())
/// ```
///
/// # Errors
/// `vocab` is 0 or above 2^32, there are fewer than `token_num` rows, or one of them has nothing but NaN; `ids` is then empty.
pub fn greedy(
    scores: &[f32],
    vocab: usize,
    token_num: usize,
    ids: &mut Vec<u32>,
) -> Result<(), ScoreError> {
    ids.clear();
    each_token(scores, vocab, token_num, |_, id| ids.push(id)).inspect_err(|_| ids.clear())
}

/// What was heard in the first `token_num` rows of `scores`, by the rules of [`greedy`] and [`text`]. Which frames of the
/// encoder a row is about the scores do not tell, so tokens have none. No rows are an empty transcript.
///
/// ```
/// use asr_decode::{paraformer, Probabilities, vocabulary::Vocabulary, words::Join};
/// let vocabulary = Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "hel@@", "lo"]"#)?;
/// let mut scores = [-99.0; 3 * 5];
/// (scores[3], scores[4]) = (0.8f32.ln(), 0.2f32.ln());
/// (scores[5 + 4], scores[2 * 5 + 2]) = (0.0, 0.0);
/// let heard = paraformer::transcript(&scores, 3, &vocabulary, Join::Words, Probabilities::Computed)?;
/// assert_eq!(heard.text(), "hello");
/// assert_eq!(heard.tokens.len(), 2); // </s> is none
/// assert_eq!((heard.tokens[0].id, &*heard.tokens[0].piece), (3, "hel@@"));
/// assert!(heard.tokens[0].probability.is_some_and(|p| (p - 0.8).abs() < 1e-6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`greedy`], or an id is outside of the vocabulary.
pub fn transcript(
    scores: &[f32],
    token_num: usize,
    vocabulary: &Vocabulary,
    join: Join,
    probabilities: Probabilities,
) -> Result<Transcript, TranscriptError> {
    let vocab = vocabulary.len();
    let mut heard = Vec::new();
    each_token(scores, vocab, token_num, |row, id| heard.push((row, id)))?;
    let heard = heard.into_iter().map(|(row, id)| Heard {
        id: id.into(),
        frames: None,
        time: None,
        probability: probabilities.of(&scores[row * vocab..][..vocab], id as usize),
    });
    Ok(whole(heard, vocabulary, join)?)
}

/// The transcript that [`transcript`] makes of the scores of which these are the best; tokens have their probabilities.
///
/// ```
/// use asr_decode::{Best, paraformer, vocabulary::Vocabulary, words::Join};
/// let vocabulary = Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "hel@@", "lo"]"#)?;
/// let best = Best::new(&[3, 4, 2], &[-0.1, -0.2, -0.3], vocabulary.len())?;
/// let heard = paraformer::transcript_of_best(&best, &vocabulary, Join::Words)?;
/// assert_eq!(heard.raw, "hello");
/// assert_eq!(heard.tokens.len(), 2); // </s> is none
/// assert_eq!(heard.tokens[1].probability, Some((-0.2f32).exp()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An id is outside of the vocabulary.
pub fn transcript_of_best(
    best: &Best<'_>,
    vocabulary: &Vocabulary,
    join: Join,
) -> Result<Transcript, UnknownToken> {
    let heard = best.ids().zip(best.probabilities());
    let heard = heard.map(|(id, probability)| Heard {
        probability: Some(probability),
        ..id.into()
    });
    whole(heard, vocabulary, join)
}

/// The transcript of all tokens of a row.
fn whole(
    heard: impl Iterator<Item = Heard>,
    vocabulary: &Vocabulary,
    join: Join,
) -> Result<Transcript, UnknownToken> {
    let mut transcript = Transcript::default();
    let mut joiner = vocabulary.joiner(join);
    append(heard, vocabulary, &mut joiner, &mut transcript)?;
    joiner.finish(&mut transcript.raw);
    transcript.tags = Tags::of(transcript.tokens.iter().map(|token| &*token.piece));
    Ok(transcript)
}

/// Why scores are no transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// The scores cannot be decoded.
    #[error(transparent)]
    Scores(#[from] ScoreError),
    /// The vocabulary belongs to another model.
    #[error(transparent)]
    Token(#[from] UnknownToken),
}

/// Gives `each` the row and the best id of each of the first `token_num` rows, special ids left out.
fn each_token(
    scores: &[f32],
    vocab: usize,
    token_num: usize,
    mut each: impl FnMut(usize, u32),
) -> Result<(), ScoreError> {
    if vocab
        .checked_sub(1)
        .and_then(|id| u32::try_from(id).ok())
        .is_none()
    {
        return Err(ScoreError::Vocabulary { vocab });
    }
    let rows = token_num
        .checked_mul(vocab)
        .and_then(|len| scores.get(..len));
    let rows = rows.ok_or(ScoreError::Missing {
        token_num,
        vocab,
        len: scores.len(),
    })?;
    let (mut token, mut broken) = (0, None);
    each_argmax(rows, vocab, |id| {
        // Not a lossy cast: every index is below `vocab`, whose last id was just seen to fit.
        match id.map(|id| id as u32) {
            Some(id) if id > LAST_SPECIAL => each(token, id),
            Some(_) => {}
            None => broken = broken.or(Some(token)),
        }
        token += 1;
    });
    broken.map_or(Ok(()), |token| Err(ScoreError::NotANumber { token }))
}

/// The text of `ids`.
///
/// ```
/// use asr_decode::{paraformer, vocabulary::Vocabulary, words::Join};
/// let vocabulary = Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "hel@@", "lo", "world"]"#)?;
/// assert_eq!(paraformer::text(&[3, 4, 5], &vocabulary, Join::Words)?, "hello world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An id is outside of the vocabulary.
pub fn text(ids: &[u32], vocabulary: &Vocabulary, join: Join) -> Result<String, UnknownToken> {
    let mut transcript = Transcript::default();
    let mut joiner = vocabulary.joiner(join);
    append(
        ids.iter().copied(),
        vocabulary,
        &mut joiner,
        &mut transcript,
    )?;
    joiner.finish(&mut transcript.raw);
    Ok(transcript.raw)
}

/// A token that a model answered, and what else is known of it. A number alone is one, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// The number that the model answered.
    pub id: i64,
    /// The frames it was heard in.
    pub frames: Option<Frames>,
    /// When it was spoken.
    pub time: Option<Span>,
    /// How probable it is.
    pub probability: Option<f32>,
}

impl Heard {
    /// A token that a stream fired in known frames, as [`Cif::fires`](crate::cif::Cif::fires) has them.
    #[must_use]
    pub fn in_frames(id: i64, frames: Frames) -> Self {
        Self {
            frames: Some(frames),
            ..id.into()
        }
    }
}

impl<I: Into<i64>> From<I> for Heard {
    fn from(id: I) -> Self {
        Self {
            id: id.into(),
            frames: None,
            time: None,
            probability: None,
        }
    }
}

/// Appends to `transcript` what `ids`, the next ones of a stream, add to it. Ids 0, 1 and 2 are passed over.
///
/// The streaming decoder's `sample_ids` (`i64`) can be given as they are. [`Joiner::finish`] ends the text.
///
/// # Errors
/// An id is outside of the vocabulary; the ids before it are done.
pub fn append<H: Into<Heard>>(
    ids: impl IntoIterator<Item = H>,
    vocabulary: &Vocabulary,
    joiner: &mut Joiner,
    transcript: &mut Transcript,
) -> Result<(), UnknownToken> {
    for heard in ids {
        let heard: Heard = heard.into();
        let id = heard.id;
        let known = u32::try_from(id)
            .ok()
            .and_then(|id| Some((id, vocabulary.token(id)?)));
        let (id, piece) = known.ok_or(UnknownToken {
            id,
            len: vocabulary.len(),
        })?;
        if id > LAST_SPECIAL {
            joiner.push(piece, &mut transcript.raw);
            transcript.tokens.push(Token {
                id,
                piece: piece.into(),
                frames: heard.frames,
                time: heard.time,
                probability: heard.probability,
            });
            transcript.subwords = Some(vocabulary.subwords().unwrap_or(Subwords::Continued));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfit_scores_are_errors() {
        let mut ids = vec![7];
        let error = greedy(&[0.0; 11], 4, 3, &mut ids).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 tokens of 4 scores each are announced, but there are 11 scores"
        );
        assert_eq!(
            greedy(&[], 0, 0, &mut ids),
            Err(ScoreError::Vocabulary { vocab: 0 })
        );
        assert!(greedy(&[0.0; 8], 4, usize::MAX, &mut ids).is_err());
        assert_eq!(ids, [0; 0]);
        assert_eq!(greedy(&[1.0; 8], 4, 0, &mut ids), Ok(()));
        assert_eq!(ids, [0; 0]);
    }

    #[test]
    fn a_token_of_nothing_but_nan_is_an_error() {
        let nan = f32::NAN;
        let mut ids = Vec::new();
        greedy(&[nan, nan, nan, 1.0, nan, nan, nan, nan], 4, 1, &mut ids).unwrap();
        assert_eq!(ids, [3]);
        let error = greedy(&[nan, nan, nan, 1.0, nan, nan, nan, nan], 4, 2, &mut ids).unwrap_err();
        assert_eq!(error, ScoreError::NotANumber { token: 1 });
        assert_eq!(ids, [0; 0]);
    }

    #[test]
    fn a_transcript_has_its_tokens_and_what_is_known_of_them() {
        let vocabulary =
            Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "hel@@", "lo"]"#).unwrap();
        #[rustfmt::skip]
        let logits = [
            0.0, 0.0, 0.0, 12f32.ln(), 0.0,
            0.0, 0.0, 9.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 4f32.ln(),
            0.0, 0.0, 0.0, 9.0, 0.0,
        ];
        let heard = |scores: &[f32], rows, probabilities| {
            transcript(scores, rows, &vocabulary, Join::Words, probabilities).unwrap()
        };
        let tokens = |heard: &Transcript| -> Vec<(u32, String, Option<i32>)> {
            let percent = |probability: f32| (100.0 * probability).round() as i32;
            let tokens = heard.tokens.iter();
            tokens
                .map(|token| {
                    assert_eq!(token.frames, None);
                    let piece = token.piece.to_string();
                    (token.id, piece, token.probability.map(percent))
                })
                .collect()
        };
        let expected =
            |first, second| vec![(3, "hel@@".to_owned(), first), (4, "lo".to_owned(), second)];
        let computed = heard(&logits, 3, Probabilities::Computed);
        assert_eq!(computed.raw, "hello");
        assert_eq!(tokens(&computed), expected(Some(75), Some(50)));
        // Negative numbers need not be logarithms of probabilities.
        let lower = logits.map(|score| score - 20.0);
        let computed = heard(&lower, 3, Probabilities::Computed);
        assert_eq!(tokens(&computed), expected(Some(75), Some(50)));
        let absent = heard(&logits, 3, Probabilities::Absent);
        assert_eq!(tokens(&absent), expected(None, None));
        let none = heard(&logits, 0, Probabilities::Computed);
        assert_eq!(none, Transcript::default());
        let error = transcript(&logits, 5, &vocabulary, Join::Words, Probabilities::Absent);
        assert_eq!(
            error.unwrap_err().to_string(),
            "5 tokens of 5 scores each are announced, but there are 20 scores"
        );
    }

    #[test]
    fn special_ids_are_dropped_in_streams() {
        let vocabulary =
            Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "a", "b@@", "c"]"#).unwrap();
        let mut joiner = vocabulary.joiner(Join::Raw);
        let mut delta = Transcript::default();
        append([0i64, 3, 1, 4, 2, 5], &vocabulary, &mut joiner, &mut delta).unwrap();
        assert_eq!(delta.raw, "ab@@c");
        let ids: Vec<u32> = delta.tokens.iter().map(|token| token.id).collect();
        assert_eq!(ids, [3, 4, 5]);
        for id in [6, -1, i64::MAX] {
            let error = append([id], &vocabulary, &mut joiner, &mut delta).unwrap_err();
            assert_eq!((error.id, error.len), (id, 6));
        }
    }
}
