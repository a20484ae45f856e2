//! Telephone's samples of 8 bits: ITU-T G.711, µ-law and A-law, to samples of 16 bits.

/// A sample of µ-law. Its bits are inverted: sign, exponent, mantissa, of a value that has 33 added.
pub(super) fn ulaw(byte: u8) -> i16 {
    const BIAS: i16 = 33 << 2;
    let bits = !byte;
    let exponent = (bits >> 4) & 7;
    let mantissa = i16::from(bits & 15);
    let value = (((mantissa << 3) + BIAS) << exponent) - BIAS;
    if bits & 0x80 == 0 { value } else { -value }
}

/// A sample of A-law. Every other bit is inverted: sign (1 is positive), exponent, mantissa; the least exponent has no leading 1.
pub(super) fn alaw(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let exponent = (bits >> 4) & 7;
    let mantissa = (i16::from(bits & 15) << 4) + 8;
    let value = match exponent {
        0 => mantissa,
        exponent => (mantissa + 0x100) << (exponent - 1),
    };
    if bits & 0x80 == 0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_those_of_the_tables() {
        // Of G.711's tables 1 and 2, scaled to 16 bits: largest, least, and some in between.
        let ulaws = [0x00, 0x80, 0x7f, 0xff, 0x0f, 0x8f, 0x70, 0xf0].map(ulaw);
        assert_eq!(ulaws, [-32124, 32124, 0, 0, -16764, 16764, -120, 120]);
        let alaws = [0x2a, 0xaa, 0x55, 0xd5, 0x25, 0xa5].map(alaw);
        assert_eq!(alaws, [-32256, 32256, -8, 8, -16896, 16896]);
    }
}
