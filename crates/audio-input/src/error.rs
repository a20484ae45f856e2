//! What can be wrong with a file, in words for whoever sent it.

use crate::format::Format;
use crate::rates::{HIGHEST_RATE, LOWEST_RATE};

/// Why there are no samples.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There are no bytes.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// The content is of no format that anyone knows here.
    #[error(
        "the bytes begin with {start}, which no audio format read here does; send the bytes of a WAV, FLAC, MP3, AAC, Ogg, M4A or WebM file"
    )]
    Unknown {
        /// The first bytes, as text or in hexadecimal.
        start: String,
    },
    /// The format or codec is known, and not read.
    #[error(
        "this is {what}, which is not read here; convert it, for instance with: ffmpeg -i FILE -ar 16000 -ac 1 out.wav"
    )]
    Unsupported {
        /// As in "AMR" or "WAV with ADPCM".
        what: String,
    },
    /// The file is of a known format and cannot be read.
    #[error("this {format} file cannot be read: {message}")]
    Broken {
        /// What it is.
        format: Format,
        /// What is wrong with it.
        message: String,
    },
    /// The file could be read and has no sample in it.
    #[error("this {format} file holds no audio")]
    NoAudio {
        /// What it is.
        format: Format,
    },
    /// More audio than is allowed. Known as soon as decoding gets there, however small the file.
    #[error("the audio is longer than {seconds} s")]
    TooLong {
        /// What is allowed.
        seconds: f64,
    },
    /// The wanted channel is not there.
    #[error("channel {wanted} is wanted, but the audio has {}", channel_count(*channels))]
    NoChannel {
        /// Counted from 0.
        wanted: usize,
        /// How many there are.
        channels: usize,
    },
    /// More channels than are taken each for itself.
    #[error(
        "the audio has {channels} channels; up to {most} are taken each for itself, pick one of them"
    )]
    TooManyChannels {
        /// How many there are.
        channels: usize,
        /// How many there may be.
        most: usize,
    },
    /// A sample rate that nothing is resampled from or to.
    #[error("a sample rate of {rate} Hz is not possible; it is {LOWEST_RATE} to {HIGHEST_RATE} Hz")]
    Rate {
        /// In Hz.
        rate: u32,
    },
    /// Whoever takes the windows wants no more of them.
    #[error("no more of the audio is wanted")]
    Stopped,
    /// There is no memory for the samples.
    #[error("there is no memory for {samples} samples")]
    Memory {
        /// How many there would be.
        samples: usize,
    },
}

impl AudioError {
    pub(crate) fn broken(format: Format, message: impl Into<String>) -> Self {
        Self::Broken {
            format,
            message: message.into(),
        }
    }
}

fn channel_count(channels: usize) -> String {
    match channels {
        1 => "one channel, number 0".to_owned(),
        _ => format!("{channels}, counted from 0"),
    }
}
