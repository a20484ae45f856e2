//! Real files of every format: a recording of the demo, encoded by ffmpeg (tests/data/make.sh), is the recording again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use audio_input::{
    AudioError, Channel, Decoded, Format, Options, decode, decode_each, decode_windows,
};

const RATE: u32 = 16_000;

/// A file: its format, rate and channels, how many samples it may have more than the recording, and how much it may lie behind it.
struct Case {
    file: &'static str,
    format: Format,
    rate: u32,
    channels: usize,
    more: usize,
    behind: usize,
    /// How alike it is: the correlation with the recording.
    alike: f64,
}

const fn case(
    file: &'static str,
    format: Format,
    (rate, channels): (u32, usize),
    (more, behind): (usize, usize),
    alike: f64,
) -> Case {
    Case {
        file,
        format,
        rate,
        channels,
        more,
        behind,
        alike,
    }
}

/// AAC begins with 1024 samples that are silence, which need be no whole number of ours, and pads the last frame; what says so in MP4 is
/// not read.
const CASES: &[Case] = &[
    case("08_en.flac", Format::Flac, (44_100, 2), (0, 0), 0.9999),
    case("08_en.mp3", Format::Mp3, (44_100, 1), (420, 1), 0.99),
    case("08_en.aac", Format::Aac, (44_100, 1), (1200, 800), 0.95),
    case("08_en.m4a", Format::Mp4, (48_000, 1), (1200, 800), 0.95),
    case("08_en.mp4", Format::Mp4, (44_100, 2), (1200, 800), 0.95),
    case("08_en_alac.m4a", Format::Mp4, (16_000, 1), (0, 0), 0.9999),
    case("08_en.ogg", Format::Ogg, (44_100, 1), (0, 0), 0.98),
    case("08_en.mka", Format::Matroska, (44_100, 1), (420, 1), 0.98),
    case("08_en.opus", Format::Ogg, (48_000, 1), (0, 1), 0.97),
    case("08_en_low.opus", Format::Ogg, (48_000, 1), (0, 1), 0.88),
    case("08_en.webm", Format::Matroska, (48_000, 1), (420, 1), 0.97),
    case(
        "08_en_live.webm",
        Format::Matroska,
        (48_000, 1),
        (420, 1),
        0.97,
    ),
    case(
        "08_en_stereo.webm",
        Format::Matroska,
        (48_000, 2),
        (420, 1),
        0.97,
    ),
];

fn bytes(file: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    fs::read(directory.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn recording() -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/recordings/08_en.wav");
    read(&fs::read(path).unwrap()).unwrap().samples
}

fn read(bytes: &[u8]) -> Result<Decoded, AudioError> {
    decode(bytes, &Options::new(RATE))
}

/// The correlation of the recording with what lies `behind` samples behind in another.
fn correlation(recording: &[f32], other: &[f32], behind: usize) -> f64 {
    let pairs = recording.iter().zip(other.iter().skip(behind));
    let (mut both, mut one, mut two) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (f64::from(*a), f64::from(*b));
        both += a * b;
        one += a * a;
        two += b * b;
    }
    both / (one * two).sqrt()
}

#[test]
fn windows_are_the_whole_in_pieces() {
    for case in CASES {
        let bytes = bytes(case.file);
        let whole = read(&bytes).unwrap();
        let mut windows: Vec<Vec<f32>> = Vec::new();
        let mut take = |window: &[f32]| {
            windows.push(window.to_vec());
            ControlFlow::Continue(())
        };
        let options = Options::new(RATE);
        let told = decode_windows(&bytes, &options, 3000, &mut take).unwrap();
        let (last, others) = windows.split_last().unwrap();
        assert!(others.len() > 3 && others.iter().all(|window| window.len() == 3000));
        assert!((1..=3000).contains(&last.len()));
        assert!(windows.concat() == whole.samples, "{}", case.file);
        let mut expected = whole;
        expected.samples.clear();
        assert_eq!(told, expected);
    }
}

#[test]
fn nobody_is_given_more_windows_than_wanted() {
    for case in CASES {
        let mut count = 0;
        let mut take = |_: &[f32]| {
            count += 1;
            match count {
                2 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let outcome = decode_windows(&bytes(case.file), &Options::new(RATE), 5000, &mut take);
        assert_eq!((outcome, count), (Err(AudioError::Stopped), 2));
    }
}

#[test]
fn every_format_is_the_recording_again() {
    let recording = recording();
    for case in CASES {
        let file = case.file;
        let decoded = read(&bytes(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(
            (
                decoded.format,
                decoded.sample_rate,
                decoded.channels,
                decoded.incomplete
            ),
            (case.format, case.rate, case.channels, false),
            "{file}"
        );
        let length = decoded.samples.len();
        assert!(
            (recording.len()..=recording.len() + case.more + 1).contains(&length),
            "{file}: {length} samples for {}",
            recording.len()
        );
        let (alike, behind) = (0..=case.behind + 20)
            .map(|behind| (correlation(&recording, &decoded.samples, behind), behind))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .unwrap();
        assert!(alike > case.alike, "{file}: {alike}");
        assert!(behind <= case.behind, "{file}: {behind} samples behind");
    }
}

#[test]
fn a_channel_of_several_is_the_recording_too() {
    let recording = recording();
    for (file, channel) in [("08_en.flac", 1), ("08_en_stereo.webm", 0)] {
        let options = Options::new(RATE).channel(Channel::Only(channel));
        let decoded = decode(&bytes(file), &options).unwrap();
        assert!(
            correlation(&recording, &decoded.samples, 0) > 0.97,
            "{file}"
        );
    }
    let options = Options::new(RATE).channel(Channel::Only(1));
    let refused = decode(&bytes("08_en.opus"), &options).unwrap_err();
    assert_eq!(
        refused,
        AudioError::NoChannel {
            wanted: 1,
            channels: 1
        }
    );
}

#[test]
fn each_channel_is_a_row_with_what_it_has_alone() {
    for case in CASES {
        let bytes = bytes(case.file);
        let rows = decode_each(&bytes, &Options::new(RATE), 2).unwrap();
        assert_eq!(rows.len(), case.channels, "{}", case.file);
        for (channel, row) in rows.iter().enumerate() {
            let options = Options::new(RATE).channel(Channel::Only(channel));
            assert_eq!(*row, decode(&bytes, &options).unwrap(), "{}", case.file);
        }
    }
    let refused = decode_each(&bytes("08_en_stereo.webm"), &Options::new(RATE), 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the audio has 2 channels; up to 1 are taken each for itself, pick one of them"
    );
}

#[test]
fn too_much_is_refused_in_every_format() {
    for case in CASES {
        let options = Options::new(RATE).max_seconds(0.5);
        let refused = decode(&bytes(case.file), &options).unwrap_err();
        assert_eq!(
            refused,
            AudioError::TooLong { seconds: 0.5 },
            "{}",
            case.file
        );
    }
}

#[test]
fn a_part_of_a_file_is_a_part_of_the_audio_and_says_so() {
    let whole = recording().len();
    for case in CASES {
        let bytes = bytes(case.file);
        let cut = read(&bytes[..bytes.len() * 3 / 4]);
        // The index of these comes behind the audio.
        if matches!(case.file, "08_en.m4a" | "08_en_alac.m4a") {
            let words = cut.unwrap_err().to_string();
            assert_eq!(
                words,
                "this MP4/M4A file cannot be read: it ends before its index ('moov')"
            );
            continue;
        }
        let cut = cut.unwrap_or_else(|error| panic!("{}: {error}", case.file));
        let part = cut.samples.len() as f64 / whole as f64;
        assert!((0.2..0.95).contains(&part), "{}: {part}", case.file);
        // Of what is recorded live nobody knows how long it was to be.
        let silent = case.file == "08_en_live.webm";
        assert_ne!(cut.incomplete, silent, "{}", case.file);
    }
}

#[test]
fn no_beginning_of_a_file_is_too_much_for_its_decoder() {
    for case in CASES {
        let bytes = bytes(case.file);
        for end in (0..bytes.len()).step_by(331) {
            if let Err(error) = read(&bytes[..end]) {
                let words = error.to_string();
                assert!(
                    !words.contains("its decoder failed"),
                    "{} to {end}: {words}",
                    case.file
                );
                assert!(words.len() < 300, "{words}");
            }
        }
    }
}
