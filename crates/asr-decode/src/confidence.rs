//! How sure a model is of several tokens at once.

use crate::transcript::Transcript;

impl Transcript {
    /// How sure the model is of the text as a whole, 0 to 1: the geometric mean of its tokens' probabilities, tags left out.
    /// 0 where there is no such token, so nothing was heard; `None` if one of them has no probability.
    ///
    /// ```
    /// use asr_decode::{Best, ctc, sentencepiece::Tokenizer};
    /// let tokenizer = Tokenizer::from_file("tests/data/bytes.model")?;
    /// let log_probs = [-9.0, 0.75f32.ln(), 0.0, 0.0];
    /// let best = Best::new(&[3, 5, 0, 5], &log_probs, tokenizer.len())?;
    /// let heard = ctc::transcript_of_best(&best, 0, &tokenizer)?;
    /// assert_eq!(heard.raw, "<|zh|> hello hello");
    /// assert!(heard.confidence().is_some_and(|mean| (mean - 0.75f32.sqrt()).abs() < 1e-6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn confidence(&self) -> Option<f32> {
        let spoken = self.tokens.iter().filter(|token| !token.is_tag());
        geometric_mean(spoken.map(|token| token.probability))
    }
}

/// The root of the product of `probabilities`, as many times as there are of them; 0 of none, `None` if one is not known.
pub(crate) fn geometric_mean(probabilities: impl IntoIterator<Item = Option<f32>>) -> Option<f32> {
    // Logarithms: the product of a thousand probabilities is too small for a number.
    let (mut logs, mut count) = (0.0, 0u32);
    for probability in probabilities {
        logs += f64::from(probability?).ln();
        count += 1;
    }
    Some(match count {
        0 => 0.0,
        count => (logs / f64::from(count)).exp() as f32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Token;

    fn transcript(tokens: &[(&str, Option<f32>)]) -> Transcript {
        let token = |&(piece, probability): &(&str, _)| Token {
            id: 7,
            piece: piece.into(),
            frames: None,
            time: None,
            probability,
        };
        Transcript {
            tokens: tokens.iter().map(token).collect(),
            ..Transcript::default()
        }
    }

    #[test]
    fn the_mean_is_that_of_the_tokens_that_are_no_tags() {
        let confidence = |tokens: &[_]| transcript(tokens).confidence();
        let mean = confidence(&[
            ("<|zh|>", Some(0.1)),
            ("\u{518d}", Some(0.5)),
            ("\u{89c1}", Some(0.125)),
        ]);
        assert_eq!(mean, Some(0.25));
        assert_eq!(confidence(&[("a", Some(1.0)), ("b", Some(0.0))]), Some(0.0));
        assert_eq!(confidence(&[("a", Some(1.0))]), Some(1.0));
        // A tag's probability does not matter, nor that it has none.
        let mean = confidence(&[("<|zh|>", None), ("a", Some(0.5))]);
        assert_eq!(mean, Some(0.5));
    }

    #[test]
    fn nothing_is_heard_with_no_confidence_and_what_is_not_known_is_not_guessed() {
        assert_eq!(transcript(&[]).confidence(), Some(0.0));
        assert_eq!(transcript(&[("<|zh|>", Some(0.9))]).confidence(), Some(0.0));
        let mean = transcript(&[("a", Some(0.5)), ("b", None)]).confidence();
        assert_eq!(mean, None);
    }

    #[test]
    fn many_small_probabilities_are_not_nothing() {
        let mean = geometric_mean(vec![Some(1e-6); 10_000]);
        assert!(mean.is_some_and(|mean| (mean / 1e-6 - 1.0).abs() < 1e-4));
    }
}
