//! Resampling 10 s of audio, as a whole and as a stream's chunks: `cargo bench -p audio-input`.

use audio_input::resample::{Resampler, resample};
use divan::Bencher;

const RATES: [u32; 6] = [8000, 22_050, 44_100, 48_000, 96_000, 191_999];

fn main() {
    divan::main();
}

fn audio(rate: u32) -> Vec<f32> {
    (0..10 * rate)
        .map(|index| (index as f32 * 0.1).sin())
        .collect()
}

#[divan::bench(args = RATES)]
fn ten_seconds(bencher: Bencher<'_, '_>, rate: u32) {
    let audio = audio(rate);
    bencher.bench(|| resample(&audio, rate, 16_000));
}

#[divan::bench(args = RATES)]
fn ten_seconds_in_chunks_of_600_ms(bencher: Bencher<'_, '_>, rate: u32) {
    let audio = audio(rate);
    bencher.bench(|| {
        let mut resampler = Resampler::new(rate, 16_000)?;
        let mut out = Vec::new();
        for chunk in audio.chunks(rate as usize * 6 / 10) {
            resampler.push(chunk, &mut out);
        }
        resampler.finish(&mut out);
        Ok::<_, audio_input::AudioError>(out)
    });
}
