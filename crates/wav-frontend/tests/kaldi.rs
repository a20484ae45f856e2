//! Parity with kaldi-native-fbank over options and signals that the recorded arrays do not cover.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::ffi::CString;

use kaldi_fbank_rust_kautism as kaldi;
use support::{assert_close, noise, wav};
use wav_frontend::{Fbank, FrontendOptions, Window, Workspace};

/// Kaldi computes all of it in single precision, whose error shows where a filter has little energy: of one value in a thousand
/// at most.
const TOLERANCE: f32 = 2e-4;
const WORST: f32 = 5e-3;

fn expected(options: &FrontendOptions, window: &str, samples: &[f32]) -> Vec<f32> {
    let window = CString::new(window).unwrap();
    let mut oracle = kaldi::OnlineFbank::new(kaldi::FbankOptions {
        frame_opts: kaldi::FrameExtractionOptions {
            samp_freq: options.sample_rate as f32,
            frame_shift_ms: options.frame_shift_ms as f32,
            frame_length_ms: options.frame_length_ms as f32,
            dither: 0.0,
            preemph_coeff: options.preemphasis,
            window_type: window.as_ptr(),
            ..Default::default()
        },
        mel_opts: kaldi::MelBanksOptions {
            num_bins: options.num_mel_bins as i32,
            low_freq: options.low_freq_hz as f32,
            high_freq: options.high_freq_hz as f32,
            ..Default::default()
        },
        ..Default::default()
    });
    let scaled: Vec<_> = samples.iter().map(|sample| sample * 32_768.0).collect();
    oracle.accept_waveform(options.sample_rate as f32, &scaled);
    oracle.input_finished();
    let frames = 0..oracle.num_ready_frames();
    frames
        .flat_map(|frame| oracle.get_frame(frame).unwrap().to_vec())
        .collect()
}

fn check(what: &str, options: &FrontendOptions, window: &str, samples: &[f32]) {
    let expected = expected(options, window, samples);
    let fbank = Fbank::new(options).unwrap();
    let mut given = vec![f32::NAN; fbank.frames(samples.len()) * fbank.num_mel_bins()];
    fbank
        .extract(samples, &mut given, &mut Workspace::new())
        .unwrap();
    let worst = assert_close(what, &given, &expected, WORST);
    let pairs = given.iter().zip(&expected);
    let far = pairs.filter(|(a, b)| (*a - *b).abs() > TOLERANCE).count();
    println!(
        "{what}: {} values, largest difference {worst:e}, {far} over {TOLERANCE:e}",
        given.len()
    );
    assert!(
        far * 1000 <= given.len(),
        "{what}: {far} of {}",
        given.len()
    );
}

const WINDOWS: [(&str, Window); 5] = [
    ("hamming", Window::Hamming),
    ("hanning", Window::Hanning),
    ("povey", Window::Povey),
    ("rectangular", Window::Rectangular),
    ("blackman", Window::Blackman),
];

#[test]
fn windows_agree() {
    for (name, window) in WINDOWS {
        assert_eq!(Window::from_name(name).unwrap(), window);
        let options = FrontendOptions {
            window,
            ..FrontendOptions::default()
        };
        check(name, &options, name, &wav("speech_zh"));
    }
}

#[test]
fn rates_sizes_and_edges_agree() {
    let default = FrontendOptions::default();
    for (what, options) in [
        (
            "8 kHz",
            FrontendOptions {
                sample_rate: 8_000,
                num_mel_bins: 40,
                ..default.clone()
            },
        ),
        (
            "48 kHz",
            FrontendOptions {
                sample_rate: 48_000,
                ..default.clone()
            },
        ),
        (
            "22.05 kHz",
            FrontendOptions {
                sample_rate: 22_050,
                ..default.clone()
            },
        ),
        (
            "short frames",
            FrontendOptions {
                frame_length_ms: 8.0,
                num_mel_bins: 12,
                ..default.clone()
            },
        ),
        (
            "frames of 16 samples",
            FrontendOptions {
                sample_rate: 1_000,
                frame_length_ms: 16.0,
                num_mel_bins: 3,
                ..default.clone()
            },
        ),
        (
            "frames of 7 samples",
            FrontendOptions {
                sample_rate: 1_000,
                frame_length_ms: 7.0,
                num_mel_bins: 3,
                low_freq_hz: 0.0,
                ..default.clone()
            },
        ),
        (
            "frames apart",
            FrontendOptions {
                frame_shift_ms: 40.0,
                ..default.clone()
            },
        ),
        (
            "23 bins",
            FrontendOptions {
                num_mel_bins: 23,
                ..default.clone()
            },
        ),
        (
            "no preemphasis",
            FrontendOptions {
                preemphasis: 0.0,
                ..default.clone()
            },
        ),
        (
            "band",
            FrontendOptions {
                low_freq_hz: 64.0,
                high_freq_hz: -400.0,
                ..default.clone()
            },
        ),
        (
            "band in Hz",
            FrontendOptions {
                low_freq_hz: 0.0,
                high_freq_hz: 7_600.0,
                ..default
            },
        ),
    ] {
        check(what, &options, "hamming", &noise(20_000, 11));
        check(what, &options, "hamming", &wav("speech_digits"));
    }
}
