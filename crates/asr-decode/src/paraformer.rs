//! Paraformer's answer to text: one token per row of scores.

use crate::argmax::each_argmax;
use crate::vocabulary::Vocabulary;
use crate::words::{Join, Joiner};

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
            Some(id) if id > LAST_SPECIAL => ids.push(id),
            Some(_) => {}
            None => broken = broken.or(Some(token)),
        }
        token += 1;
    });
    broken.map_or(Ok(()), |token| {
        ids.clear();
        Err(ScoreError::NotANumber { token })
    })
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
    let mut text = String::new();
    let mut joiner = vocabulary.joiner(join);
    append(ids.iter().copied(), vocabulary, &mut joiner, &mut text)?;
    joiner.finish(&mut text);
    Ok(text)
}

/// Appends to `delta` what `ids`, the next ones of a stream, add to its text. Ids 0, 1 and 2 are passed over.
///
/// The streaming decoder's `sample_ids` (`i64`) can be given as they are. [`Joiner::finish`] ends the text.
///
/// # Errors
/// An id is outside of the vocabulary; the ids before it are done.
pub fn append<I: Into<i64>>(
    ids: impl IntoIterator<Item = I>,
    vocabulary: &Vocabulary,
    joiner: &mut Joiner,
    delta: &mut String,
) -> Result<(), UnknownToken> {
    for id in ids {
        let id = id.into();
        let known = u32::try_from(id)
            .ok()
            .and_then(|id| Some((id, vocabulary.token(id)?)));
        let (number, token) = known.ok_or(UnknownToken {
            id,
            len: vocabulary.len(),
        })?;
        if number > LAST_SPECIAL {
            joiner.push(token, delta);
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
    fn special_ids_are_dropped_in_streams() {
        let vocabulary =
            Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "a", "b@@", "c"]"#).unwrap();
        let mut joiner = vocabulary.joiner(Join::Raw);
        let mut delta = String::new();
        append([0i64, 3, 1, 4, 2, 5], &vocabulary, &mut joiner, &mut delta).unwrap();
        assert_eq!(delta, "ab@@c");
        for id in [6, -1, i64::MAX] {
            let error = append([id], &vocabulary, &mut joiner, &mut delta).unwrap_err();
            assert_eq!((error.id, error.len), (id, 6));
        }
    }
}
