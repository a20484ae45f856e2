//! What is wanted of a file.

use crate::channels::Channel;

/// What is wanted of a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The rate of the samples handed out, in Hz.
    pub sample_rate: u32,
    /// What becomes of several channels.
    pub channel: Channel,
    /// The most audio there may be; more is an error as soon as it is decoded. `INFINITY` for any.
    pub max_seconds: f64,
}

impl Options {
    /// All channels mixed to samples of this rate, however many.
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        Self {
            sample_rate,
            channel: Channel::Mix,
            max_seconds: f64::INFINITY,
        }
    }

    /// The same for one channel.
    #[must_use]
    pub fn channel(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// The same for so much audio.
    #[must_use]
    pub fn max_seconds(self, max_seconds: f64) -> Self {
        Self {
            max_seconds,
            ..self
        }
    }
}
