//! The parameters of the component, whatever kind of model it calls.

use crate::pipelines::options::calls_in_flight;
use crate::tensors::parameters::{Count, Parameter, Table, Written};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "vad",
    lines: &[&VAD_KIND, &CALLS_IN_FLIGHT, &FRAMES_PER_CALL],
};

pub(super) const VAD_KIND: Parameter<Kind> = Parameter::new(
    "vad_kind",
    "the kind of the called model: FSMN-VAD, or Silero's for sequences",
)
.default("fsmn");
pub(super) const CALLS_IN_FLIGHT: Parameter<Count> =
    calls_in_flight("twice the called model's instances, at least 4");
/// Samples of a frame of 10 ms, which the length of calls is counted in, at the rate that all published models have.
pub(super) const FRAME: usize = 160;
pub(super) const FRAMES_PER_CALL: Parameter<Count> = Parameter::new(
    "frames_per_call",
    "the most audio of a call, in frames of 10 ms. Longer audio has several, in which the model goes on with its caches or its state",
)
.default(6000);

/// A kind of model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Fsmn,
    Silero,
}

impl Written for Kind {
    const KIND: &'static str = "`fsmn` or `silero`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "fsmn" => Ok(Self::Fsmn),
            "silero" => Ok(Self::Silero),
            _ => Err("is neither fsmn nor silero"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written_in_configs() {
        assert_eq!(Kind::parse("fsmn"), Ok(Kind::Fsmn));
        assert_eq!(Kind::parse(" silero"), Ok(Kind::Silero));
        assert!(Kind::parse("webrtc").is_err());
    }
}
