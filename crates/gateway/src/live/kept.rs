//! The audio that a stream's sequence was sent, to be sent again, and what was told of it.

use std::collections::VecDeque;

/// A sequence of a plain model that is no longer than so many chunks is heard again as a whole (30 s).
const WHOLE: usize = 50;
/// Else so many at least (15 s): a model hears a word the better the more is before it.
const CONTEXT: usize = 25;

/// The chunks of a sequence, the oldest given up where they are too many. Positions are samples from where the sequence began.
#[derive(Debug)]
pub(super) struct Kept {
    chunks: VecDeque<Chunk>,
    /// Where the first chunk stands.
    first: usize,
    /// Where the last one ends.
    end: usize,
    /// How many samples are kept at most.
    bound: usize,
    /// How many of the chunks were answered, and told.
    told: usize,
    /// Somebody may be speaking where the first one begins.
    torn: bool,
}

#[derive(Debug)]
struct Chunk {
    samples: Vec<i16>,
    /// The new text of a plain model.
    said: String,
}

impl Kept {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            first: 0,
            end: 0,
            bound,
            told: 0,
            torn: false,
        }
    }

    /// One more, which is not told yet.
    pub(super) fn push(&mut self, samples: Vec<i16>) {
        self.end += samples.len();
        let said = String::new();
        self.chunks.push_back(Chunk { samples, said });
        while self.end - self.first > self.bound && self.told > 0 {
            self.give_up(1);
            self.torn = true;
        }
    }

    fn give_up(&mut self, count: usize) {
        let given_up = self.chunks.drain(..count);
        self.first += given_up.map(|chunk| chunk.samples.len()).sum::<usize>();
        self.told -= count;
    }

    /// The last one was told: this.
    pub(super) fn all_told(&mut self, said: String) {
        self.told = self.chunks.len();
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.said = said;
        }
    }

    /// How many were told.
    pub(super) fn told(&self) -> usize {
        self.told
    }

    /// What was told of them.
    pub(super) fn said(&self) -> String {
        let said = self.chunks.iter().take(self.told);
        said.map(|chunk| &*chunk.said).collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.chunks.len()
    }

    /// One of them.
    pub(super) fn get(&self, number: usize) -> Option<&[i16]> {
        self.chunks.get(number).map(|chunk| &*chunk.samples)
    }

    /// Where the last one ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Where the first one begins.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// Whether the beginning is not there any more.
    pub(super) fn is_cut(&self) -> bool {
        self.first > 0
    }

    /// Whether it begins in the middle of what somebody says.
    pub(super) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether nothing was said in the last chunks.
    pub(super) fn is_quiet(&self) -> bool {
        self.told >= 3 && self.is_pause(self.told - 2)
    }

    /// Nothing was said in this chunk, the one before and the one behind it.
    fn is_pause(&self, number: usize) -> bool {
        let around = self.chunks.range(number - 1..=number + 1);
        around.into_iter().all(|chunk| chunk.said.is_empty())
    }

    /// Gives up what a plain model need not hear again: a longer sequence is begun in a pause, far enough back.
    pub(super) fn begin_in_a_pause(&mut self) {
        if !self.is_cut() && self.told <= WHOLE {
            return;
        }
        let latest = self.told.saturating_sub(CONTEXT);
        let is_pause = |number: &usize| self.is_pause(*number);
        let early = (1..=latest).rev().find(is_pause);
        let late = || (latest + 1..self.told.saturating_sub(1)).find(is_pause);
        // As a whole a sequence is heard as it was; of one that is cut, a pause is better than the middle of a word.
        let place = early.or_else(|| self.is_cut().then(late).flatten());
        self.torn &= place.is_none();
        self.give_up(place.unwrap_or(0));
    }

    /// All samples from a position on, and nothing is kept any more: a new sequence begins there.
    pub(super) fn split_off(&mut self, position: usize) -> Vec<i16> {
        let skipped = position.saturating_sub(self.first);
        let chunks = self.chunks.drain(..);
        let samples = chunks
            .flat_map(|chunk| chunk.samples)
            .skip(skipped)
            .collect();
        (self.first, self.end, self.told, self.torn) = (0, 0, 0, false);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_given_up_but_only_what_was_told() {
        let mut kept = Kept::new(6);
        for chunk in 0..3 {
            kept.push(vec![chunk; 3]);
        }
        // Nothing was told, so all is needed.
        assert_eq!((kept.count(), kept.told(), kept.is_cut()), (3, 0, false));
        kept.all_told(String::new());
        kept.push(vec![3; 3]);
        assert_eq!((kept.count(), kept.told(), kept.is_cut()), (2, 1, true));
        assert_eq!(kept.get(0), Some(&[2; 3][..]));
        assert_eq!(kept.end(), 12);
    }

    #[test]
    fn what_a_new_sequence_hears_again_is_cut_to_the_sample() {
        let mut kept = Kept::new(4);
        kept.push(vec![0, 1]);
        kept.push(vec![2, 3]);
        kept.all_told(String::new());
        kept.push(vec![4, 5]);
        assert_eq!(kept.split_off(3), [3, 4, 5]);
        assert_eq!((kept.count(), kept.end(), kept.is_cut()), (0, 0, false));
        kept.push(vec![6, 7]);
        assert_eq!(kept.split_off(0), [6, 7]);
    }

    /// A chunk of one sample for each text.
    fn kept(said: &[&str], bound: usize) -> Kept {
        let mut kept = Kept::new(bound);
        for said in said {
            kept.push(vec![1]);
            kept.all_told((*said).to_owned());
        }
        kept
    }

    #[test]
    fn a_long_sequence_is_begun_in_a_pause_far_enough_back() {
        let mut said = vec!["a"; 100];
        said[40..43].fill("");
        said[60..64].fill("");
        said[90..95].fill("");
        let begun = |said: &[&str], bound| {
            let mut kept = kept(said, bound);
            kept.begin_in_a_pause();
            (kept.first(), kept.told(), kept.said().len(), kept.is_torn())
        };
        assert_eq!(begun(&said, 200), (62, 38, 31, false));
        // A short one, and one without a pause, is heard as a whole.
        assert_eq!(begun(&said[..50], 200), (0, 50, 47, false));
        assert_eq!(begun(&["a"; 100], 200), (0, 100, 100, false));
        // Where the beginning is gone, also in a pause that is nearer.
        assert_eq!(begun(&said, 20), (91, 9, 5, false));
        assert_eq!(begun(&["a"; 100], 20), (80, 20, 20, true));
    }

    #[test]
    fn nothing_is_said_in_a_pause() {
        assert!(!kept(&["", ""], 9).is_quiet());
        assert!(kept(&["", "", ""], 9).is_quiet());
        assert!(!kept(&["", "a", "", ""], 9).is_quiet());
    }
}
