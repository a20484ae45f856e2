//! `time-kaldi SECONDS ROUNDS` prints one line per round: the nanoseconds kaldi-native-fbank (C++) takes for the filter bank of
//! that many seconds of audio, every frame copied out. Stacking and normalisation are not in it.
#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use kaldi_fbank_rust_kautism as kaldi;

const SAMPLE_RATE: f32 = 16_000.0;
const BINS: usize = 80;

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let &[seconds, rounds] = numbers.as_slice() else {
        return Err("usage: time-kaldi SECONDS ROUNDS".into());
    };
    let samples: Vec<f32> = (0..seconds * SAMPLE_RATE as usize)
        .map(|i| ((i * i) % 20_011) as f32 - 10_005.0)
        .collect();
    let mut frames = Vec::with_capacity(seconds * 100 * BINS);
    extract(&samples, &mut frames);
    for _ in 0..rounds {
        let start = Instant::now();
        extract(black_box(&samples), &mut frames);
        black_box(&frames);
        println!("{}", start.elapsed().as_nanos());
    }
    Ok(())
}

/// Log-mel frames of 16-bit samples, one after the other.
fn extract(samples: &[f32], frames: &mut Vec<f32>) {
    frames.clear();
    let mut fbank = kaldi::OnlineFbank::new(kaldi::FbankOptions {
        frame_opts: kaldi::FrameExtractionOptions {
            samp_freq: SAMPLE_RATE,
            dither: 0.0,
            window_type: c"hamming".as_ptr(),
            ..Default::default()
        },
        mel_opts: kaldi::MelBanksOptions {
            num_bins: BINS as i32,
            ..Default::default()
        },
        ..Default::default()
    });
    fbank.accept_waveform(SAMPLE_RATE, samples);
    fbank.input_finished();
    for frame in 0..fbank.num_ready_frames() {
        frames.extend(fbank.get_frame(frame).into_iter().flatten());
    }
}
