//! What is asked: a recording, and a stream's chunks.

use crate::cases::{CHUNK, RATE};
use crate::speech;

/// The model for recordings, and the one for streams.
pub(super) const RECORDINGS: &str = "sensevoice";
pub(super) const STREAMS: &str = "streaming_paraformer";
/// How much audio a recording has, and how much a stream repeats.
pub(super) const RECORDING_SECONDS: usize = 4;
const STREAM_SECONDS: usize = 12;

/// What is asked.
pub(super) struct Speech {
    /// A recording as a file.
    pub(super) file: Vec<u8>,
    /// Samples of 16 bits at 16 kHz, little-endian, by chunks of 600 ms.
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Speech {
    pub(super) fn of(recordings: &[Vec<f32>]) -> Self {
        let bytes = |seconds| -> Vec<u8> {
            let samples = speech::of_seconds(recordings, seconds);
            let whole = samples
                .iter()
                .map(|sample| (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16);
            whole.flat_map(i16::to_le_bytes).collect()
        };
        let chunks = bytes(STREAM_SECONDS);
        let chunks = chunks.chunks_exact(2 * CHUNK);
        Self {
            file: wav(&bytes(RECORDING_SECONDS)),
            chunks: chunks.map(<[u8]>::to_vec).collect(),
        }
    }
}

/// A WAV file of samples of 16 bits.
fn wav(samples: &[u8]) -> Vec<u8> {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut file = Vec::with_capacity(44 + samples.len());
    file.extend(b"RIFF");
    file.extend(size(36 + samples.len()));
    file.extend(b"WAVEfmt ");
    file.extend(size(16));
    // PCM, one channel.
    file.extend([1, 0, 1, 0]);
    file.extend(size(RATE));
    file.extend(size(2 * RATE));
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(size(samples.len()));
    file.extend(samples);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_a_file_and_chunks() {
        let speech = Speech::of(&[vec![0.5; RATE], vec![-1.0; RATE]]);
        assert_eq!(speech.file.len(), 44 + 2 * RECORDING_SECONDS * RATE);
        assert_eq!(speech.file[44..46], 16_384_i16.to_le_bytes());
        assert_eq!(speech.chunks.len(), STREAM_SECONDS * 1000 / 600);
        assert!(speech.chunks.iter().all(|chunk| chunk.len() == 19_200));
    }
}
