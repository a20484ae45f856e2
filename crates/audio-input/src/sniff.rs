//! What a file is, told from its first bytes: names of files are lost on the way, or wrong.

use crate::error::AudioError;
use crate::format::Format;

/// What people send by mistake, by their first bytes and where those stand.
const REFUSED: &[(usize, &[u8], &str)] = &[
    (0, b"#!AMR", "AMR"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b".snd", "AU"),
    (0, b"RIFX", "big-endian WAV (RIFX)"),
    (8, b"AVI ", "AVI"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MThd", "MIDI"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"%PDF", "a PDF document"),
];

impl Format {
    /// The format of a file that begins with `bytes`.
    ///
    /// # Errors
    /// [`AudioError::Empty`], [`AudioError::Unsupported`] for what is known and not read, [`AudioError::Unknown`].
    pub fn sniff(bytes: &[u8]) -> Result<Self, AudioError> {
        let at = |place: usize, magic: &[u8]| {
            bytes
                .get(place..)
                .is_some_and(|rest| rest.starts_with(magic))
        };
        if bytes.is_empty() {
            return Err(AudioError::Empty);
        }
        let wave = [b"RIFF", b"RF64", b"BW64"]
            .iter()
            .any(|magic| at(0, *magic));
        if wave && at(8, b"WAVE") {
            return Ok(Self::Wav);
        }
        if let Some((_, _, what)) = REFUSED.iter().find(|(place, magic, _)| at(*place, magic)) {
            let what = (*what).to_owned();
            return Err(AudioError::Unsupported { what });
        }
        if at(0, b"fLaC") {
            return Ok(Self::Flac);
        }
        if at(0, b"OggS") {
            return Ok(Self::Ogg);
        }
        if at(0, b"\x1a\x45\xdf\xa3") {
            return Ok(Self::Matroska);
        }
        if [
            b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof",
        ]
        .iter()
        .any(|magic| at(4, *magic))
        {
            return Ok(Self::Mp4);
        }
        if let Some(behind) = id3_size(bytes) {
            // Nothing but MPEG audio has this tag by right; FLAC and AAC files have it all the same.
            return match bytes.get(behind..) {
                Some(rest @ [_, ..]) if !at(behind, b"ID3") => Self::sniff(rest).or(Ok(Self::Mp3)),
                _ => Ok(Self::Mp3),
            };
        }
        mpeg(bytes).ok_or_else(|| AudioError::Unknown {
            start: excerpt(bytes),
        })
    }
}

/// The size of the ID3v2 tag that a file begins with.
pub(crate) fn id3_size(bytes: &[u8]) -> Option<usize> {
    let &[b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = bytes else {
        return None;
    };
    let size = [a, b, c, d]
        .iter()
        .fold(0_usize, |size, byte| (size << 7) | usize::from(byte & 0x7f));
    let footer = if flags & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

/// MPEG audio, by the first header of a frame: eleven bits set, and then no field that means nothing.
fn mpeg(bytes: &[u8]) -> Option<Format> {
    let &[0xff, second, third, ..] = bytes else {
        return None;
    };
    if second & 0xe0 != 0xe0 {
        return None;
    }
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    if second & 0xf6 == 0xf0 {
        // ADTS: layer 0, and a sampling frequency that exists.
        return ((third >> 2) & 0xf < 13).then_some(Format::Aac);
    }
    let (bit_rate, rate) = (third >> 4, (third >> 2) & 3);
    (version != 1 && layer != 0 && bit_rate != 15 && rate != 3).then_some(Format::Mp3)
}

/// The first bytes for people: as text where they are text.
fn excerpt(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(12)];
    match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(char::is_control) => format!("'{text}'"),
        _ => {
            let digits: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_format() {
        let cases: &[(&[u8], Format)] = &[
            (b"RIFF\0\0\0\0WAVE", Format::Wav),
            (b"RF64\xff\xff\xff\xffWAVE", Format::Wav),
            (b"fLaC\0", Format::Flac),
            (b"OggS\0", Format::Ogg),
            (b"\x1a\x45\xdf\xa3\x01", Format::Matroska),
            (b"\0\0\0\x20ftypM4A ", Format::Mp4),
            (b"\xff\xfb\x90\x64", Format::Mp3),
            (b"\xff\xf1\x50\x80", Format::Aac),
            (b"ID3\x04\0\0\0\0\0\x02xx\xff\xfb\x90\x64", Format::Mp3),
            (b"ID3\x04\0\0\0\0\0\x02xxfLaC", Format::Flac),
            (b"ID3\x04\0\0\0\0\x7f\x7f", Format::Mp3),
        ];
        for (bytes, format) in cases {
            assert_eq!(Format::sniff(bytes), Ok(*format), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        let words = |bytes: &[u8]| Format::sniff(bytes).unwrap_err().to_string();
        assert_eq!(words(b""), "the file is empty (0 bytes)");
        assert!(
            words(b"#!AMR\n\x3c").starts_with("this is AMR, which is not read here; convert it")
        );
        assert!(words(b"RIFF\0\0\0\0AVI LIST").starts_with("this is AVI,"));
        assert!(words(b"\xff\xd8\xff\xe0\0").starts_with("this is a JPEG image,"));
        assert!(
            words(b"{\"audio\": 1}")
                .starts_with("the bytes begin with '{\"audio\": 1}', which no audio format")
        );
        // Raw samples, and headers of MPEG with fields that mean nothing.
        assert!(words(&[0, 0, 1, 0]).starts_with("the bytes begin with 00 00 01 00,"));
        for bytes in [
            [0xff, 0xfb, 0xf0],
            [0xff, 0xfb, 0x9c],
            [0xff, 0xe9, 0x90],
            [0xff, 0x1b, 0x90],
        ] {
            assert!(
                matches!(Format::sniff(&bytes), Err(AudioError::Unknown { .. })),
                "{bytes:?}"
            );
        }
    }
}
