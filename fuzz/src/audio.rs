//! What all decoders of audio are asked.

use audio_input::{AudioError, Channel, Decoded, Format, Options};

use crate::{value, within_all};

/// Memory that decoding may take beside the file: the samples allowed, a decoder's tables, a packet of the most channels.
const MEMORY: usize = 32 << 20;
const SECONDS: f64 = 5.0;
/// The most channels that become rows.
const CHANNELS: usize = 8;

/// Lets panics of decoders, which are other people's and caught, be what they are to the project: an error of their file. What of a panic is
/// not caught still ends the run.
pub fn decoders_may_panic() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Decodes a file that is of one of the `formats`.
///
/// # Panics
/// When more samples come out than are allowed, they are no numbers, or memory goes beyond what is said above.
pub fn decode(bytes: &[u8], formats: &[Format]) {
    if !Format::sniff(bytes).is_ok_and(|format| formats.contains(&format)) {
        return;
    }
    for channel in [Channel::Mix, Channel::Only(1)] {
        let options = Options::new(16_000).channel(channel).max_seconds(SECONDS);
        check(bytes, || audio_input::decode(bytes, &options).map(|decoded| vec![decoded]));
    }
    let options = Options::new(16_000).max_seconds(SECONDS);
    check(bytes, || audio_input::decode_each(bytes, &options, CHANNELS));
}

fn check(bytes: &[u8], read: impl Fn() -> Result<Vec<Decoded>, AudioError>) {
    let outcome = within_all(bytes.len() + MEMORY, read);
    if let Err(AudioError::TooLong { seconds }) = outcome {
        assert_eq!(seconds, SECONDS);
    }
    let Some(rows) = value(outcome) else {
        return;
    };
    assert!((1..=CHANNELS).contains(&rows.len()));
    for decoded in &rows {
        assert_eq!(decoded.samples.len(), rows[0].samples.len());
        // Each section of a file, should it have several, may end in a part of a sample.
        assert!(decoded.samples.len() as f64 <= SECONDS * 16_000.0 + 1.0 + bytes.len() as f64);
        assert!(decoded.samples.iter().all(|sample| sample.is_finite()));
        assert!(!decoded.samples.is_empty() && decoded.channels > 0);
    }
}
