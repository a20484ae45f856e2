//! What has to be known of a row to fill the outputs that a config lists. What no output needs is not computed.

use asr_decode::Probabilities;

/// What has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// How probable each token is.
    pub(crate) probabilities: bool,
    /// When each token was said.
    pub(crate) times: Times,
    /// Tokens joined to words.
    pub(crate) words: bool,
    /// How far the stream is.
    pub(crate) stream: bool,
    /// Where the audio comes from.
    pub(crate) origin: bool,
}

/// Whether it has to be known when tokens were said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// No.
    Unused,
    /// It is told where the model says it.
    IfKnown,
    /// Yes, for this output.
    Needed(&'static str),
}

impl Needs {
    pub(super) const NONE: Self = Self {
        probabilities: false,
        times: Times::Unused,
        words: false,
        stream: false,
        origin: false,
    };
    pub(super) const PROBABILITIES: Self = Self {
        probabilities: true,
        ..Self::NONE
    };
    /// The name of the output is put in by [`and`](Self::and).
    pub(super) const TIMES: Self = Self {
        times: Times::Needed(""),
        ..Self::NONE
    };
    pub(super) const WORDS: Self = Self {
        words: true,
        ..Self::NONE
    };
    pub(super) const WORD_TIMES: Self = Self {
        words: true,
        ..Self::TIMES
    };
    pub(super) const STREAM: Self = Self {
        stream: true,
        ..Self::NONE
    };
    pub(super) const ORIGIN: Self = Self {
        origin: true,
        ..Self::NONE
    };
    /// For a document of everything that is known.
    pub(super) const ALL: Self = Self {
        probabilities: true,
        times: Times::IfKnown,
        words: true,
        stream: true,
        origin: true,
    };

    /// Whether decoders are to say how probable tokens are.
    pub(crate) fn probabilities(self) -> Probabilities {
        match self.probabilities {
            true => Probabilities::Computed,
            false => Probabilities::Absent,
        }
    }

    /// These, and what the output called `name` needs.
    pub(super) fn and(self, more: Self, name: &'static str) -> Self {
        Self {
            probabilities: self.probabilities || more.probabilities,
            times: match (self.times, more.times) {
                (Times::Needed(first), _) => Times::Needed(first),
                (_, Times::Needed(_)) => Times::Needed(name),
                (Times::IfKnown, _) | (_, Times::IfKnown) => Times::IfKnown,
                (Times::Unused, Times::Unused) => Times::Unused,
            },
            words: self.words || more.words,
            stream: self.stream || more.stream,
            origin: self.origin || more.origin,
        }
    }
}
