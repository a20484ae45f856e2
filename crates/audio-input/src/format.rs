//! The formats of files.

use std::fmt;

/// A format of files that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// RIFF/WAVE, RF64, BW64.
    Wav,
    /// FLAC in its own container.
    Flac,
    /// MPEG audio, layers I to III.
    Mp3,
    /// AAC as ADTS.
    Aac,
    /// Ogg.
    Ogg,
    /// ISO base media: MP4, M4A, QuickTime.
    Mp4,
    /// Matroska, WebM.
    Matroska,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Mp3 => "MP3",
            Self::Aac => "AAC",
            Self::Ogg => "Ogg",
            Self::Mp4 => "MP4/M4A",
            Self::Matroska => "Matroska/WebM",
        })
    }
}
