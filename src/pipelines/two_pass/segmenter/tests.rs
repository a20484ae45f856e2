use super::*;

const SIZES: Sizes = Sizes {
    rate: 1000,
    max_segment_ms: 20_000,
    lookback_ms: 2000,
};

/// A stream whose samples, one a millisecond, are their numbers, as far as `f32` can tell them apart.
struct Played {
    segmenter: Segmenter,
    now: u64,
}

fn numbered(sample: u64) -> f32 {
    (sample % (1 << 20)) as f32
}

impl Played {
    fn new() -> Self {
        Self {
            segmenter: Segmenter::new(SIZES),
            now: 0,
        }
    }

    fn play(&mut self, samples: u64, events: &[Event], from: u64, end: bool) -> Vec<Piece> {
        let chunk: Vec<f32> = (self.now..self.now + samples).map(numbered).collect();
        self.now += samples;
        self.segmenter.push(&chunk);
        self.segmenter.cut(events, from, end).unwrap()
    }
}

/// A piece's segment, start and end, its first and last sample, and whether it begins.
type Shown = (i64, u64, Option<u64>, [f32; 2], bool);

/// The segment with its first and last sample, or, of one that goes on, what is fresh.
fn shown(piece: &Piece) -> Shown {
    let samples = piece
        .ended
        .as_ref()
        .map_or(&piece.fresh, |own| &own.samples);
    let ends = [samples[0], samples[samples.len() - 1]];
    let end_ms = piece.ended.as_ref().map(|own| own.end_ms);
    (piece.id, piece.start_ms, end_ms, ends, piece.begins)
}

fn all(pieces: &[Piece]) -> Vec<Shown> {
    pieces.iter().map(shown).collect()
}

#[test]
fn a_segment_has_the_audio_from_its_start_to_its_end() {
    let mut stream = Played::new();
    assert_eq!(stream.play(1000, &[], 0, false), []);
    let pieces = stream.play(600, &[(Some(900), None)], 0, false);
    assert_eq!(all(&pieces), [(0, 900, None, [900.0, 1599.0], true)]);
    let pieces = stream.play(600, &[], 0, false);
    assert_eq!(all(&pieces), [(0, 900, None, [1600.0, 2199.0], false)]);
    // The end is told late: the first pass has more than the segment.
    let pieces = stream.play(600, &[(None, Some(2000))], 0, false);
    assert_eq!(all(&pieces), [(0, 900, Some(2000), [900.0, 1999.0], false)]);
    assert_eq!(pieces[0].fresh, [0.0; 0]);
    assert!(!stream.segmenter.is_open());
    // What was held before, and no more than 2 s of it.
    assert_eq!(stream.segmenter.held.len(), 1900);
    stream.play(600, &[], 0, false);
    assert_eq!(stream.segmenter.held.len(), 2000);
}

#[test]
fn one_chunk_may_finish_several_and_begin_another() {
    let mut stream = Played::new();
    stream.play(500, &[(Some(100), None)], 0, false);
    let events = [
        (None, Some(700)),
        (Some(800), Some(900)),
        (Some(1000), None),
    ];
    let pieces = stream.play(1000, &events, 0, false);
    assert_eq!(
        all(&pieces),
        [
            (0, 100, Some(700), [100.0, 699.0], false),
            (1, 800, Some(900), [800.0, 899.0], true),
            (2, 1000, None, [1000.0, 1499.0], true),
        ]
    );
    assert_eq!((pieces[0].fresh[0], pieces[0].fresh.len()), (500.0, 200));
    let pieces = stream.play(0, &[], 0, true);
    assert_eq!(
        all(&pieces),
        [(2, 1000, Some(1500), [1000.0, 1499.0], false)]
    );
}

#[test]
fn what_is_longer_than_it_may_be_is_cut_alike_in_chunks_of_any_size() {
    let ends = |chunk: u64| {
        let mut stream = Played::new();
        let mut ended = Vec::new();
        while stream.now < 50_000 {
            let starts = stream.now == 0;
            let events: &[Event] = if starts { &[(Some(100), None)] } else { &[] };
            let pieces = stream.play(chunk, events, 0, false);
            ended.extend(pieces.iter().map(shown).filter(|shown| shown.2.is_some()));
        }
        let spans = ended
            .into_iter()
            .map(|shown| (shown.0, shown.1, shown.2, shown.3));
        spans.collect::<Vec<_>>()
    };
    let expected = [
        (0, 100, Some(20_100), [100.0, 20_099.0]),
        (1, 20_100, Some(40_100), [20_100.0, 40_099.0]),
    ];
    for chunk in [100, 777, 50_000] {
        assert_eq!(ends(chunk), expected, "chunks of {chunk}");
    }
}

#[test]
fn what_is_not_held_cannot_be_heard() {
    let mut stream = Played::new();
    stream.play(9000, &[], 0, false);
    // From so long ago, and up to a time to come.
    let pieces = stream.play(100, &[(Some(3000), Some(99_999))], 0, false);
    assert_eq!(
        all(&pieces),
        [(0, 7000, Some(9100), [7000.0, 9099.0], true)]
    );
    // An end of nothing, and a start within a segment, say nothing.
    let pieces = stream.play(100, &[(None, Some(9150)), (Some(9150), None)], 0, false);
    assert_eq!(all(&pieces), [(1, 9150, None, [9150.0, 9199.0], true)]);
    let pieces = stream.play(100, &[(Some(9250), None)], 0, false);
    assert_eq!(all(&pieces), [(1, 9150, None, [9200.0, 9299.0], false)]);
}

#[test]
fn a_segment_of_nothing_ends_where_it_begins() {
    let mut stream = Played::new();
    let pieces = stream.play(1000, &[(Some(500), Some(500))], 0, false);
    let ended = pieces[0].ended.as_ref().unwrap();
    assert_eq!((pieces[0].start_ms, ended.end_ms), (500, 500));
    assert!(ended.samples.is_empty() && pieces[0].fresh.is_empty());
}

#[test]
fn segments_whose_pads_meet_share_no_audio() {
    let mut stream = Played::new();
    let events = [(Some(1000), Some(3000)), (Some(2750), None)];
    let pieces = stream.play(4000, &events, 0, true);
    let spans: Vec<_> = pieces
        .iter()
        .map(|piece| {
            let ended = piece.ended.as_ref().unwrap();
            (piece.start_ms, ended.end_ms, ended.samples.len())
        })
        .collect();
    assert_eq!(spans, [(1000, 3000, 2000), (3000, 4000, 1000)]);
}

/// Thirty days, ten times 72 hours, so that times need more than 31 bits of ms; `vad` begins anew each day. Every minute somebody speaks for
/// 15 s.
#[test]
fn an_endless_stream_holds_no_more_than_a_segment() {
    const CHUNK: u64 = 2400;
    const DAY: u64 = 86_400_000;
    const SPEECH: std::ops::Range<u64> = 10_000..25_000;
    let (mut stream, mut ended) = (Segmenter::new(SIZES), 0);
    let chunk = [0.5; CHUNK as usize];
    let (mut now, mut from, mut most) = (0, 0, 0);
    while now < 30 * DAY {
        now += CHUNK;
        let minute = (now - 1) / 60_000 * 60_000;
        // Noticed 400 and 800 ms late, and told with the chunk in which that is.
        let told = |late: u64| (now - CHUNK..now).contains(&(minute + late));
        let mut events = Vec::new();
        if told(SPEECH.start + 400) {
            events.push((Some(minute + SPEECH.start - from), None));
        }
        if told(SPEECH.end + 800) {
            events.push((None, Some(minute + SPEECH.end - from)));
        }
        stream.push(&chunk);
        for piece in stream.cut(&events, from, false).unwrap() {
            assert!(piece.id == ended && piece.start_ms == minute + SPEECH.start);
            if let Some(own) = piece.ended {
                assert_eq!(own.end_ms, minute + SPEECH.end);
                assert_eq!(own.samples.len(), 15_000);
                ended += 1;
            }
        }
        if now - from >= DAY && !stream.is_open() {
            from = now;
        }
        most = most.max(stream.held.capacity());
    }
    assert_eq!(ended, 30 * 24 * 60);
    assert_eq!(stream.audio_ms(), now);
    assert!(stream.audio_ms() > i32::MAX as u64);
    // A segment, what was before it was noticed, a chunk, and what a vector takes more than it needs.
    assert!(most < 45_000, "{most}");
    assert!(stream.held.capacity() <= SLACK * 2000);
}
