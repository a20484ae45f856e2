use super::*;

fn options() -> CifOptions {
    CifOptions {
        chunk_size: [0, 4, 0],
        hidden_size: 1,
        ..CifOptions::default()
    }
}

fn stream() -> Cif {
    Cif::new(options()).unwrap()
}

/// Pushes a chunk of frames with the values 1, 2, 3…
fn push(stream: &mut Cif, alphas: &[f32], last: bool) -> (Vec<f32>, Option<DecoderCall>) {
    let hidden: Vec<f32> = (0..alphas.len()).map(|frame| frame as f32 + 1.0).collect();
    let mut embeddings = vec![7.0; 3];
    let call = stream.push(&hidden, alphas, last, &mut embeddings).unwrap();
    (embeddings, call)
}

fn call(tokens: usize, start: bool, end: bool, discard: bool) -> Option<DecoderCall> {
    Some(DecoderCall {
        tokens,
        start,
        end,
        discard,
    })
}

#[test]
fn tokens_fire_at_the_threshold_and_the_rest_is_carried() {
    let mut stream = stream();
    assert_eq!(push(&mut stream, &[0.5, 0.25], false), (vec![], None));
    // 0.5 * 1 + 0.25 * 2 carried, 0.25 * 1 fires it; 0.25 * 1 + 0.75 * 2 fires exactly.
    assert_eq!(
        push(&mut stream, &[0.5, 0.75], false),
        (vec![1.25, 1.75], call(2, true, false, false))
    );
    assert_eq!((stream.alpha, stream.hidden[0]), (0.0, 0.0));
    assert_eq!(push(&mut stream, &[0.0, 0.0], false), (vec![], None));
    assert_eq!(
        push(&mut stream, &[1.0], false),
        (vec![1.0], call(1, false, false, false))
    );
}

#[test]
fn the_last_chunk_fires_what_is_nearly_complete() {
    let mut stream = stream();
    assert_eq!(
        push(&mut stream, &[0.0, 0.5625], true),
        (vec![1.125], call(1, true, true, false))
    );
    assert_eq!(push(&mut stream, &[0.0, 0.5], true), (vec![], None));
    // A new stream owes nothing to the ones before.
    assert_eq!(
        push(&mut stream, &[0.75, 0.5], false),
        (vec![1.25], call(1, true, false, false))
    );
}

#[test]
fn the_end_reaches_the_decoder_even_without_a_token() {
    let mut stream = stream();
    assert_eq!(
        push(&mut stream, &[1.0], false).1,
        call(1, true, false, false)
    );
    assert_eq!(
        push(&mut stream, &[0.25], true),
        (vec![0.0], call(1, false, true, true))
    );
    assert_eq!(push(&mut stream, &[1.0], true).1.unwrap().flags(), 3);
    assert_eq!(push(&mut stream, &[1.0], false).1.unwrap().flags(), 1);
    assert_eq!(push(&mut stream, &[1.0], false).1.unwrap().flags(), 0);
    stream.restart_decoder();
    assert_eq!(push(&mut stream, &[1.0], false).1.unwrap().flags(), 1);
    stream.reset();
    assert_eq!(push(&mut stream, &[], true), (vec![], None));
}

#[test]
fn only_the_chunks_own_frames_count() {
    let mut stream = Cif::new(CifOptions {
        chunk_size: [1, 2, 1],
        ..options()
    })
    .unwrap();
    let mut embeddings = Vec::new();
    stream
        .push(
            &[f32::NAN, 4.0, 6.0, f32::NAN],
            &[f32::NAN, 0.5, 0.5, 9.0],
            false,
            &mut embeddings,
        )
        .unwrap();
    assert_eq!(embeddings, [5.0]);
    // Chunks shorter than the window are what they are.
    assert_eq!(push(&mut stream, &[1.0], false).0, [0.0; 0]);
    assert_eq!(push(&mut stream, &[1.0, 1.0], false).0, [2.0]);
}

#[test]
fn windows_that_say_what_they_consume_are_the_chunks_pushed() {
    let options = CifOptions {
        chunk_size: [2, 3, 1],
        hidden_size: 2,
        ..CifOptions::default()
    };
    let (mut pushed, mut integrated) = (Cif::new(options).unwrap(), Cif::new(options).unwrap());
    let mut noise = 1u32;
    let mut random = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 8) as f32 / (1 << 24) as f32
    };
    let (mut fired, mut fired_by_tails) = (0, 0);
    for step in 0..400 {
        let last = step % 4 == 3;
        let hidden: Vec<f32> = (0..12).map(|_| random() - 0.5).collect();
        let alphas: Vec<f32> = (0..6).map(|_| random() * 0.8).collect();
        let mut expected = Vec::new();
        let call = pushed.push(&hidden, &alphas, last, &mut expected).unwrap();
        if call.is_some_and(|call| call.discard) {
            expected.clear();
        }
        let mut embeddings = Vec::new();
        let mut tokens = integrated
            .integrate(&hidden, &alphas, 2..5, &mut embeddings)
            .unwrap();
        fired += tokens;
        if last {
            let by_tail = integrated.tail(&mut embeddings);
            fired_by_tails += by_tail;
            tokens += by_tail;
        }
        assert_eq!(embeddings, expected, "step {step}");
        assert_eq!(embeddings.len(), 2 * tokens);
        assert_eq!(
            (integrated.alpha, &integrated.hidden),
            (pushed.alpha, &pushed.hidden)
        );
    }
    assert!(fired > 200 && fired_by_tails > 20);
}

#[test]
fn any_part_of_a_window_is_consumed() {
    let mut stream = stream();
    let mut embeddings = vec![7.0];
    let mut integrate = |hidden: &[f32], alphas: &[f32], consume: Range<usize>| {
        stream.integrate(hidden, alphas, consume, &mut embeddings)
    };
    // Windows of any length; none of a window's frames need be consumed, and all can be.
    assert_eq!(integrate(&[], &[], 0..0), Ok(0));
    assert_eq!(integrate(&[1.0, 2.0], &[0.5, f32::NAN], 0..1), Ok(0));
    assert_eq!(integrate(&[1.0, 2.0], &[1.0, 1.0], 1..1), Ok(0));
    assert_eq!(integrate(&[3.0; 25], &[0.5; 25], 0..25), Ok(13));
    for (start, end, message) in [
        (0, 3, "frames 0 to 3 of a window of 2 cannot be consumed"),
        (2, 1, "frames 2 to 1 of a window of 2 cannot be consumed"),
    ] {
        let error = integrate(&[1.0; 2], &[0.5; 2], Range { start, end }).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert!(integrate(&[1.0; 2], &[0.5, f32::NAN], 0..2).is_err());
    // 0.5 * 1 + 0.5 * 3, then twelve times 0.5 * 3 + 0.5 * 3: nothing is left.
    assert_eq!(embeddings[..3], [7.0, 2.0, 3.0]);
    assert_eq!(stream.tail(&mut embeddings), 0);
    assert_eq!(embeddings.len(), 14);
}

#[test]
fn a_tail_without_a_stream_is_none_and_leaves_a_new_one() {
    let mut stream = stream();
    let mut embeddings = Vec::new();
    assert_eq!(stream.tail(&mut embeddings), 0);
    stream
        .integrate(&[4.0], &[0.75], 0..1, &mut embeddings)
        .unwrap();
    assert_eq!(stream.tail(&mut embeddings), 1);
    assert_eq!(embeddings, [3.0]);
    assert_eq!(stream.tail(&mut embeddings), 0);
    assert_eq!(
        (stream.alpha, stream.hidden[0], stream.sum[0]),
        (0.0, 0.0, 0.0)
    );
}

#[test]
fn a_bad_chunk_leaves_the_stream_as_it_was() {
    let mut stream = stream();
    push(&mut stream, &[0.75], false);
    let mut embeddings = Vec::new();
    let error = stream
        .push(&[1.0; 3], &[0.5; 2], false, &mut embeddings)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 alphas call for as many encoder frames of 1 values, but there are 3 values"
    );
    let error = stream
        .push(&[1.0; 2], &[0.5, f32::NAN], false, &mut embeddings)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "alpha of frame 1 of the chunk is not a finite number"
    );
    let error = stream
        .push(&[f32::INFINITY; 2], &[0.5; 2], true, &mut embeddings)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the encoder output of frame 0 of the chunk is not a finite number"
    );
    assert_eq!(
        push(&mut stream, &[0.0, 0.25], false),
        (vec![1.25], call(1, true, false, false))
    );
}

#[test]
fn options_out_of_range_are_errors() {
    let error = |options: CifOptions| Cif::new(options).unwrap_err().to_string();
    for threshold in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(
            error(CifOptions {
                threshold,
                ..options()
            })
            .starts_with("the CIF threshold is ")
        );
    }
    assert_eq!(
        error(CifOptions {
            tail_threshold: -0.5,
            ..options()
        }),
        "the CIF tail threshold is -0.5, expected a number from 0"
    );
    assert!(
        error(CifOptions {
            chunk_size: [5, 0, 5],
            ..options()
        })
        .starts_with("the CIF chunk size is [5, 0, 5]")
    );
    assert!(
        error(CifOptions {
            chunk_size: [usize::MAX, 1, 5],
            ..options()
        })
        .contains("chunk size")
    );
    assert_eq!(
        error(CifOptions {
            hidden_size: 0,
            ..options()
        }),
        "the CIF hidden size is 0"
    );
}

#[test]
fn tokens_know_the_frames_they_fired_in() {
    let options = CifOptions {
        hidden_size: 1,
        ..CifOptions::default()
    };
    let alphas = [0.4, 0.4, 0.3, 0.0, 0.0, 1.0, 0.2, 0.7, 0.4, 0.1, 0.3];
    let hidden = [0.5; 11];
    let whole = |cuts: &[usize]| {
        let mut cif = Cif::new(options).unwrap();
        let mut embeddings = Vec::new();
        let mut frames = Vec::new();
        for pair in cuts.windows(2) {
            let range = pair[0]..pair[1];
            cif.integrate(&hidden, &alphas, range, &mut embeddings)
                .unwrap();
            frames.extend_from_slice(cif.fires());
        }
        let before = cif.fires().len();
        cif.tail(&mut embeddings);
        frames.extend_from_slice(&cif.fires()[before..]);
        assert_eq!(frames.len(), embeddings.len());
        frames
            .iter()
            .map(|frames| (frames.first, frames.last))
            .collect::<Vec<_>>()
    };
    // However the stream is cut into chunks.
    let expected = [(0, 2), (3, 5), (6, 7), (8, 10)];
    assert_eq!(whole(&[0, 11]), expected);
    assert_eq!(whole(&[0, 2, 3, 6, 11]), expected);
    assert_eq!(whole(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), expected);
}

#[test]
fn frames_that_are_lost_are_counted() {
    let options = CifOptions {
        hidden_size: 1,
        ..CifOptions::default()
    };
    let integrate = |cif: &mut Cif| {
        let mut embeddings = Vec::new();
        cif.integrate(&[1.0; 10], &[0.3; 10], 0..10, &mut embeddings)
            .unwrap();
        cif.fires().to_vec()
    };
    let (mut whole, mut lossy) = (Cif::new(options).unwrap(), Cif::new(options).unwrap());
    assert_eq!(integrate(&mut whole), integrate(&mut lossy));
    integrate(&mut whole);
    lossy.skip_to(20);
    let (expected, told) = (integrate(&mut whole), integrate(&mut lossy));
    assert!(told.iter().all(|fire| (20..30).contains(&fire.last)));
    assert!(!expected.is_empty() && !told.is_empty());
    // What was counted already stays counted.
    lossy.skip_to(5);
    assert!(integrate(&mut lossy).iter().all(|fire| fire.last >= 30));
}
