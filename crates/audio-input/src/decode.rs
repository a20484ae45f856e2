//! The one way from bytes to samples.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::AudioError;
use crate::format::Format;
use crate::options::Options;
use crate::sink::{Sink, Taken, Windows};
use crate::{packets, wav};

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// One channel at the wanted rate, normally in [-1, 1]; codecs that lose something may go a little beyond.
    pub samples: Vec<f32>,
    /// What the file is.
    pub format: Format,
    /// The file's sample rate, in Hz.
    pub sample_rate: u32,
    /// The file's channels.
    pub channels: usize,
    /// A part of the audio is missing: the file is cut off, or parts in it could not be decoded.
    pub incomplete: bool,
}

/// Decodes the bytes of a file.
///
/// A file that is cut off or damaged gives what can be read of it, and says so; one of which nothing can be read is an error.
///
/// # Errors
/// See [`AudioError`]; each says in words what is wrong and what to do.
pub fn decode(bytes: &[u8], options: &Options) -> Result<Decoded, AudioError> {
    read(bytes, options, None)
}

/// The same for files whose samples are not to be held all at once: `take` gets them as they are decoded, in windows of `length`, of
/// which the last may be shorter, until it breaks off. What is returned has no samples.
///
/// # Errors
/// As [`decode`], perhaps after some windows; [`AudioError::Stopped`] if `take` broke off. A panic of `take` is not told from one of the
/// decoder.
pub fn decode_windows(
    bytes: &[u8],
    options: &Options,
    length: usize,
    take: &mut dyn FnMut(&[f32]) -> ControlFlow<()>,
) -> Result<Decoded, AudioError> {
    read(bytes, options, Some(Windows { length, take }))
}

fn read<'o>(
    bytes: &[u8],
    options: &'o Options,
    windows: Option<Windows<'o>>,
) -> Result<Decoded, AudioError> {
    let format = Format::sniff(bytes)?;
    let read = || {
        let mut sink = Sink::new(options, format, windows);
        let incomplete = match format {
            Format::Wav => wav::read(bytes, &mut sink)?,
            _ => packets::read(bytes, format, &mut sink)?,
        };
        Ok((sink.finish()?, incomplete))
    };
    // Nothing that a panic could leave half done outlives this.
    let (taken, incomplete) = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(AudioError::broken(format, "its decoder failed")))?;
    let Taken {
        samples,
        count,
        first,
    } = taken;
    match first {
        Some((sample_rate, channels)) if count > 0 => Ok(Decoded {
            samples,
            format,
            sample_rate,
            channels,
            incomplete,
        }),
        _ => Err(AudioError::NoAudio { format }),
    }
}
