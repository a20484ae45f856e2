//! Every instruction set against the definition in double precision, on recordings and on signals that are hard to get right.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/truth.rs"]
mod truth;

use support::{assert_same_bits, extract, frontend, noise, wav};
use wav_frontend::{Fbank, FrontendOptions, SimdPath, Workspace};

/// Of a log-mel value.
const TOLERANCE: f64 = 2e-4;

fn paths() -> impl Iterator<Item = SimdPath> {
    SimdPath::ALL.into_iter().filter(|path| path.is_available())
}

fn log_mel(path: SimdPath, samples: &[f32]) -> Vec<f32> {
    let fbank = Fbank::new(&FrontendOptions::default()).unwrap();
    let fbank = fbank.with_simd_path(path).unwrap();
    let mut out = vec![f32::NAN; fbank.frames(samples.len()) * 80];
    fbank
        .extract(samples, &mut out, &mut Workspace::new())
        .unwrap();
    out
}

fn check(what: &str, samples: &[f32]) {
    let truth = truth::log_mel(samples);
    for path in paths() {
        let given = log_mel(path, samples);
        assert_eq!(given.len(), truth.len(), "{what}: number of values");
        let mut worst = 0.0f64;
        for (at, (given, truth)) in given.iter().zip(&truth).enumerate() {
            let error = (f64::from(*given) - truth).abs();
            let (frame, bin) = (at / 80, at % 80);
            assert!(
                error <= TOLERANCE,
                "{what}, {path}: frame {frame} bin {bin} is {given}, expected {truth}"
            );
            worst = worst.max(error);
        }
        println!(
            "{what}, {path}: {} values, worst error {worst:.1e}",
            given.len()
        );
    }
}

/// The samples of the demo's recordings, 16-bit at 16 kHz.
fn recordings() -> Vec<(String, Vec<f32>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/recordings");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "wav"))
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let data = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
        let (pairs, _) = bytes[data..].as_chunks::<2>();
        let sample = |pair: &[u8; 2]| f32::from(i16::from_le_bytes(*pair)) / 32_768.0;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, pairs.iter().map(sample).collect())
    };
    files.iter().map(read).collect()
}

#[test]
fn recordings_are_right() {
    let recordings = recordings();
    assert!(recordings.len() > 5, "{} recordings", recordings.len());
    for (name, samples) in recordings {
        check(&name, &samples);
    }
    for name in ["speech_zh", "speech_en", "speech_digits"] {
        check(name, &wav(name));
    }
}

/// At most 4 kHz of the band, as of a telephone: a windowed sine of 127 taps.
fn telephone(samples: &[f32]) -> Vec<f32> {
    let taps: Vec<f64> = (-63i32..=63)
        .map(|i| {
            let x = f64::from(i);
            let sine = if i == 0 {
                0.5
            } else {
                (0.5 * std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
            };
            sine * (0.42
                + 0.5 * (std::f64::consts::PI * x / 64.0).cos()
                + 0.08 * (2.0 * std::f64::consts::PI * x / 64.0).cos())
        })
        .collect();
    let filtered = samples.windows(taps.len()).map(|window| {
        window
            .iter()
            .zip(&taps)
            .map(|(x, tap)| f64::from(*x) * tap)
            .sum::<f64>() as f32
    });
    filtered.collect()
}

#[test]
fn speech_of_any_level_band_and_offset_is_right() {
    for name in ["speech_zh", "speech_en"] {
        let samples = wav(name);
        let peak = samples.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        let changed = |change: fn(f32) -> f32| -> Vec<f32> {
            samples.iter().map(|x| change(x / peak)).collect()
        };
        check(&format!("{name}, loud"), &changed(|x| 0.99 * x));
        check(
            &format!("{name}, too loud"),
            &changed(|x| (20.0 * x).clamp(-1.0, 1.0)),
        );
        check(&format!("{name}, quiet"), &changed(|x| 1e-3 * x));
        check(
            &format!("{name}, a few bits"),
            &changed(|x| (x * 40.0).round() / 32_768.0),
        );
        check(
            &format!("{name} on a constant"),
            &changed(|x| 0.6 * x + 0.3),
        );
        let narrow = telephone(&changed(|x| 0.9 * x));
        check(&format!("{name}, narrow band"), &narrow);
        let coarse: Vec<_> = narrow
            .iter()
            .map(|x| (x * 32_768.0).round() / 32_768.0)
            .collect();
        check(&format!("{name}, narrow band of 16 bits"), &coarse);
    }
}

#[test]
fn signals_are_right() {
    let tone = |hz: f32, level: f32| -> Vec<f32> {
        let phase = move |i: usize| std::f32::consts::TAU * hz * i as f32 / 16_000.0;
        (0..8_000).map(|i| level * phase(i).sin()).collect()
    };
    let mut impulse = vec![0.0; 4_000];
    impulse[1_234] = 1.0;
    let scaled = |seed: u64, level: f32, offset: f32| -> Vec<f32> {
        noise(8_000, seed)
            .iter()
            .map(|x| x * level + offset)
            .collect()
    };
    for (what, samples) in [
        ("constant", vec![0.3; 4_000]),
        ("full scale constant", vec![-1.0; 4_000]),
        ("impulse", impulse),
        ("tone", tone(440.0, 0.9)),
        ("low tone", tone(50.0, 1.0)),
        (
            "tone at Nyquist",
            (0..4_000)
                .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
                .collect(),
        ),
        ("faint tone", tone(1_000.0, 1e-5)),
        ("beyond full scale", tone(300.0, 40.0)),
        (
            "square",
            tone(250.0, 1.0).iter().map(|x| x.signum()).collect(),
        ),
        ("noise", noise(16_000, 3)),
        ("faint noise", scaled(6, 1e-6, 0.0)),
        ("noise on a constant", scaled(7, 0.01, 0.9)),
        ("faint noise on a constant", scaled(8, 1e-5, -0.7)),
    ] {
        check(what, &samples);
    }
}

#[test]
fn every_path_with_fused_operations_gives_the_same_bits() {
    let mut samples = wav("speech_zh");
    // Frames that are computed in double precision too.
    samples.extend(telephone(&wav("speech_en")));
    let fused = paths().filter(|path| *path != SimdPath::Portable);
    let all: Vec<_> = fused.map(|path| (path, log_mel(path, &samples))).collect();
    for pair in all.windows(2) {
        assert_same_bits(
            &format!("{} and {}", pair[0].0, pair[1].0),
            &pair[0].1,
            &pair[1].1,
        );
    }
}

#[test]
fn every_path_agrees_with_the_recorded_features() {
    for path in paths() {
        let frontend = frontend().with_simd_path(path).unwrap();
        for name in [
            "speech_zh",
            "speech_en",
            "speech_digits",
            "dc_offset",
            "noise_1s",
        ] {
            let expected = support::speech(name);
            let given = extract(&frontend, &wav(name));
            support::assert_close(
                &format!("{name}, {path}"),
                &given,
                expected.as_slice().unwrap(),
                1e-3,
            );
        }
    }
}

#[test]
fn frames_of_any_length_are_right_on_every_path() {
    // As rates of 100 Hz and more give them; Portable's is the oracle of the others, and kaldi-native-fbank's its own.
    for (rate, length_ms, bins) in [
        (1_000, 8.0, 3),
        (1_000, 16.0, 4),
        (1_000, 31.0, 6),
        (8_000, 25.0, 20),
        (16_000, 33.3, 80),
        (48_000, 25.0, 80),
    ] {
        let options = FrontendOptions {
            sample_rate: rate,
            frame_length_ms: length_ms,
            num_mel_bins: bins,
            ..FrontendOptions::default()
        };
        let samples = noise(6_000, 21);
        let fbank = Fbank::new(&options).unwrap();
        let all: Vec<Vec<f32>> = paths()
            .map(|path| {
                let fbank = fbank.clone().with_simd_path(path).unwrap();
                let mut out = vec![f32::NAN; fbank.frames(samples.len()) * bins];
                fbank
                    .extract(&samples, &mut out, &mut Workspace::new())
                    .unwrap();
                out
            })
            .collect();
        for other in &all[1..] {
            support::assert_close(&format!("{rate} Hz, {length_ms} ms"), &all[0], other, 2e-4);
        }
    }
}

#[test]
fn a_path_that_the_cpu_has_not_is_refused() {
    for path in SimdPath::ALL
        .into_iter()
        .filter(|path| !path.is_available())
    {
        let error = frontend().with_simd_path(path).unwrap_err();
        let expected = format!("simd path is {path}, expected one that this CPU has");
        assert_eq!(error.to_string(), expected);
    }
    let error = "avx1024".parse::<SimdPath>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "simd path is \"avx1024\", expected one of avx512, avx2, neon, portable"
    );
}
