//! Opus packets, with the header that containers keep for them (RFC 7845, section 5.1).

use opus_pure::{Error, MAX_PACKET_SAMPLES, OpusDecoder};

/// Opus counts in this whatever it was made from.
const RATE: i32 = 48_000;
/// The most samples of a packet for each channel: 120 ms.
const MOST: usize = MAX_PACKET_SAMPLES;

/// A decoder of one stream.
pub(crate) struct Opus {
    decoder: OpusDecoder,
    channels: usize,
    /// Samples that still come before the audio begins.
    skip: usize,
    /// What the header wants samples multiplied with.
    gain: f32,
}

impl Opus {
    /// A decoder for packets with this `OpusHead`.
    pub(crate) fn new(head: &[u8]) -> Result<Self, String> {
        let Some((&[.., version, channels, a, b, _, _, _, _, c, d, family], mapping)) =
            head.split_first_chunk::<19>()
        else {
            return Err("its Opus header is missing or cut off".to_owned());
        };
        if !head.starts_with(b"OpusHead") {
            return Err("its Opus header does not begin with 'OpusHead'".to_owned());
        }
        // MP4 keeps the same fields with version 0, the other way round.
        let number = if version == 0 {
            u16::from_be_bytes
        } else {
            u16::from_le_bytes
        };
        let (skip, gain) = (number([a, b]), number([c, d]).cast_signed());
        let channels = usize::from(channels);
        // The families differ in what the channels of several streams are. One stream is the same in all.
        let one_stream = matches!((family, mapping), (0, _) | (_, [1, ..]));
        if !one_stream || !(1..=2).contains(&channels) {
            return Err(format!(
                "its Opus has {channels} channels (mapping family {family}); one or two are read"
            ));
        }
        let decoder = OpusDecoder::new(RATE, channels)
            .map_err(|error| format!("its Opus header cannot be right: {error}"))?;
        Ok(Self {
            decoder,
            channels,
            skip: usize::from(skip),
            // In 1/256 dB.
            gain: 10_f32.powf(f32::from(gain) / (20.0 * 256.0)),
        })
    }

    /// Appends the samples of a packet, without the last `trim` of each channel. Rate and channels.
    pub(crate) fn decode(
        &mut self,
        packet: &[u8],
        trim: u64,
        samples: &mut Vec<f32>,
    ) -> Result<(u32, usize), Error> {
        let before = samples.len();
        // An empty packet would be concealed: made up.
        if !packet.is_empty() {
            samples.resize(before + MOST * self.channels, 0.0);
            let room = &mut samples[before..];
            let decoded = self.decoder.decode(packet, MOST, room);
            let frames = match decoded {
                Ok(frames) => frames.min(MOST),
                Err(error) => {
                    samples.truncate(before);
                    return Err(error);
                }
            };
            let end = frames.saturating_sub(usize::try_from(trim).unwrap_or(usize::MAX));
            let start = self.skip.min(end);
            self.skip -= self.skip.min(frames);
            samples.truncate(before + end * self.channels);
            samples.drain(before..before + start * self.channels);
            if self.gain != 1.0 {
                samples[before..]
                    .iter_mut()
                    .for_each(|sample| *sample *= self.gain);
            }
        }
        Ok((RATE.unsigned_abs(), self.channels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: u8, channels: u8, skip: [u8; 2], gain: [u8; 2], rest: &[u8]) -> Vec<u8> {
        [
            b"OpusHead",
            &[version, channels][..],
            &skip,
            &[0x80, 0xbb, 0, 0],
            &gain,
            rest,
        ]
        .concat()
    }

    #[test]
    fn two_channels_of_one_stream_are_read_in_any_family() {
        assert!(Opus::new(&head(1, 2, [0; 2], [0; 2], &[1, 1, 1, 0, 1])).is_ok());
    }

    #[test]
    fn headers_of_ogg_and_mp4_say_the_same() {
        for (version, skip, gain) in [(1, [0x38, 1], [0, 6]), (0, [1, 0x38], [6, 0])] {
            let opus = Opus::new(&head(version, 2, skip, gain, &[0])).unwrap();
            assert_eq!((opus.channels, opus.skip), (2, 312));
            assert!((opus.gain - 1.995).abs() < 0.001, "{}", opus.gain);
        }
    }

    #[test]
    fn headers_that_cannot_be_right_are_refused() {
        let words = |head: &[u8]| Opus::new(head).err().unwrap();
        assert_eq!(words(b""), "its Opus header is missing or cut off");
        let three = head(1, 3, [0; 2], [0; 2], &[0]);
        assert_eq!(
            words(&three),
            "its Opus has 3 channels (mapping family 0); one or two are read"
        );
        assert!(
            words(&head(1, 6, [0; 2], [0; 2], &[1, 4, 2, 0]))
                .contains("6 channels (mapping family 1)")
        );
        assert!(words(&head(1, 0, [0; 2], [0; 2], &[0])).contains("0 channels"));
        assert!(words(&[b'x'; 19]).contains("does not begin"));
    }

    #[test]
    fn a_packet_of_nothing_is_nothing() {
        let mut opus = Opus::new(&head(1, 1, [0; 2], [0; 2], &[0])).unwrap();
        let mut samples = vec![1.0];
        assert_eq!(opus.decode(&[], 0, &mut samples).unwrap(), (48_000, 1));
        assert_eq!(samples, [1.0]);
    }
}
