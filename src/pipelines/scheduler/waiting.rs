//! What waits, in order of its age and of its length at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};
use std::time::Instant;

use super::batch::{Batch, Limits, Size};

/// How many items that do not fit a call are passed over in the search for others that do.
const PASSED_OVER: usize = 64;

/// What can wait for a call.
pub(crate) trait Item {
    /// What it is to its call.
    fn size(&self) -> Size;

    /// When it need not be computed any more.
    fn deadline(&self) -> Option<Instant>;

    /// Whether nobody wants it computed any more, for another reason. Asked under the scheduler's lock.
    fn is_over(&self) -> bool;
}

/// Items by age and by length. To add one, to take one, and to find the next one of a call costs the logarithm of how many wait.
pub(crate) struct Waiting<T> {
    /// By class and length, and in each of these by age.
    shelves: BTreeMap<Shelf, BTreeMap<Age, T>>,
    /// On which shelf each is.
    ages: BTreeMap<Age, Shelf>,
    deadlines: BTreeSet<(Instant, Age)>,
    youngest: Age,
    /// Where [`Waiting::look`] goes on.
    looked_at: Age,
}

/// Counted up with each item: who came first has the lowest.
type Age = u64;

/// Class and length.
type Shelf = (usize, usize);

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            shelves: BTreeMap::new(),
            ages: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            youngest: 0,
            looked_at: 0,
        }
    }
}

impl<T: Item> Waiting<T> {
    /// Adds an item, younger than all others.
    pub(crate) fn push(&mut self, item: T) {
        self.youngest += 1;
        let (age, Size { class, length, .. }) = (self.youngest, item.size());
        if let Some(deadline) = item.deadline() {
            self.deadlines.insert((deadline, age));
        }
        self.ages.insert(age, (class, length));
        let shelf = self.shelves.entry((class, length)).or_default();
        shelf.insert(age, item);
    }

    /// Takes the items of a call, by age: the oldest of all, and of its class those nearest to it in length, as far as the limits allow.
    ///
    /// Since the oldest is always among them, an item that finds `n` others waiting is in one of the next `n + 1` calls.
    pub(crate) fn take(&mut self, limits: &Limits) -> Vec<T> {
        let mut ages = self.company(limits);
        ages.sort_unstable();
        ages.into_iter()
            .filter_map(|age| self.remove(age))
            .collect()
    }

    /// The ages of a call's items.
    fn company(&self, limits: &Limits) -> Vec<Age> {
        let Some((&oldest, &(class, length))) = self.ages.first_key_value() else {
            return Vec::new();
        };
        let shelf = self.shelves.get(&(class, length));
        let Some(first) = shelf.and_then(|shelf| shelf.get(&oldest)) else {
            return Vec::new();
        };
        let mut batch = Batch::of(first.size());
        let mut chosen = vec![oldest];
        // From its length down, and up; those of one length by age.
        let mut shorter = self
            .shelves
            .range((class, 0)..=(class, length))
            .rev()
            .flat_map(|(_, shelf)| shelf)
            .skip(1)
            .peekable();
        let mut longer = self
            .shelves
            .range((Excluded((class, length)), Included((class, usize::MAX))))
            .flat_map(|(_, shelf)| shelf)
            .peekable();
        let mut passed_over = 0;
        // One that does not fit is less like the first than those that do; yet one beyond it may: the more rows are as long as the
        // longest, the smaller is a short one's share of padding.
        while passed_over < PASSED_OVER && !batch.is_full(limits) {
            let (below, above) = (shorter.peek(), longer.peek());
            let distance = |item: &T| item.size().length.abs_diff(length);
            let take_below = match (below, above) {
                (None, None) => break,
                (Some((below_age, below)), Some((above_age, above))) => {
                    (distance(below), below_age) <= (distance(above), above_age)
                }
                (below, _) => below.is_some(),
            };
            let next = match take_below {
                true => shorter.next(),
                false => longer.next(),
            };
            match next {
                Some((&age, item)) if batch.take(item.size(), limits) => chosen.push(age),
                _ => passed_over += 1,
            }
        }
        chosen
    }

    /// Takes an item whose deadline is over.
    pub(crate) fn take_late(&mut self, now: Instant) -> Option<T> {
        let &(deadline, age) = self.deadlines.first()?;
        (deadline <= now).then(|| self.remove(age))?
    }

    /// Looks at `most` items, other ones each time until all had their turn, and takes those that are over.
    pub(crate) fn look(&mut self, most: usize) -> Vec<T> {
        let rest = self.ages.range(self.looked_at..);
        let looked: Vec<(Age, Shelf)> =
            rest.take(most).map(|(&age, &shelf)| (age, shelf)).collect();
        self.looked_at = match looked.last() {
            Some((last, _)) if looked.len() == most => last + 1,
            _ => 0,
        };
        let over = looked.into_iter().filter(|(age, shelf)| {
            let item = self.shelves.get(shelf).and_then(|shelf| shelf.get(age));
            item.is_some_and(Item::is_over)
        });
        let over: Vec<(Age, Shelf)> = over.collect();
        over.into_iter()
            .filter_map(|(age, _)| self.remove(age))
            .collect()
    }

    fn remove(&mut self, age: Age) -> Option<T> {
        let place = self.ages.remove(&age)?;
        let shelf = self.shelves.get_mut(&place)?;
        let item = shelf.remove(&age)?;
        if shelf.is_empty() {
            self.shelves.remove(&place);
        }
        if let Some(deadline) = item.deadline() {
            self.deadlines.remove(&(deadline, age));
        }
        Some(item)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::super::batch::tests::{LIMITS, row};
    use super::*;

    /// An item of one row, with a name.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct Row {
        pub(crate) name: usize,
        pub(crate) size: Size,
        pub(crate) deadline: Option<Instant>,
        pub(crate) over: bool,
    }

    impl Item for Row {
        fn size(&self) -> Size {
            self.size
        }

        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }

        fn is_over(&self) -> bool {
            self.over
        }
    }

    /// Rows of these lengths, named by their places.
    pub(crate) fn rows(lengths: &[usize]) -> Vec<Row> {
        let lengths = lengths.iter().enumerate();
        lengths
            .map(|(name, &length)| Row {
                name,
                size: row(length),
                deadline: None,
                over: false,
            })
            .collect()
    }

    fn waiting(rows: impl IntoIterator<Item = Row>) -> Waiting<Row> {
        let mut waiting = Waiting::default();
        rows.into_iter().for_each(|row| waiting.push(row));
        waiting
    }

    fn names(rows: &[Row]) -> Vec<usize> {
        rows.iter().map(|row| row.name).collect()
    }

    fn is_empty(waiting: &Waiting<Row>) -> bool {
        waiting.ages.is_empty() && waiting.shelves.is_empty() && waiting.deadlines.is_empty()
    }

    #[test]
    fn nothing_waits_nothing_is_taken() {
        assert!(waiting([]).take(&LIMITS).is_empty());
    }

    #[test]
    fn the_oldest_goes_first_with_the_nearest_in_length() {
        let mut all = waiting(rows(&[50, 500, 52, 10, 49, 51]));
        assert_eq!(names(&all.take(&LIMITS)), [0, 2, 4, 5]);
        assert_eq!(names(&all.take(&LIMITS)), [1]);
        assert_eq!(names(&all.take(&LIMITS)), [3]);
        assert!(is_empty(&all));
        assert_eq!(names(&waiting(rows(&[500, 50, 52])).take(&LIMITS)), [0]);
    }

    #[test]
    fn of_equals_the_older_goes_first() {
        let mut all = waiting(rows(&[50, 49, 51, 50, 51, 49, 50]));
        assert_eq!(names(&all.take(&LIMITS)), [0, 1, 3, 6]);
        assert_eq!(names(&all.take(&LIMITS)), [2, 4, 5]);
    }

    #[test]
    fn one_that_does_not_fit_keeps_nobody_beyond_it_from_the_call() {
        let limits = Limits {
            rows: 8,
            frames: 999,
            ..LIMITS
        };
        // 48 is too much padding beside 100, 46 is not beside three of 153.
        let mut several = rows(&[100, 48, 153, 153, 153, 46]);
        assert_eq!(
            names(&waiting(several.clone()).take(&limits)),
            [0, 2, 3, 4, 5]
        );
        // Of many rows fewer may fit.
        several[3].size.rows = 7;
        assert_eq!(names(&waiting(several).take(&limits)), [0, 2, 4]);
    }

    #[test]
    fn a_search_ends_however_many_do_not_fit() {
        // Of one row each, and too short; the last would fit if it came to that.
        let mut all = rows(&[100; 200]);
        all.iter_mut().skip(1).for_each(|row| row.size.rows = 4);
        all[199].size.rows = 1;
        assert_eq!(names(&waiting(all).take(&LIMITS)), [0]);
    }

    #[test]
    fn classes_do_not_mix() {
        let mut mixed = rows(&[50, 50, 50]);
        mixed[1].size.class = 1;
        let mut all = waiting(mixed);
        assert_eq!(names(&all.take(&LIMITS)), [0, 2]);
        assert_eq!(names(&all.take(&LIMITS)), [1]);
    }

    #[test]
    fn one_that_finds_n_waiting_is_in_one_of_the_next_calls_however_many_come_after() {
        // It is like none of the others, and of those that come after there are always enough for a full call.
        let mut all = waiting(rows(&[10, 20, 40, 80]));
        let mut patient = rows(&[5000])[0];
        patient.name = 999;
        all.push(patient);
        let mut calls = 0;
        loop {
            rows(&[10, 20, 40, 80, 10, 20, 40, 80])
                .into_iter()
                .for_each(|row| all.push(row));
            calls += 1;
            if names(&all.take(&LIMITS)).contains(&999) {
                break;
            }
        }
        assert_eq!(calls, 4 + 1);
    }

    #[test]
    fn what_is_late_is_taken_by_its_deadline() {
        let now = Instant::now();
        let mut late = rows(&[10, 10, 10, 10]);
        late[0].deadline = Some(now + Duration::from_secs(9));
        late[1].deadline = Some(now + Duration::from_secs(3));
        late[3].deadline = Some(now + Duration::from_secs(2));
        let mut all = waiting(late);
        assert_eq!(all.take_late(now), None);
        let later = now + Duration::from_secs(3);
        assert_eq!(all.take_late(later).unwrap().name, 3);
        assert_eq!(all.take_late(later).unwrap().name, 1);
        assert_eq!(all.take_late(later), None);
        assert_eq!(names(&all.take(&LIMITS)), [0, 2]);
        assert!(is_empty(&all));
    }

    #[test]
    fn each_is_looked_at_in_its_turn() {
        let mut over = rows(&[10; 7]);
        over[1].over = true;
        over[5].over = true;
        over[6].over = true;
        let mut all = waiting(over);
        let found: Vec<Vec<usize>> = (0..4).map(|_| names(&all.look(3))).collect();
        assert_eq!(found, [vec![1], vec![5], vec![6], vec![]]);
        assert_eq!(names(&all.take(&LIMITS)), [0, 2, 3, 4]);
        assert!(is_empty(&all));
    }
}
