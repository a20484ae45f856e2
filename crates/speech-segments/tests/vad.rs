//! Segments and events are those of funasr_onnx's E2EVadModel, for every way of cutting frames into chunks.
#![allow(clippy::unwrap_used)]

mod goldens;

use goldens::{cases, chunks, number, scores, waveform};
use serde_json::Value;
use speech_segments::vad::{
    Detector, Event, Frames, Mode, VadError, VadOptions, decibel, decibels,
};

struct Case {
    options: VadOptions,
    scores: Vec<f32>,
    decibels: Vec<f64>,
    chunks: Vec<usize>,
}

impl Case {
    fn of(case: &Value) -> Self {
        // JSON is YAML.
        let yaml = format!("model_conf: {}", case["options"]);
        let options = VadOptions::from_yaml(&yaml).unwrap();
        let (seed, longest) = (number(case, "seed"), number(case, "longest") as f64);
        let (frames, used) = (
            number(case, "frames") as usize,
            number(case, "used") as usize,
        );
        let mut scores = scores(seed, frames, longest);
        scores.truncate(3 * used);
        let decibels: Vec<f64> = decibels(&options, &waveform(seed, frames, longest)).collect();
        assert_eq!(decibels.len(), used);
        Self {
            options,
            scores,
            decibels,
            chunks: chunks(seed, used, number(case, "most") as f64),
        }
    }

    fn detector(&self, mode: Mode) -> Detector {
        Detector::new(self.options.clone(), mode).unwrap()
    }

    /// What each chunk tells.
    fn events(&self, detector: &mut Detector, chunks: &[usize]) -> Vec<Vec<[i64; 2]>> {
        let mut first = 0;
        let mut told = Vec::new();
        for &size in chunks {
            let end = first + size;
            let frames = Frames {
                scores: &self.scores[3 * first..3 * end],
                classes: 3,
                decibels: &self.decibels[first..end],
            };
            let mut events = Vec::new();
            let last = end == self.decibels.len();
            detector.push(frames, last, &mut events).unwrap();
            told.push(events.into_iter().map(Event::pair).collect());
            first = end;
        }
        told
    }
}

/// What each chunk told; an end before its start, which odd options get from E2EVadModel, is at the start.
fn pairs(answer: &Value) -> Vec<Vec<[i64; 2]>> {
    let mut answer: Vec<Vec<[i64; 2]>> = serde_json::from_value(answer.clone()).unwrap();
    let mut open = 0;
    for [start, end] in answer.iter_mut().flatten() {
        if *start >= 0 {
            open = *start;
        }
        if *end >= 0 {
            *end = open.max(*end);
        }
    }
    answer
}

#[test]
fn answers_are_those_of_e2e_vad_chunk_by_chunk() {
    let mut segments = 0;
    for case in cases("vad.json") {
        let own = Case::of(&case);
        for (mode, key) in [(Mode::Offline, "offline"), (Mode::Streaming, "online")] {
            let mut detector = own.detector(mode);
            let expected = pairs(&case[key]);
            let told = own.events(&mut detector, &own.chunks);
            assert_eq!(told, expected, "{} {key} {}", case["options"], case["seed"]);
            // The end of a stream is the beginning of another one.
            assert_eq!(own.events(&mut detector, &own.chunks), expected);
            segments += expected.iter().map(Vec::len).sum::<usize>();
        }
    }
    assert!(segments > 350, "{segments} segments are no comparison");
}

#[test]
fn chunks_change_nothing_but_when_an_answer_comes() {
    for case in cases("vad.json").iter().step_by(4) {
        let case = Case::of(case);
        let all = case.decibels.len();
        let whole = case
            .events(&mut case.detector(Mode::Offline), &[all])
            .concat();
        let mut unfinished = None;
        for most in [1, 2, 3, 7, 31, 160, all] {
            let sizes = chunks(most as u64, all, most as f64);
            let told = case.events(&mut case.detector(Mode::Offline), &sizes);
            assert_eq!(told.concat(), whole, "chunks of up to {most}");

            // A start and its end are one segment.
            let told = case.events(&mut case.detector(Mode::Streaming), &sizes);
            let mut joined: Vec<[i64; 2]> = Vec::new();
            for [start, end] in told.concat() {
                match (start, joined.last_mut()) {
                    (-1, Some(open)) => {
                        assert_eq!(open[1], -1, "an end without a start");
                        open[1] = end;
                    }
                    _ => joined.push([start, end]),
                }
            }
            // What begins in the very last frame has no end there.
            let open = joined.pop_if(|[_, end]| *end == -1);
            assert_eq!(joined[..], whole[..joined.len()]);
            assert!(whole.len() - joined.len() <= 1);
            assert_eq!(whole.len() > joined.len(), open.is_some());
            assert_eq!(*unfinished.get_or_insert(open), open);
        }
    }
}

#[test]
fn loudness_is_that_of_numpy_to_the_bit() {
    for case in cases("decibels.json") {
        let samples = waveform(
            number(&case, "seed"),
            number(&case, "frames") as usize,
            number(&case, "longest") as f64,
        );
        let loudness: Vec<String> = decibels(&VadOptions::default(), &samples)
            .map(hex)
            .collect();
        let expected: Vec<String> = serde_json::from_value(case["decibels"].clone()).unwrap();
        assert_eq!(loudness, expected);
    }
    assert_eq!(
        hex(decibel(&[1.0, 1.0])),
        hex(10.0 * f64::from(2.000_001_f32).log10())
    );
}

/// As Python writes it.
fn hex(value: f64) -> String {
    let bits = value.abs().to_bits();
    let (exponent, fraction) = ((bits >> 52) as i64 - 1023, bits & ((1 << 52) - 1));
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}0x1.{fraction:013x}p{exponent:+}")
}

fn frames<'a>(scores: &'a [f32], classes: usize, decibels: &'a [f64]) -> Frames<'a> {
    Frames {
        scores,
        classes,
        decibels,
    }
}

#[test]
fn what_is_no_score_is_told_and_changes_nothing() {
    let mut detector = Detector::new(VadOptions::default(), Mode::Streaming).unwrap();
    let mut events = Vec::new();
    let mut push = |scores: &[f32], classes, count, last| {
        let result = detector.push(
            frames(scores, classes, &vec![-20.0; count]),
            last,
            &mut events,
        );
        (result, std::mem::take(&mut events))
    };
    let speech = [0.0, 1.0].repeat(50);
    assert_eq!(push(&speech, 2, 50, false).1.len(), 1);
    for (scores, classes, count, words) in [
        (
            &[0.5, 0.5, 0.5][..],
            2,
            2,
            "3 scores of 2 classes are not 2 frames",
        ),
        (&[], 0, 1, "tells 0 classes apart"),
        (
            &[f32::NAN, 1.0],
            2,
            1,
            "frame 50 is silence with a probability of NaN",
        ),
        (&[2.0, 1.0], 2, 1, "does the model end with a softmax?"),
        (&[-3.0, 1.0], 2, 1, "a probability of -3"),
    ] {
        let (result, events) = push(scores, classes, count, true);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(events.is_empty());
    }
    // Certain silence; the stream went on as if nothing had been.
    let silence = [1.0, 0.0].repeat(100);
    let (result, events) = push(&silence, 2, 100, false);
    assert!(result.is_ok());
    let pairs: Vec<[i64; 2]> = events.into_iter().map(Event::pair).collect();
    assert_eq!(pairs, [[-1, 660]]);
}

#[test]
fn a_stream_that_ends_without_a_frame_has_its_segment_ended() {
    let mut detector = Detector::new(VadOptions::default(), Mode::Streaming).unwrap();
    let mut events = Vec::new();
    let speech = [0.1, 0.9].repeat(60);
    detector
        .push(frames(&speech, 2, &[-20.0; 60]), false, &mut events)
        .unwrap();
    detector
        .push(frames(&[], 2, &[]), true, &mut events)
        .unwrap();
    let pairs: Vec<[i64; 2]> = events.into_iter().map(Event::pair).collect();
    assert_eq!(pairs, [[0, -1], [-1, 600]]);
}

#[test]
fn more_classes_than_the_model_has_are_named() {
    let options = VadOptions {
        sil_pdf_ids: vec![0, 5],
        ..VadOptions::default()
    };
    let mut detector = Detector::new(options, Mode::Offline).unwrap();
    let result = detector.push(frames(&[0.5, 0.5], 2, &[0.0]), true, &mut Vec::new());
    assert_eq!(result, Err(VadError::NoSuchClass { id: 5, classes: 2 }));
}
