//! Reading a transducer: OpenFst's binary files of the kinds `vector` and `standard` (`openfst/src/include/fst/vector-fst.h`).

use std::ops::Range;

/// What a file begins with.
const MAGIC: i32 = 2_125_659_606;
/// Layouts of the file: symbols, which are not needed, and parts that begin at multiples of eight bytes.
const HAS_SYMBOLS: i32 = 3;
const IS_ALIGNED: i32 = 4;
/// Of a state that no text ends in.
const NEVER: f32 = f32::INFINITY;

/// A file is no transducer of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FstError {
    /// It does not begin as such a file does.
    #[error("it is not a transducer of OpenFst")]
    NotOpenFst,
    /// It is one of another kind.
    #[error(
        "it is a transducer of kind '{kind}' and arcs '{arcs}', expected 'vector' and 'standard'"
    )]
    Kind {
        /// How its states are kept.
        kind: String,
        /// What its arcs carry.
        arcs: String,
    },
    /// Its header asks for what is not read.
    #[error(
        "its header has the version {version} and the flags {flags}, expected version 2 and neither symbols nor alignment"
    )]
    Layout {
        /// Of the file's format.
        version: i32,
        /// What else the file has.
        flags: i32,
    },
    /// It ends too early, or goes on behind its end.
    #[error("its size does not fit its {states} states: it is cut off or broken")]
    Size {
        /// What its header says.
        states: i64,
    },
    /// An arc or a state makes no sense.
    #[error("state {state} has {what}")]
    Broken {
        /// Counted from 0.
        state: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// An arc: what it reads and writes, 0 for nothing, what that costs, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Arc {
    pub(crate) reads: u8,
    pub(crate) writes: u8,
    pub(crate) cost: f32,
    pub(crate) to: u32,
}

#[derive(Debug, Clone)]
struct State {
    /// What it costs to end here.
    end: f32,
    arcs: Range<usize>,
}

/// A transducer of bytes with costs.
#[derive(Debug, Clone)]
pub(crate) struct Transducer {
    pub(crate) start: u32,
    states: Vec<State>,
    /// Of each state those that read nothing first, then by what they read.
    arcs: Vec<Arc>,
}

impl Transducer {
    pub(crate) fn states(&self) -> usize {
        self.states.len()
    }

    /// What it costs to end in a state, if a text can.
    pub(crate) fn end(&self, state: u32) -> Option<f32> {
        let end = self.state(state)?.end;
        (end < NEVER).then_some(end)
    }

    /// The arcs of a state that read this byte, or nothing for 0.
    pub(crate) fn arcs(&self, state: u32, reads: u8) -> &[Arc] {
        let arcs = self.state(state).map(|state| state.arcs.clone());
        let arcs = self.arcs.get(arcs.unwrap_or_default()).unwrap_or_default();
        let first = arcs.partition_point(|arc| arc.reads < reads);
        let rest = arcs.get(first..).unwrap_or_default();
        let count = rest.partition_point(|arc| arc.reads == reads);
        rest.get(..count).unwrap_or_default()
    }

    fn state(&self, state: u32) -> Option<&State> {
        self.states.get(usize::try_from(state).ok()?)
    }

    /// Reads a file's bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FstError> {
        let mut reader = Reader { bytes };
        if reader.i32() != Some(MAGIC) {
            return Err(FstError::NotOpenFst);
        }
        let (Some(kind), Some(arcs)) = (reader.text(), reader.text()) else {
            return Err(FstError::NotOpenFst);
        };
        if (kind.as_str(), arcs.as_str()) != ("vector", "standard") {
            return Err(FstError::Kind { kind, arcs });
        }
        let header = (|| {
            let (version, flags, _) = (reader.i32()?, reader.i32()?, reader.i64()?);
            // The number of arcs is not filled in for this kind.
            Some((version, flags, reader.i64()?, reader.i64()?, reader.i64()?))
        })();
        let Some((version, flags, start, states, _)) = header else {
            return Err(FstError::NotOpenFst);
        };
        if version != 2 || flags & (HAS_SYMBOLS | IS_ALIGNED) != 0 {
            return Err(FstError::Layout { version, flags });
        }
        let size = || FstError::Size { states };
        let mut own = Self {
            start: u32::try_from(start).map_err(|_| size())?,
            states: Vec::new(),
            arcs: Vec::new(),
        };
        // Not sized in advance: a broken file may claim any number.
        for state in 0..states {
            own.push(&mut reader, usize::try_from(state).unwrap_or(usize::MAX))
                .ok_or_else(size)??;
        }
        if !reader.bytes.is_empty()
            || usize::try_from(start).is_ok_and(|start| start >= own.states())
        {
            return Err(size());
        }
        let beyond = |state: &State| {
            let arcs = own.arcs.get(state.arcs.clone()).unwrap_or_default();
            let there = |to: u32| usize::try_from(to).is_ok_and(|to| to < own.states());
            arcs.iter().any(|arc| !there(arc.to))
        };
        match own.states.iter().position(beyond) {
            Some(state) => Err(FstError::Broken {
                state,
                what: "an arc to a state that is not there",
            }),
            None => Ok(own),
        }
    }

    /// Reads a state; none if the file ends in it.
    fn push(&mut self, reader: &mut Reader<'_>, state: usize) -> Option<Result<(), FstError>> {
        let broken = |what| Some(Err(FstError::Broken { state, what }));
        let (end, count) = (reader.f32()?, reader.i64()?);
        let first = self.arcs.len();
        for _ in 0..count {
            let (reads, writes) = (reader.i32()?, reader.i32()?);
            let (cost, to) = (reader.f32()?, reader.i32()?);
            let (Ok(reads), Ok(writes)) = (u8::try_from(reads), u8::try_from(writes)) else {
                return broken("an arc with a label that is no byte");
            };
            if !cost.is_finite() {
                return broken("an arc with a cost that is no number");
            }
            let Ok(to) = u32::try_from(to) else {
                return broken("an arc to a state that is not there");
            };
            self.arcs.push(Arc {
                reads,
                writes,
                cost,
                to,
            });
        }
        if end.is_nan() || end == f32::NEG_INFINITY {
            return broken("an end with a cost that is no number");
        }
        let arcs = first..self.arcs.len();
        if let Some(own) = self.arcs.get_mut(arcs.clone()) {
            own.sort_by_key(|arc| arc.reads);
        }
        self.states.push(State { end, arcs });
        Some(Ok(()))
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*first)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn f32(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }

    /// A short text.
    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i32()?)
            .ok()
            .filter(|&length| length < 64)?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A state: what it costs to end there, and its arcs: what they read and write, their cost, and where they lead.
    pub(crate) type Row<'r> = (f32, &'r [(i32, i32, f32, i32)]);

    /// A file with these states.
    pub(crate) fn file(states: &[Row<'_>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        for text in ["vector", "standard"] {
            bytes.extend((text.len() as i32).to_le_bytes());
            bytes.extend(text.bytes());
        }
        bytes.extend(2_i32.to_le_bytes());
        bytes.extend(0_i32.to_le_bytes());
        bytes.extend(3_i64.to_le_bytes());
        for number in [0, states.len() as i64, 0] {
            bytes.extend(number.to_le_bytes());
        }
        for (end, arcs) in states {
            bytes.extend(end.to_le_bytes());
            bytes.extend((arcs.len() as i64).to_le_bytes());
            for (reads, writes, cost, to) in *arcs {
                bytes.extend(reads.to_le_bytes());
                bytes.extend(writes.to_le_bytes());
                bytes.extend(cost.to_le_bytes());
                bytes.extend(to.to_le_bytes());
            }
        }
        bytes
    }

    const NEVER_ENDS: f32 = f32::INFINITY;

    #[test]
    fn arcs_are_found_by_what_they_read() {
        let bytes = file(&[
            (
                NEVER_ENDS,
                &[
                    (98, 66, 0.5, 1),
                    (97, 65, 1.0, 0),
                    (0, 45, 2.0, 1),
                    (97, 0, 0.0, 1),
                ],
            ),
            (0.25, &[]),
        ]);
        let transducer = Transducer::parse(&bytes).unwrap();
        assert_eq!((transducer.states(), transducer.start), (2, 0));
        let written = |reads| -> Vec<u8> {
            let arcs = transducer.arcs(0, reads).iter();
            arcs.map(|arc| arc.writes).collect()
        };
        assert_eq!(written(0), [45]);
        assert_eq!(written(97), [65, 0], "in the order of the file");
        assert_eq!(written(98), [66]);
        assert_eq!(written(99), []);
        assert_eq!((transducer.end(0), transducer.end(1)), (None, Some(0.25)));
    }

    #[test]
    fn what_is_no_transducer_is_told() {
        let whole = file(&[(0.0, &[(97, 65, 0.0, 0)])]);
        let error = |bytes: &[u8]| Transducer::parse(bytes).unwrap_err();
        for length in 0..whole.len() {
            assert!(Transducer::parse(&whole[..length]).is_err(), "{length}");
        }
        assert_eq!(error(b"<Nnet> of Kaldi"), FstError::NotOpenFst);
        assert_eq!(
            error(&[&*whole, b"x"].concat()),
            FstError::Size { states: 1 }
        );
        let kind = String::from_utf8_lossy(&whole).replace("vector", "const_");
        assert!(Transducer::parse(kind.as_bytes()).is_err());
        for (arc, words) in [
            (
                (300, 1, 0.0, 0),
                "state 0 has an arc with a label that is no byte",
            ),
            (
                (1, 1, f32::NAN, 0),
                "state 0 has an arc with a cost that is no number",
            ),
            (
                (1, 1, 0.0, 1),
                "state 0 has an arc to a state that is not there",
            ),
            (
                (1, 1, 0.0, -1),
                "state 0 has an arc to a state that is not there",
            ),
        ] {
            let message = error(&file(&[(0.0, &[arc])])).to_string();
            assert!(message.starts_with(words), "{message}");
        }
    }
}
