//! Samples as a file.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_rate() {
        let header = header(8000);
        assert_eq!(&header[..16], b"RIFF\xff\xff\xff\xffWAVEfmt ");
        assert_eq!(header[24..32], [0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0]);
        assert_eq!(&header[32..], b"\x02\0\x10\0data\xff\xff\xff\xff");
    }
}
