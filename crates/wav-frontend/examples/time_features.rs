//! Times fbank, LFR and CMVN of speech-like noise on one thread, to be paired with other programs in turns.
//!
//! `time_features SECONDS ROUNDS [PATH]` prints one line per round: the nanoseconds of the features of that many seconds
//! of audio, the code and the buffers being warm. PATH is an instruction set (`avx512`, `avx2`, `neon`, `portable`); the
//! default is the fastest one.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use wav_frontend::{Cmvn, Frontend, FrontendOptions, SimdPath, Workspace};

const SAMPLE_RATE: f64 = 16_000.0;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (seconds, rounds, path) = match args.as_slice() {
        [seconds, rounds] => (seconds, rounds, SimdPath::fastest()),
        [seconds, rounds, path] => (seconds, rounds, path.parse()?),
        _ => return Err("usage: time_features SECONDS ROUNDS [PATH]".into()),
    };
    let samples = speech_like((seconds.parse::<f64>()? * SAMPLE_RATE) as usize);
    let frontend =
        Frontend::new(FrontendOptions::default(), Some(cmvn()?))?.with_simd_path(path)?;
    let mut out = vec![0.0; frontend.output_frames(samples.len()) * frontend.feature_dim()];
    let mut workspace = Workspace::new();
    for _ in 0..3 {
        frontend.extract(&samples, &mut out, &mut workspace)?;
    }
    for _ in 0..rounds.parse()? {
        let start = Instant::now();
        frontend.extract(black_box(&samples), &mut out, &mut workspace)?;
        black_box(&out);
        println!("{}", start.elapsed().as_nanos());
    }
    Ok(())
}

/// Noise under an envelope of four syllables a second, with a hum below it.
fn speech_like(len: usize) -> Vec<f32> {
    let mut state = 1u32;
    let sample = |i: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 8) / f64::from(1 << 24) - 0.5;
        let turns = |hz: f64| (i as f64 * hz / SAMPLE_RATE * std::f64::consts::TAU).sin();
        (0.3 * noise * (0.55 + 0.45 * turns(4.0)) + 0.1 * turns(140.0)) as f32
    };
    (0..len).map(sample).collect()
}

/// A normalisation of ordinary size.
fn cmvn() -> Result<Cmvn, Box<dyn Error>> {
    let section = |value: &str| {
        format!(
            "560 560 <LearnRateCoef> 0 [ {} ]",
            vec![value; 560].join(" ")
        )
    };
    let (shift, scale) = (section("-12.5"), section("0.25"));
    Ok(Cmvn::parse(&format!(
        "<AddShift> {shift} <Rescale> {scale}"
    ))?)
}
