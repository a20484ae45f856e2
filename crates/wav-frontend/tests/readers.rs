//! The readers of am.mvn and config.yaml, on good, broken and arbitrary files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use support::{cmvn, data};
use wav_frontend::{Cmvn, CmvnError, Frontend, FrontendOptions, OptionsError, Window, yaml};

fn mvn(shift: &str, scale: &str) -> String {
    format!(
        "<Nnet> \n<Splice> 3 3\n[ 0 ]\n<AddShift> 3 3 \n<LearnRateCoef> 0 [ {shift} ]\n\
         <Rescale> 3 3\n<LearnRateCoef> 0 [ {scale} ]\n</Nnet> \n"
    )
}

fn cmvn_error(text: &str) -> String {
    Cmvn::parse(text).unwrap_err().to_string()
}

#[test]
fn am_mvn_gives_shift_and_scale() {
    let cmvn = Cmvn::parse(&mvn("-8.5 1e-3 +7", "0.25 .5 1")).unwrap();
    assert_eq!(cmvn.shift(), [-8.5, 1e-3, 7.0]);
    assert_eq!(cmvn.scale(), [0.25, 0.5, 1.0]);

    let real = support::cmvn();
    assert_eq!(
        (real.dim(), real.shift()[0], real.scale()[1]),
        (560, -9.207_995, 0.114_286)
    );
}

#[test]
fn am_mvn_may_break_its_lines_anywhere() {
    let usual = mvn("1 2 3", "4 5 6");
    assert_eq!(
        Cmvn::parse(&usual.replace(' ', "\n")).unwrap(),
        Cmvn::parse(&usual).unwrap()
    );
    assert_eq!(
        Cmvn::parse(&usual.replace('\n', "\r\n")).unwrap(),
        Cmvn::parse(&usual).unwrap()
    );
}

#[test]
fn broken_am_mvn_says_what_was_expected() {
    let good = mvn("1 2 3", "4 5 6");
    for (text, message) in [
        (
            String::new(),
            "no <AddShift> section found, expected one <AddShift> and one <Rescale>",
        ),
        (
            good.replace("Rescale", "Scale"),
            "no <Rescale> section found, expected one <AddShift> and one <Rescale>",
        ),
        (
            mvn("1 2", "4 5 6"),
            "line 5: <AddShift>: found \"]\", expected finite number 3 of 3",
        ),
        (
            mvn("1 2 3 4", "4 5 6"),
            "line 5: <AddShift>: found \"4\", expected ] after 3 numbers",
        ),
        (
            mvn("1 2 nan", "4 5 6"),
            "line 5: <AddShift>: found \"nan\", expected finite number 3 of 3",
        ),
        (
            mvn("1 2 3", "4 1e99 6"),
            "line 7: <Rescale>: found \"1e99\", expected finite number 2 of 3",
        ),
        (
            good.replace("<Rescale> 3 3", "<Rescale> 99999999999999999999 3"),
            "line 6: <Rescale>: found \"99999999999999999999\", expected the number of outputs, 1 to 65536",
        ),
        (
            good.replace("<AddShift> 3 3", "<AddShift> 3 4"),
            "line 4: <AddShift>: found \"4\", expected 3 inputs, as outputs",
        ),
        (
            good.replacen("<LearnRateCoef>", "", 1),
            "line 5: <AddShift>: found \"0\", expected <LearnRateCoef>",
        ),
        (
            good[..good.len() - 14].to_owned(),
            "line 7: <Rescale>: found the end of the file, expected finite number 3 of 3",
        ),
        (
            format!("{good}{good}"),
            "line 12: a second <AddShift> section, expected one",
        ),
        (
            good.replace(
                "<Rescale> 3 3\n<LearnRateCoef> 0 [ 4",
                "<Rescale> 2 2\n<LearnRateCoef> 0 [",
            ),
            "<AddShift> has 3 values and <Rescale> has 2, expected the same number",
        ),
    ] {
        assert_eq!(cmvn_error(&text), message);
    }
}

#[test]
fn unreadable_am_mvn_files_are_named() {
    let missing = Cmvn::read(data("no.mvn")).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("tests/data/no.mvn: No such file"),
        "{missing}"
    );
    let binary = Cmvn::read(data("noise_1s.wav.npy")).unwrap_err();
    assert!(matches!(binary, CmvnError::NotText), "{binary}");
}

/// What a path may lead to that is no file, or none that fits, and what the error says of it.
fn traps(directory: &Path) -> Vec<(PathBuf, &'static str)> {
    let place = |name: &str| directory.join(name);
    let status = Command::new("mkfifo").arg(place("pipe")).status().unwrap();
    assert!(status.success());
    symlink("loop", place("loop")).unwrap();
    File::create(place("large"))
        .and_then(|file| file.set_len(10 << 30))
        .unwrap();
    vec![
        (directory.to_owned(), "it is a directory, expected a file"),
        (place("pipe"), "it is a pipe or a device, expected a file"),
        (
            "/dev/zero".into(),
            "it is a pipe or a device, expected a file",
        ),
        (place("loop"), "symbolic links"),
        (place("large"), "it has more than 4 MB, expected no more"),
        (place("absent"), "No such file"),
    ]
}

#[test]
fn what_is_no_file_or_too_large_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for (path, message) in traps(directory.path()) {
        let error = Cmvn::read(&path).unwrap_err().to_string();
        let path_is_named = error.starts_with(&format!("cannot read {}: ", path.display()));
        assert!(path_is_named && error.contains(message), "{error}");
        let error = yaml::read(&path).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let latin = directory.path().join("latin.yaml");
    std::fs::write(&latin, b"a: \xe9\n").unwrap();
    assert_eq!(
        yaml::read(&latin).unwrap_err().to_string(),
        "not text: the byte at offset 3 is not UTF-8"
    );
    std::fs::write(&latin, "a: é\n").unwrap();
    assert_eq!(yaml::read(&latin).unwrap(), "a: é\n");
}

const CONFIG: &str = "\
# model
encoder: SANMEncoder
encoder_conf:
    output_size: 512
    list: [1, {fs: 2}]
token_list:
- <blank>
- no
? {complex: key}
: value
frontend: WavFrontend
frontend_conf:
    fs: 8000.0
    window: povey
    n_mels: 23
    frame_length: 25.5
    frame_shift: \"12\"
    cmvn_file: null
    nested: {lfr_m: 99, deep: [[1]]}
    ? [no, name]
    : 5
    lfr_m: 5
    lfr_n: 1
    dither: 1.0
specaug: \"unclosed
";

#[test]
fn frontend_conf_is_read_and_unknown_keys_are_not() {
    let expected = FrontendOptions {
        sample_rate: 8_000,
        window: Window::Povey,
        num_mel_bins: 23,
        frame_length_ms: 25.5,
        frame_shift_ms: 12.0,
        lfr_m: 5,
        lfr_n: 1,
        dither: 1.0,
        ..FrontendOptions::default()
    };
    assert_eq!(FrontendOptions::from_yaml(CONFIG).unwrap(), expected);
    for empty in [
        "frontend_conf:",
        "frontend_conf: {}",
        "frontend_conf: null",
        "---\nfrontend_conf: ~",
    ] {
        assert_eq!(
            FrontendOptions::from_yaml(empty).unwrap(),
            FrontendOptions::default()
        );
    }
}

#[test]
fn wrong_values_name_their_key() {
    for (conf, message) in [
        ("fs: 16k", "fs is \"16k\", expected a whole number"),
        ("fs: 0", "fs is 0, expected 100 to 1000000"),
        ("fs: -16000", "fs is \"-16000\", expected a whole number"),
        ("fs: null", "fs is \"null\", expected a whole number"),
        (
            "fs: [16000]",
            "fs is not a scalar, expected one plain value",
        ),
        (
            "window: hann",
            "window is \"hann\", expected one of hamming, hanning, povey, rectangular, blackman",
        ),
        (
            "window: {}",
            "window is not a scalar, expected one plain value",
        ),
        ("n_mels: 2", "n_mels is 2, expected 3 to 4096"),
        (
            "n_mels: 200",
            "n_mels is 200, expected fewer filters: number 2 falls between two FFT bins",
        ),
        (
            "frame_length: .inf",
            "frame_length is \".inf\", expected a number",
        ),
        (
            "frame_length: 1e9",
            "frame_length is 1000000000, expected 0.125 to 4096",
        ),
        (
            "frame_shift: 0",
            "frame_shift is 0, expected 0.0625 to 4096",
        ),
        (
            "frame_shift: -10",
            "frame_shift is -10, expected 0.0625 to 4096",
        ),
        ("lfr_m: 0", "lfr_m is 0, expected 1 to 1024"),
        (
            "lfr_m: 1000",
            "lfr_m is 1000 with 80 mel bins, expected lfr_m x n_mels up to 65536",
        ),
        ("lfr_n: 0", "lfr_n is 0, expected 1 to 1024"),
        ("lfr_n: 6.5", "lfr_n is \"6.5\", expected a whole number"),
        ("dither: nan", "dither is \"nan\", expected a number"),
        ("dither: -1", "dither is -1, expected 0 to 32768"),
    ] {
        let error = FrontendOptions::from_yaml(&format!("frontend_conf: {{{conf}}}")).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let low = FrontendOptions {
        low_freq_hz: 8_000.0,
        ..FrontendOptions::default()
    };
    assert_eq!(
        low.validate().unwrap_err().to_string(),
        "low_freq is 8000, expected 0 to 7999"
    );
    let rate = FrontendOptions {
        sample_rate: 0,
        ..FrontendOptions::default()
    };
    assert!(
        Frontend::new(rate, None)
            .unwrap_err()
            .to_string()
            .starts_with("fs is 0")
    );
    let nan = FrontendOptions {
        frame_shift_ms: f64::NAN,
        ..FrontendOptions::default()
    };
    assert!(
        nan.validate()
            .unwrap_err()
            .to_string()
            .starts_with("frame_shift is NaN")
    );
}

#[test]
fn other_files_than_a_config_are_told_apart() {
    for text in [
        "",
        "- a\n- b\n",
        "frontend: {frontend_conf: {fs: 1}}",
        "plain",
    ] {
        assert_eq!(
            FrontendOptions::from_yaml(text),
            Err(OptionsError::MissingSection {
                section: "frontend_conf".to_owned()
            }),
            "{text:?}"
        );
    }
    let list = FrontendOptions::from_yaml("a: 1\nfrontend_conf: [1, 2]").unwrap_err();
    assert_eq!(
        list,
        OptionsError::SectionNotMapping {
            section: "frontend_conf".to_owned(),
            line: 2
        }
    );
    let broken = FrontendOptions::from_yaml("a: 1\nb: [1, 2\nfrontend_conf: {}\n").unwrap_err();
    assert!(
        matches!(broken, OptionsError::Yaml { line: 3, .. }),
        "{broken}"
    );
}

/// Pieces that an am.mvn or a config.yaml is made of, to be put together in any order.
fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(of), 0..60).prop_map(|pieces| pieces.concat())
}

const MVN_PIECES: &[&str] = &[
    "<AddShift> ",
    "<Rescale> ",
    "<LearnRateCoef> ",
    "0 ",
    "3 ",
    "3 ",
    "[ ",
    "] ",
    "-1e30 ",
    "1e40 ",
    "\n",
    "nan ",
    "99999999999 ",
    "é",
    "<AddShift> 1 1 <LearnRateCoef> 0 [ 1 ]\n",
    "<Rescale> 1 1 <LearnRateCoef> 0 [ 2 ]\n",
];

const YAML_PIECES: &[&str] = &[
    "frontend_conf:",
    "\n",
    "  ",
    " fs: ",
    "16000",
    "{",
    "}",
    "[",
    "]",
    ",",
    "- ",
    "? ",
    ": ",
    "&a ",
    "*a ",
    "!!int ",
    "\"",
    "'",
    "|\n",
    "#",
    "\t",
    "---\n",
    "...\n",
    "n_mels: 80",
    "lfr_m: 7",
    "é",
    "%YAML 1.2\n",
    "<<: *a",
];

proptest! {
    #[test]
    fn any_text_is_an_am_mvn_or_an_error(text in ".*") {
        prop_assert!(Cmvn::parse(&text).is_err());
    }

    #[test]
    fn shuffled_am_mvn_is_read_soundly_or_an_error(text in pieces(MVN_PIECES)) {
        if let Ok(cmvn) = Cmvn::parse(&text) {
            prop_assert_eq!(cmvn.shift().len(), cmvn.dim());
            prop_assert_eq!(cmvn.scale().len(), cmvn.dim());
            prop_assert!(cmvn.shift().iter().chain(cmvn.scale()).all(|value| value.is_finite()));
        }
    }

    #[test]
    fn am_mvn_values_come_back(pairs in prop::collection::vec((-1e6f32..1e6, -1e6f32..1e6), 1..100)) {
        let join = |values: Vec<f32>| values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
        let (shift, scale): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let dim = shift.len();
        let text = format!(
            "<AddShift> {dim} {dim}\n<LearnRateCoef> 0 [ {} ]\n<Rescale> {dim} {dim}\n<LearnRateCoef> 0 [ {} ]",
            join(shift.clone()), join(scale.clone()),
        );
        let cmvn = Cmvn::parse(&text).unwrap();
        prop_assert_eq!(cmvn.shift(), shift);
        prop_assert_eq!(cmvn.scale(), scale);
        let cut = &text[..text.len() - 1];
        prop_assert!(Cmvn::parse(cut).is_err());
    }

    #[test]
    fn any_yaml_is_sound_options_or_an_error(text in pieces(YAML_PIECES)) {
        if let Ok(options) = FrontendOptions::from_yaml(&text) {
            prop_assert!(options.validate().is_ok());
        }
    }

    #[test]
    fn valid_options_make_a_working_front_end(
        fs in 100u32..50_000, length in 0.1f64..60.0, shift in 0.1f64..60.0, bins in 1usize..100,
        m in 1usize..12, n in 1usize..12, samples in 0usize..4_000,
    ) {
        let options = FrontendOptions {
            sample_rate: fs, frame_length_ms: length, frame_shift_ms: shift, num_mel_bins: bins,
            lfr_m: m, lfr_n: n, ..FrontendOptions::default()
        };
        if options.validate().is_ok() {
            let frontend = Frontend::new(options, None).unwrap();
            let features = support::extract(&frontend, &support::noise(samples, 1));
            prop_assert!(features.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn recorded_cmvn_fits_the_default_options() {
    assert!(Frontend::new(FrontendOptions::default(), Some(cmvn())).is_ok());
}

#[test]
fn deep_nesting_is_refused_before_it_costs_memory() {
    let nested = |open: &str, depth: usize, close: &str| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        let text = format!("a:\n  {open}b{close}\nfrontend_conf: {{fs: 8000}}");
        FrontendOptions::from_yaml(&text).map(|options| options.sample_rate)
    };
    for (open, close) in [("[", "]"), ("- ", "")] {
        assert_eq!(nested(open, 100, close), Ok(8_000));
        let error = nested(open, 200, close).unwrap_err().to_string();
        assert!(error.contains("nested too deep"), "{error}");
        assert!(nested(open, 50_000, close).is_err());
    }
}

#[test]
fn long_values_are_cut_in_messages() {
    let long = "x".repeat(10_000);
    for key in ["fs", "window", "frame_length", "dither"] {
        let text = format!("frontend_conf: {{{key}: {long}}}");
        let error = FrontendOptions::from_yaml(&text).unwrap_err().to_string();
        assert!(error.contains(key) && error.len() < 200, "{error}");
    }
}
