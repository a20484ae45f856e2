//! What was computed of hot words, as long as there is room: those that were wanted last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The tokens of a hot word.
pub(super) type Word = Arc<[i32]>;
/// `[dim]`: what the encoder listens for.
pub(super) type Embedding = Arc<[f32]>;

/// Embeddings by word. When it is full, the one goes that was not wanted for the longest time.
pub(super) struct Cache {
    embeddings: HashMap<Word, Entry>,
    /// Words by when they were wanted last.
    ages: BTreeMap<u64, Word>,
    now: u64,
    bytes: usize,
    limits: Limits,
}

/// The most that a cache holds.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) words: usize,
    pub(super) bytes: usize,
}

struct Entry {
    embedding: Embedding,
    wanted: u64,
}

impl Cache {
    /// An empty one.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            embeddings: HashMap::new(),
            ages: BTreeMap::new(),
            now: 0,
            bytes: 0,
            limits,
        }
    }

    /// What is known of a word.
    pub(super) fn get(&mut self, word: &Word) -> Option<Embedding> {
        let entry = self.embeddings.get_mut(word)?;
        self.now += 1;
        if let Some(word) = self.ages.remove(&entry.wanted) {
            self.ages.insert(self.now, word);
        }
        entry.wanted = self.now;
        Some(Arc::clone(&entry.embedding))
    }

    /// Remembers a word, if it is smaller than the whole cache.
    pub(super) fn insert(&mut self, word: &Word, embedding: &Embedding) {
        let size = size(word, embedding);
        if size > self.limits.bytes {
            return;
        }
        self.now += 1;
        let entry = Entry {
            embedding: Arc::clone(embedding),
            wanted: self.now,
        };
        if let Some(old) = self.embeddings.insert(Arc::clone(word), entry) {
            self.ages.remove(&old.wanted);
            self.bytes -= self::size(word, &old.embedding);
        }
        self.ages.insert(self.now, Arc::clone(word));
        self.bytes += size;
        while self.embeddings.len() > self.limits.words || self.bytes > self.limits.bytes {
            let Some((_, oldest)) = self.ages.pop_first() else {
                return;
            };
            if let Some(old) = self.embeddings.remove(&oldest) {
                self.bytes -= self::size(&oldest, &old.embedding);
            }
        }
    }
}

/// Bytes of a word and its embedding; what the maps need for it is about 200 more.
fn size(word: &Word, embedding: &Embedding) -> usize {
    size_of_val(&**word) + size_of_val(&**embedding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(id: i32) -> Word {
        Arc::from([id, id])
    }

    /// Remembers a word of 8 bytes with an embedding of 8.
    fn put(cache: &mut Cache, id: i32) {
        cache.insert(&word(id), &Arc::from([id as f32, 0.5]));
    }

    fn known(cache: &mut Cache, ids: impl IntoIterator<Item = i32>) -> Vec<i32> {
        let known = |id: &i32| match cache.get(&word(*id)) {
            Some(embedding) => {
                assert_eq!(*embedding, [*id as f32, 0.5]);
                true
            }
            None => false,
        };
        ids.into_iter().filter(known).collect()
    }

    #[test]
    fn what_was_not_wanted_for_the_longest_time_goes_first() {
        let limits = Limits {
            words: 3,
            bytes: 1000,
        };
        let mut cache = Cache::new(limits);
        (0..3).for_each(|id| put(&mut cache, id));
        assert_eq!(known(&mut cache, [0]), [0]);
        put(&mut cache, 3);
        assert_eq!(known(&mut cache, 0..4), [0, 2, 3]);
        // Put again it is new, and counts once.
        put(&mut cache, 0);
        put(&mut cache, 4);
        assert_eq!(known(&mut cache, 0..5), [0, 3, 4]);
        assert_eq!(
            (cache.embeddings.len(), cache.ages.len(), cache.bytes),
            (3, 3, 48)
        );
    }

    #[test]
    fn bytes_are_a_limit_too() {
        let limits = Limits {
            words: 100,
            bytes: 40,
        };
        let mut cache = Cache::new(limits);
        (0..3).for_each(|id| put(&mut cache, id));
        assert_eq!(known(&mut cache, 0..3), [1, 2]);
        // One that is larger than all of it puts nothing out.
        cache.insert(&word(9), &Arc::from([0.0; 11]));
        assert_eq!(known(&mut cache, 0..10), [1, 2]);
        assert_eq!(cache.bytes, 32);
    }
}
