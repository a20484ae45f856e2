//! The encoder's windows of streams of every length against a plain reading of the rule.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use wav_frontend::windows::{EncoderWindows, WindowSizes};

const DIM: usize = 3;

/// A window as the numbers of its frames, and of those consumed; -1 and below are before the stream.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    frames: Vec<i64>,
    consumed: Vec<i64>,
    last: bool,
}

/// The windows of a stream of `count` frames with sizes (5, 10, 5): window k covers [10k - 10, 10k + 10) and
/// [10k - 5, 10k + 5) are consumed, as long as its frames exist; then the frames not yet consumed, first 10 of them if
/// they are more, then the others, each time behind 5 left frames.
fn rule(count: i64) -> Vec<Plain> {
    let mut windows = Vec::new();
    let mut consumed_to = 0;
    for k in 0.. {
        if 10 * k + 10 > count {
            break;
        }
        consumed_to = 10 * k + 5;
        windows.push(Plain {
            frames: (10 * k - 10..10 * k + 10).collect(),
            consumed: (10 * k - 5..10 * k + 5).collect(),
            last: false,
        });
    }
    let rest = count - consumed_to;
    assert!((0..=14).contains(&rest));
    if rest > 10 {
        windows.push(Plain {
            frames: (consumed_to - 5..count).collect(),
            consumed: (consumed_to..consumed_to + 10).collect(),
            last: false,
        });
        consumed_to += 10;
    }
    if consumed_to < count {
        windows.push(Plain {
            frames: (consumed_to - 5..count).collect(),
            consumed: (consumed_to..count).collect(),
            last: true,
        });
    }
    windows
}

/// Frames that tell their number and are no zeros.
fn numbered(numbers: std::ops::Range<i64>) -> Vec<f32> {
    numbers
        .flat_map(|number| [number as f32 + 1.0, -(number as f32) - 1.0, 0.5])
        .collect()
}

fn values(number: i64) -> Vec<f32> {
    if number < 0 {
        vec![0.0; DIM]
    } else {
        numbered(number..number + 1)
    }
}

/// Takes the next window, and checks what it holds against what it says.
fn pop(windows: &mut EncoderWindows) -> Option<Plain> {
    let ready = windows.ready();
    let Some(window) = windows.pop() else {
        assert_eq!(ready, 0);
        return None;
    };
    let frames: Vec<i64> = (window.first..window.first + window.len as i64).collect();
    assert_eq!(window.frames.len(), window.len * DIM);
    for (number, frame) in frames.iter().zip(window.frames.chunks(DIM)) {
        assert_eq!(frame, values(*number), "frame {number}");
    }
    let plain = Plain {
        consumed: frames[window.consume].to_vec(),
        last: window.last,
        frames,
    };
    assert_eq!(windows.ready(), ready - 1);
    assert_eq!(windows.is_done(), plain.last);
    Some(plain)
}

/// Pushes `count` frames in pieces of `sizes`, taking up to `take` windows after each.
fn run(sizes: WindowSizes, count: i64, pieces: &[i64], take: &[usize]) -> Vec<Plain> {
    let mut windows = EncoderWindows::new(sizes, DIM).unwrap();
    let (mut pieces, mut take) = (pieces.iter().cycle(), take.iter().cycle());
    let (mut pushed, mut taken) = (0, Vec::new());
    while pushed < count {
        let piece = (*pieces.next().unwrap()).min(count - pushed);
        windows.push(&numbered(pushed..pushed + piece)).unwrap();
        pushed += piece;
        for _ in 0..*take.next().unwrap() {
            taken.extend(pop(&mut windows));
        }
    }
    windows.finish();
    windows.finish();
    while let Some(window) = pop(&mut windows) {
        taken.push(window);
    }
    assert!(windows.is_done());
    taken
}

#[test]
fn streams_of_every_length_follow_the_rule() {
    for count in 0..=60 {
        let expected = rule(count);
        for piece in [1, 3, 10, 11, 100] {
            for take in [0, 1, 10] {
                let windows = run(WindowSizes::default(), count, &[piece], &[take]);
                assert_eq!(windows, expected, "{count} frames by {piece}, {take} taken");
            }
        }
    }
}

#[test]
fn every_frame_is_consumed_once_with_all_context_there_is() {
    for count in 0..=60 {
        let windows = run(WindowSizes::default(), count, &[7], &[1]);
        let consumed: Vec<i64> = windows
            .iter()
            .flat_map(|window| window.consumed.clone())
            .filter(|number| *number >= 0)
            .collect();
        assert_eq!(consumed, (0..count).collect::<Vec<_>>());
        for window in &windows {
            let (first, last) = (
                window.consumed[0],
                window.consumed[window.consumed.len() - 1],
            );
            let before = window.frames.iter().filter(|&&number| number < first);
            assert_eq!(before.count(), 5);
            let after = window.frames.iter().filter(|&&number| number > last);
            assert_eq!(after.count() as i64, (count - 1 - last).min(5));
        }
    }
}

#[test]
fn the_first_window_consumes_frames_5_to_15_of_its_20() {
    let mut windows = EncoderWindows::new(WindowSizes::default(), DIM).unwrap();
    windows.push(&numbered(0..9)).unwrap();
    assert_eq!(windows.pop(), None);
    windows.push(&numbered(9..10)).unwrap();
    let window = windows.pop().unwrap();
    assert_eq!(
        (window.first, window.len, window.consume, window.last),
        (-10, 20, 5..15, false)
    );
    assert_eq!(window.frames[..10 * DIM], [0.0; 10 * DIM]);
    assert_eq!(window.frames[10 * DIM..], numbered(0..10));
}

#[test]
fn the_end_by_hand() {
    let ends = |count: i64| -> Vec<(i64, usize, usize, bool)> {
        let mut windows = EncoderWindows::new(WindowSizes::default(), DIM).unwrap();
        windows.push(&numbered(0..count)).unwrap();
        while windows.pop().is_some() {}
        windows.finish();
        std::iter::from_fn(|| {
            let window = windows.pop()?;
            assert_eq!(window.consume.start, 5);
            Some((window.first, window.len, window.consume.end, window.last))
        })
        .collect()
    };
    assert_eq!(ends(0), []);
    assert_eq!(ends(1), [(-5, 6, 6, true)]);
    assert_eq!(ends(9), [(-5, 14, 14, true)]);
    assert_eq!(ends(10), [(0, 10, 10, true)]);
    assert_eq!(ends(15), [(0, 15, 15, true)]);
    assert_eq!(ends(16), [(0, 16, 15, false), (10, 6, 6, true)]);
    assert_eq!(ends(19), [(0, 19, 15, false), (10, 9, 9, true)]);
    assert_eq!(ends(20), [(10, 10, 10, true)]);
}

#[test]
fn a_finished_stream_takes_no_more_until_it_is_reset() {
    let mut windows = EncoderWindows::new(WindowSizes::default(), DIM).unwrap();
    windows.push(&numbered(0..23)).unwrap();
    windows.pop().unwrap();
    assert_eq!(
        windows.push(&[0.0; 4]).unwrap_err().to_string(),
        "the stream's new frames has 4 values, expected 3 (1 frames x 3)"
    );
    windows.finish();
    assert_eq!(
        windows.push(&numbered(0..2)).unwrap_err().to_string(),
        "2 frames were given to a stream that is finished, expected none before it is reset"
    );
    windows.reset();
    let fresh = EncoderWindows::new(WindowSizes::default(), DIM).unwrap();
    assert_eq!(windows, fresh);
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    for (sizes, given) in [([5, 0, 5], "5, 0, 5"), ([5, 10, 1010], "5, 10, 1010")] {
        let error = EncoderWindows::new(WindowSizes::from(sizes), DIM).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "chunk_size is {given}, expected the frames before, within and after a chunk, at least 1 within it and \
                 up to 1024 in all"
            )
        );
    }
    let endless = WindowSizes::from([usize::MAX, 1, usize::MAX]);
    assert!(EncoderWindows::new(endless, DIM).is_err());
    let error = EncoderWindows::new(WindowSizes::default(), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "feature_dim is 0, expected at least one value per frame"
    );
}

proptest! {
    /// For other sizes: windows that are complete cover what the sizes say, every frame is consumed once, in order, with
    /// all the context that is there.
    #[test]
    fn any_sizes_consume_every_frame_once(
        left in 0usize..8,
        centre in 1usize..8,
        right in 0usize..20,
        count in 0i64..80,
        pieces in prop::collection::vec(0i64..30, 1..6),
        take in prop::collection::vec(0usize..4, 1..6),
    ) {
        let sizes = WindowSizes { left, centre, right };
        let pieces: Vec<i64> = pieces.into_iter().chain([4]).collect();
        // Without a right context the last window may be taken before the end is known.
        let take = if right == 0 { vec![0] } else { take };
        let windows = run(sizes, count, &pieces, &take);
        let consumed: Vec<i64> = windows
            .iter()
            .flat_map(|window| window.consumed.clone())
            .filter(|number| *number >= 0)
            .collect();
        prop_assert_eq!(consumed, (0..count).collect::<Vec<_>>());
        for (k, window) in windows.iter().enumerate() {
            let end = (centre * (k + 1)) as i64;
            if end <= count {
                let first = end - (left + centre + right) as i64;
                prop_assert_eq!(&window.frames, &(first..end).collect::<Vec<_>>());
                prop_assert_eq!(window.consumed[0], first + left as i64);
            } else {
                prop_assert_eq!(window.frames[window.frames.len() - 1], count - 1);
                prop_assert_eq!(window.consumed[0], window.frames[0] + left as i64);
                prop_assert!(window.consumed.len() <= centre);
            }
            prop_assert_eq!(window.last, k + 1 == windows.len());
        }
    }
}
