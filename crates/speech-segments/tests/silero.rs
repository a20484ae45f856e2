//! Segments and events are those of the package silero-vad, for every way of cutting windows into chunks.
#![allow(clippy::unwrap_used)]

mod goldens;

use goldens::{cases, chunks, number, runs, unit};
use serde_json::Value;
use speech_segments::silero::{SileroDetector, SileroOptions};
use speech_segments::vad::{Event, Mode};

struct Case {
    options: SileroOptions,
    probabilities: Vec<f32>,
    samples: usize,
    seed: u64,
}

impl Case {
    fn of(case: &Value) -> Self {
        let default = SileroOptions::default();
        let own = &case["options"];
        let real = |key: &str| own[key].as_f64();
        let ms = |key: &str, default| own[key].as_u64().map_or(default, |ms| ms as u32);
        let (seed, longest) = (number(case, "seed"), case["longest"].as_f64().unwrap());
        let probability = |(window, speech)| {
            let doubt = 0.7 * unit(seed, 3, window);
            (if speech { 1.0 - doubt } else { doubt }) as f32
        };
        let runs = runs(seed, number(case, "windows") as usize, longest);
        Self {
            options: SileroOptions {
                threshold: real("threshold").unwrap_or(default.threshold),
                neg_threshold: real("neg_threshold"),
                min_speech_duration_ms: ms(
                    "min_speech_duration_ms",
                    default.min_speech_duration_ms,
                ),
                min_silence_duration_ms: ms(
                    "min_silence_duration_ms",
                    default.min_silence_duration_ms,
                ),
                speech_pad_ms: ms("speech_pad_ms", default.speech_pad_ms),
                max_speech_duration_s: real("max_speech_duration_s").unwrap_or(f64::INFINITY),
            },
            probabilities: (0..).zip(runs).map(probability).collect(),
            samples: number(case, "samples") as usize,
            seed,
        }
    }

    /// What is told in chunks of so many windows at most, before the end and with it.
    fn events(&self, mode: Mode, most: f64) -> (Vec<Vec<Event>>, Vec<Event>) {
        let mut detector = SileroDetector::new(self.options.clone(), mode).unwrap();
        let mut rest = self.probabilities.as_slice();
        let mut told = Vec::new();
        for size in chunks(self.seed, rest.len(), most) {
            let (chunk, others) = rest.split_at(size);
            let mut events = Vec::new();
            detector.push(chunk, &mut events).unwrap();
            told.push(events);
            rest = others;
        }
        let mut last = Vec::new();
        detector.finish(self.samples, &mut last);
        (told, last)
    }
}

fn pairs(events: &[Event]) -> Vec<[i64; 2]> {
    events.iter().map(|event| event.pair()).collect()
}

fn expected(case: &Value, key: &str) -> Option<Vec<[i64; 2]>> {
    serde_json::from_value(case[key].clone()).ok()
}

#[test]
fn segments_of_recordings() {
    let cases = cases("silero.json");
    let mut count = 0;
    for case in &cases {
        let own = Case::of(case);
        for most in [1.0, 20.0, 1000.0] {
            let (before, segments) = own.events(Mode::Offline, most);
            assert!(before.iter().all(Vec::is_empty));
            assert_eq!(Some(pairs(&segments)), expected(case, "segments"), "{case}");
            count += segments.len();
        }
    }
    assert!(cases.len() == 60 && count == 3 * 244, "{count}");
}

#[test]
fn events_of_streams() {
    let mut streams = 0;
    for case in &cases("silero.json") {
        let Some(mut events) = expected(case, "events") else {
            continue;
        };
        streams += 1;
        let own = Case::of(case);
        let (told, last) = own.events(Mode::Streaming, 1.0);
        assert_eq!(pairs(&told.concat()), events, "{case}");
        // What the package leaves open ends with the stream.
        let open = events.last().is_some_and(|event| event[1] == -1);
        let end = own.samples as i64 * 1000 / 16_000;
        let ends = if open { vec![[-1, end]] } else { Vec::new() };
        assert_eq!(pairs(&last), ends, "{case}");
        events.extend(ends);
        let (told, last) = own.events(Mode::Streaming, 40.0);
        for chunk in &told {
            let whole = |event: &Event| event.start_ms.is_some() && event.end_ms.is_some();
            let split = chunk
                .windows(2)
                .any(|pair| pair[0].end_ms.is_none() && pair[1].start_ms.is_none());
            assert!(!split, "a segment of one chunk is one event: {chunk:?}");
            assert!(chunk.iter().skip(1).rev().skip(1).all(whole), "{chunk:?}");
        }
        let apart = |event: [i64; 2]| match event {
            [start, -1] => vec![[start, -1]],
            [-1, end] => vec![[-1, end]],
            [start, end] => vec![[start, -1], [-1, end]],
        };
        let told = pairs(&[told.concat(), last].concat());
        let told: Vec<_> = told.into_iter().flat_map(apart).collect();
        assert_eq!(told, events, "{case}");
    }
    assert!(streams > 20, "{streams}");
}

#[test]
fn what_is_no_probability_is_refused() {
    let mut detector = SileroDetector::new(SileroOptions::default(), Mode::Streaming).unwrap();
    let mut events = Vec::new();
    for wrong in [f32::NAN, -0.5, 1.5] {
        let error = detector.push(&[0.9, wrong], &mut events).unwrap_err();
        assert!(
            error.to_string().starts_with("window 1 of a call"),
            "{error}"
        );
    }
    assert_eq!(events, [], "nothing was taken");
    detector.push(&[0.9], &mut events).unwrap();
    assert_eq!(pairs(&events), [[0, -1]]);
}
