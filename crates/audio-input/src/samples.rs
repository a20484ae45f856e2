//! Samples as files have them to `f32` in [-1, 1).
//!
//! µ-law and A-law are ITU-T G.711's, at the level of 16-bit PCM: their largest values are 32124 and 32256 of 32768.

/// How samples are written down. More than one byte are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 8 bits, unsigned: 128 is zero.
    U8,
    /// 16 bits.
    I16,
    /// 24 bits.
    I24,
    /// 32 bits.
    I32,
    /// 32 bits, floating.
    F32,
    /// 64 bits, floating.
    F64,
    /// G.711 µ-law, 8 bits.
    MuLaw,
    /// G.711 A-law, 8 bits.
    ALaw,
}

/// All of them, as ffmpeg calls them.
const NAMED: [(&str, Encoding); 8] = [
    ("s16le", Encoding::I16),
    ("s24le", Encoding::I24),
    ("s32le", Encoding::I32),
    ("f32le", Encoding::F32),
    ("f64le", Encoding::F64),
    ("u8", Encoding::U8),
    ("mulaw", Encoding::MuLaw),
    ("alaw", Encoding::ALaw),
];

impl Encoding {
    /// The encoding that ffmpeg calls so: s16le, s24le, s32le, f32le, f64le, u8, mulaw or alaw.
    ///
    /// ```
    /// assert_eq!(audio_input::Encoding::named("s16le"), Some(audio_input::Encoding::I16));
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = NAMED.iter().find(|(known, _)| *known == name);
        known.map(|&(_, encoding)| encoding)
    }

    /// Bytes of a sample.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::MuLaw | Self::ALaw => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Appends the samples that `bytes` hold; what is left of them at the end, less than a sample, is none.
    pub fn read(self, bytes: &[u8], samples: &mut Vec<f32>) {
        match self {
            Self::U8 => samples.extend(bytes.iter().map(|&byte| (f32::from(byte) - 128.0) / 128.0)),
            Self::I16 => each(bytes, samples, |bytes| from_i16(i16::from_le_bytes(bytes))),
            Self::I24 => each(bytes, samples, |[a, b, c]| {
                (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0
            }),
            Self::I32 => each(bytes, samples, |bytes| {
                (f64::from(i32::from_le_bytes(bytes)) / 2_147_483_648.0) as f32
            }),
            Self::F32 => each(bytes, samples, f32::from_le_bytes),
            Self::F64 => each(bytes, samples, |bytes| f64::from_le_bytes(bytes) as f32),
            Self::MuLaw => samples.extend(bytes.iter().map(|&byte| from_i16(mu_law(byte)))),
            Self::ALaw => samples.extend(bytes.iter().map(|&byte| from_i16(a_law(byte)))),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], samples: &mut Vec<f32>, read: impl Fn([u8; N]) -> f32) {
    let (whole, _) = bytes.as_chunks::<N>();
    samples.extend(whole.iter().map(|&bytes| read(bytes)));
}

/// A 16-bit sample as a float: a 32768th of it, which an `f32` has exactly.
///
/// ```
/// assert_eq!(audio_input::from_i16(i16::MIN), -1.0);
/// assert_eq!(audio_input::from_i16(1), 1.0 / 32768.0);
/// ```
#[must_use]
pub fn from_i16(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

/// G.711 µ-law, 14 bits, at the level of 16.
fn mu_law(code: u8) -> i16 {
    let code = !code;
    let (segment, step) = ((code >> 4) & 7, i16::from(code & 0xf));
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// G.711 A-law, 13 bits, at the level of 16.
fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, i16::from(code & 0xf));
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: Encoding, bytes: &[u8]) -> Vec<f32> {
        let mut samples = Vec::new();
        encoding.read(bytes, &mut samples);
        samples
    }

    #[test]
    fn integers_span_minus_one_to_one() {
        assert_eq!(
            read(Encoding::U8, &[0, 128, 255]),
            [-1.0, 0.0, 127.0 / 128.0]
        );
        let i16s: Vec<u8> = [i16::MIN, -1, 0, 1, i16::MAX]
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        assert_eq!(
            read(Encoding::I16, &i16s),
            [-1.0, -1.0 / 32768.0, 0.0, 1.0 / 32768.0, 32767.0 / 32768.0]
        );
        assert_eq!(
            read(Encoding::I24, &[0, 0, 0x80, 0xff, 0xff, 0xff, 0, 0, 0x40]),
            [-1.0, -1.0 / 8_388_608.0, 0.5]
        );
        assert_eq!(
            read(Encoding::I32, &[0, 0, 0, 0x80, 0, 0, 0, 0x40]),
            [-1.0, 0.5]
        );
    }

    #[test]
    fn encodings_are_known_by_name() {
        for (name, encoding) in NAMED {
            assert_eq!(Encoding::named(name), Some(encoding));
        }
        assert_eq!(Encoding::named("S16LE"), None);
    }

    #[test]
    fn floats_are_as_they_are_and_a_part_of_one_is_none() {
        assert_eq!(read(Encoding::F32, &[0, 0, 0xc0, 0x3f, 1, 2]), [1.5]);
        assert_eq!(read(Encoding::F64, &(-0.25_f64).to_le_bytes()), [-0.25]);
    }

    #[test]
    fn g711_has_the_values_of_its_tables() {
        // The ends and the middle of tables 1 and 2 of G.711, times 4 and 8.
        let mu: Vec<i16> = [0x00, 0x0f, 0x10, 0x7f, 0x80, 0x8f, 0xff, 0xfe]
            .map(mu_law)
            .to_vec();
        assert_eq!(mu, [-32124, -16764, -15996, 0, 32124, 16764, 0, 8]);
        let a: Vec<i16> = [0x55, 0xd5, 0x2a, 0xaa, 0x54, 0xd4, 0x7f]
            .map(a_law)
            .to_vec();
        assert_eq!(a, [-8, 8, -32256, 32256, -24, 24, -848]);
    }
}
