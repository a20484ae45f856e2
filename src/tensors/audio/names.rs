//! What models call the inputs that bring audio.

/// What a model calls its inputs.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) wav: &'static str,
    pub(crate) wav_lens: &'static str,
    pub(crate) sample_rate: &'static str,
    pub(crate) channel: &'static str,
    pub(crate) audio: &'static str,
}

impl Names {
    /// What clients know.
    pub(crate) const PIPELINE: Self = Self {
        wav: "WAV",
        wav_lens: "WAV_LENS",
        sample_rate: "SAMPLE_RATE",
        channel: "CHANNEL",
        audio: "AUDIO",
    };
    /// What ensembles wire them to.
    pub(crate) const STEP: Self = Self {
        wav: "wav",
        wav_lens: "wav_lens",
        sample_rate: "sample_rate",
        channel: "channel",
        audio: "audio",
    };
}
