//! What words of a piece may look at.

/// `vad_masks` and `sub_masks` of the realtime model, `[words, words]`, 1 where a word (row) may look at another (column): of the
/// first `old` words, which come from the cache, all but the last one look at no newer ones, so that the model finds of them what
/// it found before.
#[must_use]
pub fn vad_mask(words: usize, old: usize) -> Vec<f32> {
    let mut mask = vec![1.0; words.saturating_mul(words)];
    if old == 0 || old >= words {
        return mask;
    }
    for row in mask.chunks_exact_mut(words).take(old - 1) {
        row[old..].fill(0.0);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_words_but_the_last_see_no_new_ones() {
        assert!(vad_mask(0, 0).is_empty());
        assert_eq!(vad_mask(2, 0), [1.0; 4]);
        assert_eq!(vad_mask(2, 2), [1.0; 4]);
        assert_eq!(vad_mask(3, 1), [1.0; 9]);
        assert_eq!(
            vad_mask(3, 2),
            [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        );
    }
}
