//! Samples as bytes, and as a file.

/// The header of a WAV file of samples of 16 bits whose number is not known yet.
pub(crate) fn header(rate: u32) -> [u8; 44] {
    const UNKNOWN: [u8; 4] = u32::MAX.to_le_bytes();
    let mut header = [0; 44];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&UNKNOWN);
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    // PCM, one channel.
    put(&1_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&rate.to_le_bytes());
    put(&(rate * 2).to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&UNKNOWN);
    header
}

/// Whether bytes are the beginning of a WAV file: as samples nobody says this.
pub(crate) fn is_file(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")
}

/// Bytes as samples of 16 bits; half a sample waits for its other half.
pub(crate) fn samples(odd: &mut Option<u8>, bytes: &[u8]) -> Vec<i16> {
    let mut bytes = odd.take().into_iter().chain(bytes.iter().copied());
    let mut samples = Vec::new();
    while let Some(low) = bytes.next() {
        match bytes.next() {
            Some(high) => samples.push(i16::from_le_bytes([low, high])),
            None => *odd = Some(low),
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_rate() {
        let header = header(8000);
        assert_eq!(&header[..16], b"RIFF\xff\xff\xff\xffWAVEfmt ");
        assert_eq!(header[24..32], [0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0]);
        assert!(is_file(&header) && !is_file(&header[..11]) && !is_file(b"RIFF\0\0\0\0AVI "));
        assert_eq!(&header[32..], b"\x02\0\x10\0data\xff\xff\xff\xff");
    }

    #[test]
    fn samples_may_be_cut_anywhere() {
        let mut odd = None;
        assert_eq!(samples(&mut odd, &[1]), [0; 0]);
        assert_eq!(samples(&mut odd, &[0, 0xff, 0xff, 2]), [1, -1]);
        assert_eq!(samples(&mut odd, &[1]), [258]);
        assert_eq!(odd, None);
    }
}
