//! Parity with the arrays that the front end to be replaced produced.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{assert_close, extract, frontend, speech, wav};

const TOLERANCE: f32 = 5e-4;

fn check(name: &str) {
    let expected = speech(name);
    let given = extract(&frontend(), &wav(name));
    let worst = assert_close(name, &given, expected.as_slice().unwrap(), TOLERANCE);
    println!("{name}: largest difference {worst:e}");
}

#[test]
fn speech_agrees() {
    check("speech_zh");
    check("speech_en");
    check("speech_digits");
}

#[test]
fn every_tail_of_the_stacking_agrees() {
    for frames in 1..=14 {
        let name = format!("frames_{frames:02}");
        assert_eq!(frontend().fbank().frames(wav(&name).len()), frames);
        check(&name);
    }
}

#[test]
fn silence_noise_clipping_and_dc_agree() {
    for name in [
        "silence_half_s",
        "noise_1s",
        "tone_clipped",
        "dc_offset",
        "int16_full_scale",
    ] {
        check(name);
    }
}
