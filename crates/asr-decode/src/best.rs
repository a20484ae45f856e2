//! The best unit of each frame or token, as a model tells it that has searched its scores itself.

/// The best unit of each step, a frame or a token, and how probable it is.
///
/// [`ctc::transcript_of_best`](crate::ctc::transcript_of_best) and
/// [`paraformer::transcript_of_best`](crate::paraformer::transcript_of_best) make of them what their likes make of scores.
#[derive(Debug, Clone, Copy)]
pub struct Best<'a> {
    ids: &'a [i32],
    log_probs: &'a [f32],
}

/// Numbers that are no best units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BestError {
    /// There is not one logarithm for each id.
    #[error("there are {ids} ids with {log_probs} logarithms of probabilities, expected as many")]
    Lengths {
        /// Ids given.
        ids: usize,
        /// Logarithms given.
        log_probs: usize,
    },
    /// A step has no probability: the model that computed it is broken, as exports to half precision can be.
    #[error(
        "the logarithm of a probability at place {step} is NaN, so scores are NaN or infinite; the model that computed them is \
         broken (half precision can be the cause)"
    )]
    NotANumber {
        /// The first such step.
        step: usize,
    },
    /// A unit that the vocabulary lacks.
    #[error(
        "at place {step} is {id}, but there are {units} units: the vocabulary belongs to another model"
    )]
    Unknown {
        /// The first such step.
        step: usize,
        /// What is there.
        id: i32,
        /// Units of the vocabulary.
        units: usize,
    },
}

impl<'a> Best<'a> {
    /// Best units `ids` of a vocabulary of `units`, and the natural logarithms of their probabilities.
    ///
    /// ```
    /// use asr_decode::Best;
    /// assert!(Best::new(&[3, 0], &[-0.1, 0.0], 4).is_ok());
    /// assert!(Best::new(&[3, 4], &[-0.1, 0.0], 4).is_err());
    /// assert!(Best::new(&[3, 0], &[-0.1, f32::NAN], 4).is_err());
    /// ```
    ///
    /// # Errors
    /// The two are not of one length, an id is outside of the vocabulary, or a logarithm is NaN.
    pub fn new(ids: &'a [i32], log_probs: &'a [f32], units: usize) -> Result<Self, BestError> {
        if ids.len() != log_probs.len() {
            return Err(BestError::Lengths {
                ids: ids.len(),
                log_probs: log_probs.len(),
            });
        }
        // First: where scores are no numbers, an id means nothing.
        if let Some(step) = log_probs.iter().position(|log| log.is_nan()) {
            return Err(BestError::NotANumber { step });
        }
        let unknown = |id: &i32| !usize::try_from(*id).is_ok_and(|id| id < units);
        match ids.iter().position(unknown) {
            Some(step) => Err(BestError::Unknown {
                step,
                id: ids[step],
                units,
            }),
            None => Ok(Self { ids, log_probs }),
        }
    }

    /// The units.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        // No id is negative.
        self.ids.iter().map(|id| id.unsigned_abs())
    }

    /// How probable each unit is, 0 to 1.
    pub(crate) fn probabilities(&self) -> impl Iterator<Item = f32> {
        self.log_probs.iter().map(|&log| probability_of_log(log))
    }
}

/// The probability, 0 to 1, of which `log` is the natural logarithm; rounding may have left that a little above 0.
///
/// ```
/// use asr_decode::probability_of_log;
/// assert!((probability_of_log(0.75f32.ln()) - 0.75).abs() < 1e-6);
/// assert_eq!(probability_of_log(1e-6), 1.0);
/// ```
#[must_use]
pub fn probability_of_log(log: f32) -> f32 {
    log.exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let error = |ids: &[i32], logs: &[f32]| Best::new(ids, logs, 5).unwrap_err();
        assert_eq!(
            error(&[1, 2], &[0.0]),
            BestError::Lengths {
                ids: 2,
                log_probs: 1
            }
        );
        for id in [-1, 5, i32::MAX, i32::MIN] {
            assert_eq!(
                error(&[4, 0, id, id], &[0.0; 4]),
                BestError::Unknown {
                    step: 2,
                    id,
                    units: 5
                }
            );
        }
        let nan = f32::NAN;
        assert_eq!(
            error(&[4, 9, 0], &[0.0, nan, nan]),
            BestError::NotANumber { step: 1 }
        );
        assert!(Best::new(&[], &[], 0).is_ok());
    }
}
