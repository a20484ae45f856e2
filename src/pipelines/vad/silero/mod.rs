//! Silero's model for sequences: windows of samples and its state in, how probable speech is out.

mod options;
mod stream;

pub(crate) use self::options::PARAMETERS;
pub(super) use self::stream::SileroAudio;
