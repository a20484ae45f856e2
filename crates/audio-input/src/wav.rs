//! WAV: Microsoft's *Multiple Channel Audio Data and WAVE Files*, and RF64 (EBU Tech 3306).
//!
//! Programs that write to a pipe cannot come back to put the sizes in, and leave 0 or the largest number there: then all that follows
//! is audio. A size beyond the file's end means that the file was cut off.

use crate::error::AudioError;
use crate::format::Format;
use crate::samples::Encoding;
use crate::sink::Sink;

/// Bytes decoded at a time, about.
const BLOCK: usize = 1 << 16;
/// Sizes from here on are placeholders: streams of 2 GiB would be hours.
const PLACEHOLDER: usize = 0x7fff_0000;
/// More are a mistake, and `fmt ` has room for 65 535.
const MOST_CHANNELS: u16 = 64;

/// What `fmt ` says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layout {
    encoding: Encoding,
    rate: u32,
    channels: u16,
}

/// Reads a file into `sink`; whether a part of it is missing.
pub(crate) fn read(bytes: &[u8], sink: &mut Sink<'_>) -> Result<bool, AudioError> {
    let (layout, data, cut) = find(bytes)?;
    let channels = usize::from(layout.channels);
    sink.expect(layout.rate, channels)?;
    let frame = layout.encoding.size() * channels;
    let mut samples = Vec::new();
    let whole = &data[..data.len() - data.len() % frame];
    for block in whole.chunks((BLOCK / frame).max(1) * frame) {
        samples.clear();
        layout.encoding.read(block, &mut samples);
        sink.push(&samples)?;
    }
    Ok(cut)
}

/// The layout and the audio, and whether the file ends before it does.
fn find(bytes: &[u8]) -> Result<(Layout, &[u8], bool), AudioError> {
    let broken = |message: &str| AudioError::broken(Format::Wav, message);
    let mut layout = None;
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, size @ ..] = *head;
        let size = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
        let body = &behind[..size.min(behind.len())];
        match &[a, b, c, d] {
            b"fmt " => layout = Some(Layout::read(body)?),
            b"data" => {
                let layout =
                    layout.ok_or_else(|| broken("its audio comes before its format ('fmt ')"))?;
                return Ok(match size {
                    0 if is_closed(bytes) => (layout, body, false),
                    0 | PLACEHOLDER.. => (layout, behind, false),
                    _ => (layout, body, size > behind.len()),
                });
            }
            _ => {}
        }
        // Chunks begin at even places.
        let next = size.saturating_add(size % 2);
        rest = behind.get(next..).unwrap_or_default();
    }
    Err(broken(match layout {
        Some(_) => "it has no audio ('data')",
        None => "it ends within its header",
    }))
}

/// Whether the size in the file's head was filled in when it was complete: then an empty `data` is meant.
fn is_closed(bytes: &[u8]) -> bool {
    let size = bytes.get(4..).and_then(<[u8]>::first_chunk::<4>);
    let stated = size.map_or(0, |size| u64::from(u32::from_le_bytes(*size)) + 8);
    stated.abs_diff(bytes.len() as u64) <= 1
}

impl Layout {
    fn read(fmt: &[u8]) -> Result<Self, AudioError> {
        let broken = |message: String| AudioError::broken(Format::Wav, message);
        let Some((head, extension)) = fmt.split_first_chunk::<16>() else {
            let size = fmt.len();
            return Err(broken(format!(
                "its format ('fmt ') has {size} bytes, expected 16 or more"
            )));
        };
        let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (mut tag, channels, block, bits) = (u16_at(0), u16_at(2), u16_at(12), u16_at(14));
        let rate = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(broken(format!(
                "it has {channels} channels, expected 1 to {MOST_CHANNELS}"
            )));
        }
        // WAVE_FORMAT_EXTENSIBLE: the tag is the first two bytes of an identifier.
        if tag == 0xfffe
            && let Some(&[first, second]) = extension.get(8..10).and_then(<[u8]>::first_chunk)
        {
            tag = u16::from_le_bytes([first, second]);
        }
        // Samples of 12 or 20 bits stand at the upper end of whole bytes; where there are more bytes than they need, the block says.
        let bytes = if block > 0 && block % channels == 0 {
            block / channels
        } else {
            bits.div_ceil(8)
        };
        let encoding = match (tag, bytes) {
            (1, 1) => Encoding::U8,
            (1, 2) => Encoding::I16,
            (1, 3) => Encoding::I24,
            (1, 4) => Encoding::I32,
            (3, 4) => Encoding::F32,
            (3, 8) => Encoding::F64,
            (6, 1) => Encoding::ALaw,
            (7, 1) => Encoding::MuLaw,
            (1 | 3 | 6 | 7, _) => {
                return Err(broken(format!(
                    "its samples have {bytes} bytes ({bits} bits) in format {tag}"
                )));
            }
            _ => {
                let what = codec(tag).map_or_else(|| format!("format {tag:#06x}"), str::to_owned);
                let what = format!("WAV with {what}");
                return Err(AudioError::Unsupported { what });
            }
        };
        Ok(Self {
            encoding,
            rate,
            channels,
        })
    }
}

/// What the tags of other codecs stand for.
fn codec(tag: u16) -> Option<&'static str> {
    Some(match tag {
        2 => "Microsoft ADPCM",
        0x11 => "IMA ADPCM",
        0x31 => "GSM 6.10",
        0x40 | 0x45 | 0x64 => "G.726 ADPCM",
        0x50 => "MPEG audio",
        0x55 => "MP3",
        0x160..=0x163 => "WMA",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
