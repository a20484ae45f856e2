//! The one way from bytes to samples.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::AudioError;
use crate::format::Format;
use crate::options::Options;
use crate::sink::{Sink, Take, Taken, Windows};
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
    let (format, mut rows) = read(bytes, options, Take::One(options.channel), None)?;
    rows.pop().ok_or(AudioError::NoAudio { format })
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
    let windows = Some(Windows { length, take });
    let (format, mut rows) = read(bytes, options, Take::One(options.channel), windows)?;
    rows.pop().ok_or(AudioError::NoAudio { format })
}

/// Decodes the bytes of a file to one row for each of its channels, all of the same length, whatever `options` say of channels.
///
/// [`Options::max_seconds`] is the most of each row, and `most_channels` the most rows there may be.
///
/// # Errors
/// As [`decode`]; and [`AudioError::TooManyChannels`].
pub fn decode_each(
    bytes: &[u8],
    options: &Options,
    most_channels: usize,
) -> Result<Vec<Decoded>, AudioError> {
    let (_, rows) = read(bytes, options, Take::Each(most_channels), None)?;
    Ok(rows)
}

/// What a file is, and its rows: at least one. With `windows` there is one alone, which they get.
fn read<'o>(
    bytes: &[u8],
    options: &'o Options,
    take: Take,
    windows: Option<Windows<'o>>,
) -> Result<(Format, Vec<Decoded>), AudioError> {
    let format = Format::sniff(bytes)?;
    let read = || {
        let mut sink = Sink::new(options, take, format, windows);
        let incomplete = match format {
            Format::Wav => wav::read(bytes, &mut sink)?,
            _ => packets::read(bytes, format, &mut sink)?,
        };
        Ok((sink.finish()?, incomplete))
    };
    // Nothing that a panic could leave half done outlives this.
    let (taken, incomplete) = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(AudioError::broken(format, "its decoder failed")))?;
    let Taken { rows, count, first } = taken;
    match first {
        Some((sample_rate, channels)) if count > 0 => {
            let decoded = |samples| Decoded {
                samples,
                format,
                sample_rate,
                channels,
                incomplete,
            };
            Ok((format, rows.into_iter().map(decoded).collect()))
        }
        _ => Err(AudioError::NoAudio { format }),
    }
}
