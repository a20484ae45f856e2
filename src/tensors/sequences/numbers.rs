//! The numbers of sequences that this library begins at models which it calls: no two of a process have the same at the same time, whichever
//! model they are at.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use triton_backend::{CorrelationId, Sequence};

/// A sequence's number. The server remembers each for as long as a sequence may be idle, so they are used again.
pub(super) struct Number(u64);

/// Where no client's numbers are, and from one that a client of the called model cannot guess: with a sequence's number it could take
/// part in it.
static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
    let random = RandomState::new().hash_one(0);
    // Room enough above it.
    AtomicU64::new((1 << 63) | (random >> 2))
});
static FREE: Mutex<Vec<u64>> = Mutex::new(Vec::new());

impl Number {
    pub(super) fn new() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(free.unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// A call's place in the sequence.
    pub(super) fn sequence(&self, start: bool, end: bool) -> Sequence {
        Sequence {
            id: CorrelationId::Number(self.0),
            start,
            end,
        }
    }

    /// The sequence ended. One of which this is not certain keeps its number for good.
    pub(super) fn give_back(self) {
        FREE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_when_it_was_given_back() {
        let (lost, ended) = (Number::new(), Number::new());
        let numbers = [lost.0, ended.0];
        assert_ne!(numbers[0], numbers[1]);
        ended.give_back();
        let (third, fourth) = (Number::new(), Number::new());
        assert_eq!(third.0, numbers[1]);
        assert!(!numbers.contains(&fourth.0));
    }

    #[test]
    fn numbers_are_above_those_of_clients_and_begin_anywhere() {
        let Number(number) = Number::new();
        let first = 1 << 63;
        // One start in a billion fails this.
        assert!(number > first + (1 << 32), "{number}");
    }
}
