//! The cheapest way of a text through a transducer.

use crate::transducer::{Arc, Transducer};

/// No place.
const NONE: u32 = u32::MAX;
/// So often, on average, each state behind as many bytes may be gone on from without reading anything. Costs may be negative, and then what is
/// gone round could get cheaper for ever; grammars need a few.
const MOST_ROUNDS: usize = 50;

/// A state that is reached behind so many bytes of the text, and the cheapest way there.
#[derive(Clone, Copy)]
struct Place {
    state: u32,
    cost: f32,
    /// The place before it, and what is written on the way from there.
    before: u32,
    writes: u8,
}

/// Places that are reached, those behind as many bytes next to each other.
struct Walk<'t> {
    transducer: &'t Transducer,
    places: Vec<Place>,
    /// Where each state's place is among those that are looked at now.
    place_of: Vec<u32>,
}

/// What the transducer writes when it reads `text` the cheapest way; `None` if it has no way to read it.
pub(crate) fn written(transducer: &Transducer, text: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk {
        transducer,
        places: Vec::new(),
        place_of: vec![NONE; transducer.states()],
    };
    walk.reach(Place {
        state: transducer.start,
        cost: 0.0,
        before: NONE,
        writes: 0,
    });
    walk.read_nothing(0)?;
    let mut first = 0;
    for &byte in text {
        let next = walk.places.len();
        walk.read(first, byte);
        walk.read_nothing(next)?;
        if walk.places.len() == next {
            return None;
        }
        first = next;
    }
    walk.end(first)
}

impl Walk<'_> {
    /// Takes a place, unless its state is reached as cheaply already. Says whether it was taken, and where.
    fn reach(&mut self, place: Place) -> Option<usize> {
        let slot = self.place_of.get_mut(usize::try_from(place.state).ok()?)?;
        let known = usize::try_from(*slot)
            .ok()
            .and_then(|at| self.places.get_mut(at));
        match known {
            Some(known) if known.cost <= place.cost => None,
            Some(known) => {
                *known = place;
                usize::try_from(*slot).ok()
            }
            None => {
                let at = self.places.len();
                *slot = u32::try_from(at).ok()?;
                self.places.push(place);
                Some(at)
            }
        }
    }

    /// Goes on from the place `from` by an arc.
    fn follow(&mut self, from: usize, arc: Arc) -> Option<usize> {
        let cost = self.places.get(from)?.cost + arc.cost;
        self.reach(Place {
            state: arc.to,
            cost,
            before: u32::try_from(from).ok()?,
            writes: arc.writes,
        })
    }

    /// Goes on from the places from `first` on by arcs that read nothing, as long as that makes something cheaper; `None` if it always does.
    fn read_nothing(&mut self, first: usize) -> Option<()> {
        let mut waiting: Vec<usize> = (first..self.places.len()).rev().collect();
        let mut taken = 0;
        while let Some(from) = waiting.pop() {
            let state = self.places.get(from)?.state;
            let arcs = self.transducer.arcs(state, 0);
            taken += usize::from(!arcs.is_empty());
            if taken > MOST_ROUNDS * (self.places.len() - first) {
                return None;
            }
            for arc in arcs {
                waiting.extend(self.follow(from, *arc));
            }
        }
        Some(())
    }

    /// Goes on from the places from `first` on by a byte.
    fn read(&mut self, first: usize, byte: u8) {
        let places = first..self.places.len();
        for place in self.places.get(places.clone()).unwrap_or_default() {
            let state = usize::try_from(place.state).ok();
            if let Some(slot) = state.and_then(|state| self.place_of.get_mut(state)) {
                *slot = NONE;
            }
        }
        // No text has the byte that stands for nothing.
        if byte == 0 {
            return;
        }
        for from in places {
            let Some(state) = self.places.get(from).map(|place| place.state) else {
                continue;
            };
            for arc in self.transducer.arcs(state, byte) {
                self.follow(from, *arc);
            }
        }
    }

    /// What is written on the cheapest way to an end at one of the places from `first` on.
    fn end(&self, first: usize) -> Option<Vec<u8>> {
        let mut best: Option<(f32, usize)> = None;
        for (at, place) in self.places.iter().enumerate().skip(first) {
            if let Some(end) = self.transducer.end(place.state) {
                let cost = place.cost + end;
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, at));
                }
            }
        }
        let mut bytes = Vec::new();
        let mut at = best.map(|(_, at)| at);
        while let Some(place) = at.and_then(|at| self.places.get(at)) {
            if place.writes != 0 {
                bytes.push(place.writes);
            }
            at = usize::try_from(place.before).ok();
        }
        bytes.reverse();
        best.map(|_| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transducer::tests::file;

    const NEVER: f32 = f32::INFINITY;

    fn of(states: &[crate::transducer::tests::Row<'_>], text: &[u8]) -> Option<Vec<u8>> {
        written(&Transducer::parse(&file(states)).unwrap(), text)
    }

    #[test]
    fn the_cheapest_way_is_taken() {
        // "ab" as "X" for 1, or letter by letter as "AB" for what each costs.
        let states = |each: f32| {
            vec![(97, 0, 0.0, 1), (97, 65, each, 2)]
                .into_iter()
                .chain([])
                .collect::<Vec<_>>()
        };
        for (each, expected) in [(0.4, "AB"), (0.6, "X")] {
            let first = states(each);
            let rows: [crate::transducer::tests::Row<'_>; 4] = [
                (NEVER, &first),
                (NEVER, &[(98, 88, 1.0, 3)]),
                (NEVER, &[(98, 66, each, 3)]),
                (0.0, &[]),
            ];
            assert_eq!(of(&rows, b"ab").unwrap(), expected.as_bytes());
            assert_eq!(of(&rows, b"a"), None, "it may not end there");
            assert_eq!(of(&rows, b"abc"), None);
            assert_eq!(of(&rows, b"a\0"), None);
        }
    }

    #[test]
    fn what_reads_nothing_writes_at_the_ends_too() {
        let rows: [crate::transducer::tests::Row<'_>; 3] = [
            (NEVER, &[(0, 40, 0.0, 1)]),
            (NEVER, &[(97, 97, 0.0, 1), (0, 41, 0.0, 2)]),
            // Going round for nothing makes nothing cheaper.
            (0.0, &[(0, 33, 0.0, 2)]),
        ];
        assert_eq!(of(&rows, b"aa").unwrap(), b"(aa)");
        assert_eq!(of(&rows, b"").unwrap(), b"()");
        let mut endless = rows;
        endless[2] = (0.0, &[(0, 33, -0.1, 2)]);
        assert_eq!(of(&endless, b"aa"), None, "each round makes it cheaper");
    }

    #[test]
    fn a_cheaper_way_found_late_is_gone_on_from() {
        // By way of 2 it is cheaper, which is known only after 1's own way went on.
        let rows: [crate::transducer::tests::Row<'_>; 4] = [
            (NEVER, &[(0, 49, 5.0, 1), (0, 50, 1.0, 2)]),
            (NEVER, &[(0, 51, 0.0, 3)]),
            (NEVER, &[(0, 52, 1.0, 1)]),
            (0.0, &[]),
        ];
        assert_eq!(of(&rows, b"").unwrap(), b"243");
    }
}
