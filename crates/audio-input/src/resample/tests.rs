use std::f64::consts::PI;

use proptest::prelude::*;

use super::*;

/// A second or less of a tone at half of full scale.
fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|index| (0.5 * (2.0 * PI * hertz * index as f64 / f64::from(rate)).sin()) as f32)
        .collect()
}

/// The loudness of `samples` against the tones above, in dB.
fn level(samples: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for sample in samples {
        sum += sample * sample;
        count += 1.0;
    }
    10.0 * (sum / count / 0.125).log10()
}

/// What is left of the middle half of a resampled tone when the tone that it should be is taken away, in dB.
fn error(from: u32, to: u32, hertz: f64) -> f64 {
    let out = resample(&tone(from, hertz, from as usize / 2), from, to).unwrap();
    let expected = tone(to, hertz, out.len());
    let quarter = out.len() / 4;
    let pairs = out.iter().zip(&expected).skip(quarter).take(2 * quarter);
    level(pairs.map(|(out, expected)| f64::from(*out) - f64::from(*expected)))
}

/// How loud what is left of a tone is, in dB.
fn rest(from: u32, to: u32, hertz: f64) -> f64 {
    let out = resample(&tone(from, hertz, from as usize / 2), from, to).unwrap();
    let quarter = out.len() / 4;
    level(
        out.iter()
            .skip(quarter)
            .take(2 * quarter)
            .map(|sample| f64::from(*sample)),
    )
}

/// The usual rates, and two that have more places than rows.
const RATES: [u32; 12] = [
    8000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 44_056, 48_000, 96_000, 176_400, 191_999,
];

#[test]
fn what_the_flat_band_holds_stays_as_it_is() {
    for from in RATES {
        let flat = f64::from(from.min(16_000)) / 2.0 * 0.9125;
        for part in [0.01, 0.3, 0.7, 0.99] {
            let error = error(from, 16_000, flat * part);
            assert!(
                error < -95.0,
                "{part} of {flat} Hz from {from} Hz: {error:.1} dB"
            );
        }
    }
}

#[test]
fn nothing_folds_back() {
    for from in RATES.into_iter().filter(|&from| from > 16_000) {
        let most = f64::from(from) / 2.0;
        for hertz in [8000.0, 8100.0, 9000.0, 10_000.0, 11_900.0, 0.999 * most] {
            if hertz < most {
                let rest = rest(from, 16_000, hertz);
                assert!(rest < -95.0, "{hertz} Hz from {from} Hz: {rest:.1} dB");
            }
        }
    }
}

#[test]
fn other_targets_are_as_good() {
    for (from, to) in [
        (16_000, 8000),
        (16_000, 48_000),
        (44_100, 48_000),
        (48_000, 22_050),
    ] {
        let nyquist = f64::from(from.min(to)) / 2.0;
        let error = error(from, to, nyquist * 0.9);
        assert!(error < -95.0, "{from} to {to} Hz: {error:.1} dB");
        if from > to {
            let rest = rest(from, to, nyquist * 1.01);
            assert!(rest < -95.0, "{from} to {to} Hz: {rest:.1} dB");
        }
    }
}

#[test]
fn a_constant_stays_one_and_the_ends_are_silence() {
    let out = resample(&vec![1.0; 44_100], 44_100, 16_000).unwrap();
    assert_eq!(out.len(), 16_000);
    for sample in &out[1000..15_000] {
        assert!((sample - 1.0).abs() < 1e-5, "{sample}");
    }
    // A step from silence to 1 between two samples is half way up, give or take the half sample.
    assert!((0.4..0.8).contains(&out[0]), "{}", out[0]);
}

#[test]
fn lengths_are_what_is_said() {
    for from in RATES {
        for samples in [0, 1, 2, 3, 100, 4410, 12_345] {
            let out = resample(&vec![0.1; samples], from, 16_000).unwrap();
            let expected = (samples * 16_000).div_ceil(from as usize);
            assert_eq!(out.len(), expected, "{samples} of {from} Hz");
        }
    }
}

#[test]
fn the_same_rate_changes_nothing() {
    let samples = tone(16_000, 440.0, 1000);
    assert_eq!(resample(&samples, 16_000, 16_000).unwrap(), samples);
}

#[test]
fn impossible_rates_are_named() {
    for rate in [0, 1, 7999, 192_001, u32::MAX] {
        assert_eq!(
            Resampler::new(rate, 16_000).unwrap_err(),
            AudioError::Rate { rate }
        );
        assert_eq!(
            Resampler::new(16_000, rate).unwrap_err(),
            AudioError::Rate { rate }
        );
    }
    let words = AudioError::Rate { rate: 7999 }.to_string();
    assert_eq!(
        words,
        "a sample rate of 7999 Hz is not possible; it is 8000 to 192000 Hz"
    );
}

#[test]
fn no_more_than_half_a_filter_is_held_back() {
    for (from, most_ms) in [(48_000_u32, 5.0), (8000, 10.0)] {
        let mut resampler = Resampler::new(from, 16_000).unwrap();
        let mut out = Vec::new();
        resampler.push(&tone(from, 300.0, from as usize), &mut out);
        let held_ms = (16_000 - out.len()) as f64 / 16.0;
        assert!(held_ms < most_ms, "{held_ms} ms from {from} Hz");
        assert!(resampler.delay() as f64 / f64::from(from) * 1000.0 < most_ms);
        resampler.finish(&mut out);
        assert_eq!(out.len(), 16_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn chunks_are_the_whole_bit_for_bit(
        from in prop_oneof![
            Just(8000), Just(24_000), Just(44_100), Just(48_000), Just(96_000), Just(191_999), 8000_u32..=192_000,
        ],
        sizes in prop::collection::vec(0_usize..6000, 1..12),
        seed in any::<u32>(),
    ) {
        let mut state = seed;
        let mut sample = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let chunks: Vec<Vec<f32>> =
            sizes.iter().map(|&size| (0..size).map(|_| sample()).collect()).collect();
        let whole = resample(&chunks.concat(), from, 16_000).unwrap();
        let mut resampler = Resampler::new(from, 16_000).unwrap();
        // Twice: what comes after the end begins anew.
        for _ in 0..2 {
            let mut out = Vec::new();
            for chunk in &chunks {
                resampler.push(chunk, &mut out);
            }
            resampler.finish(&mut out);
            let bits = |samples: &[f32]| samples.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&out), bits(&whole));
        }
    }
}
