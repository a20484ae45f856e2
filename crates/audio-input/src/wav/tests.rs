use super::*;
use crate::{Channel, Decoded, Options, decode};

/// A `fmt ` of 16 bytes.
fn fmt(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let block = channels * (bits / 8);
    let mut fmt = Vec::new();
    fmt.extend(tag.to_le_bytes());
    fmt.extend(channels.to_le_bytes());
    fmt.extend(rate.to_le_bytes());
    fmt.extend((rate * u32::from(block)).to_le_bytes());
    fmt.extend(block.to_le_bytes());
    fmt.extend(bits.to_le_bytes());
    fmt
}

fn chunk(id: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
    [id, &size.to_le_bytes(), body].concat()
}

/// A file of these chunks, with a right size in front.
fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    [
        &b"RIFF"[..],
        &(body.len() as u32 + 4).to_le_bytes(),
        b"WAVE",
        &body,
    ]
    .concat()
}

fn simple(fmt: Vec<u8>, data: &[u8]) -> Vec<u8> {
    file(&[
        chunk(b"fmt ", fmt.len() as u32, &fmt),
        chunk(b"data", data.len() as u32, data),
    ])
}

/// What is in a file, at its own rate of 16 kHz.
fn read(file: &[u8]) -> Result<Decoded, AudioError> {
    decode(file, &Options::new(16_000))
}

fn samples(file: &[u8]) -> Vec<f32> {
    read(file).unwrap().samples
}

const I16: [u8; 6] = [0, 0x40, 0, 0xc0, 0xff, 0x7f];
const AS_F32: [f32; 3] = [0.5, -0.5, 32767.0 / 32768.0];

#[test]
fn all_encodings_are_read() {
    let floats: Vec<u8> = [0.25_f32, -1.5]
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let doubles: Vec<u8> = [0.25_f64, -1.5]
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let cases: [(u16, u16, &[u8], &[f32]); 8] = [
        (1, 8, &[0, 192], &[-1.0, 0.5]),
        (1, 16, &I16, &AS_F32),
        (1, 24, &[0, 0, 0x40, 0, 0, 0x80], &[0.5, -1.0]),
        (1, 32, &[0, 0, 0, 0x40], &[0.5]),
        (3, 32, &floats, &[0.25, -1.5]),
        (3, 64, &doubles, &[0.25, -1.5]),
        (
            6,
            8,
            &[0xaa, 0x2a],
            &[32256.0 / 32768.0, -32256.0 / 32768.0],
        ),
        (
            7,
            8,
            &[0x80, 0x00],
            &[32124.0 / 32768.0, -32124.0 / 32768.0],
        ),
    ];
    for (tag, bits, data, expected) in cases {
        let decoded = read(&simple(fmt(tag, 1, 16_000, bits), data)).unwrap();
        assert_eq!(decoded.samples, expected, "{tag}, {bits} bits");
        assert_eq!(
            (decoded.sample_rate, decoded.channels, decoded.incomplete),
            (16_000, 1, false)
        );
    }
}

#[test]
fn extensible_is_what_its_identifier_says() {
    let mut fmt = fmt(0xfffe, 1, 16_000, 16);
    fmt.extend([
        22, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71,
    ]);
    assert_eq!(samples(&simple(fmt, &I16)), AS_F32);
}

#[test]
fn sizes_that_a_stream_could_not_know_are_no_matter() {
    let fmt = fmt(1, 1, 16_000, 16);
    for size in [0, u32::MAX, 0x7fff_ffff, 0x7fff_f000] {
        let head = chunk(b"fmt ", 16, &fmt);
        let mut file = file(&[head, chunk(b"data", size, &I16)]);
        file[4..8].copy_from_slice(&size.to_le_bytes());
        let decoded = read(&file).unwrap();
        assert_eq!(
            (&decoded.samples[..], decoded.incomplete),
            (&AS_F32[..], false),
            "{size:#x}"
        );
    }
}

#[test]
fn what_is_there_of_a_cut_file_is_read_and_said() {
    let mut cut = simple(fmt(1, 1, 16_000, 16), &I16);
    cut.truncate(cut.len() - 1);
    let decoded = read(&cut).unwrap();
    assert_eq!(
        (&decoded.samples[..], decoded.incomplete),
        (&AS_F32[..2], true)
    );
}

#[test]
fn other_chunks_are_passed_over_at_even_places() {
    let fmt = fmt(1, 1, 16_000, 16);
    let file = file(&[
        chunk(b"LIST", 3, b"abc\0"),
        chunk(b"fmt ", 16, &fmt),
        chunk(b"fact", 4, &[3, 0, 0, 0]),
        chunk(b"data", 6, &I16),
        chunk(b"LIST", 4, b"tail"),
    ]);
    assert_eq!(samples(&file), AS_F32);
}

#[test]
fn channels_are_mixed_or_picked() {
    let stereo = simple(fmt(1, 2, 16_000, 16), &[0, 0x40, 0, 0, 0, 0x40, 0, 0x20]);
    assert_eq!(samples(&stereo), [0.25, 0.375]);
    let only = |channel| {
        decode(
            &stereo,
            &Options::new(16_000).channel(Channel::Only(channel)),
        )
    };
    assert_eq!(only(1).unwrap().samples, [0.0, 0.25]);
    assert_eq!(
        only(2).unwrap_err(),
        AudioError::NoChannel {
            wanted: 2,
            channels: 2
        }
    );
}

#[test]
fn more_than_is_allowed_is_refused_and_as_much_is_not() {
    let file = simple(fmt(1, 1, 8000, 8), &vec![128; 80_000]);
    let read = |seconds| decode(&file, &Options::new(16_000).max_seconds(seconds));
    assert_eq!(read(10.0).unwrap().samples.len(), 160_000);
    assert_eq!(
        read(9.9999).unwrap_err(),
        AudioError::TooLong { seconds: 9.9999 }
    );
    assert_eq!(
        read(0.0).unwrap_err().to_string(),
        "the audio is longer than 0 s"
    );
}

#[test]
fn mistakes_are_said_in_words() {
    let words = |file: &[u8]| read(file).unwrap_err().to_string();
    let with = |fmt: Vec<u8>| simple(fmt, &I16);
    assert_eq!(
        words(&with(fmt(1, 0, 16_000, 16))),
        "this WAV file cannot be read: it has 0 channels, expected 1 to 64"
    );
    assert_eq!(
        words(&with(fmt(1, 1, 100, 16))),
        "a sample rate of 100 Hz is not possible; it is 8000 to 192000 Hz"
    );
    assert!(
        words(&with(fmt(0x11, 1, 16_000, 4)))
            .starts_with("this is WAV with IMA ADPCM, which is not read here")
    );
    assert!(
        words(&with(fmt(0x1234, 1, 16_000, 4)))
            .starts_with("this is WAV with format 0x1234, which")
    );
    assert_eq!(
        words(&with(fmt(3, 1, 16_000, 16))),
        "this WAV file cannot be read: its samples have 2 bytes (16 bits) in format 3"
    );
    assert_eq!(
        words(&simple(fmt(1, 1, 16_000, 16), &[])),
        "this WAV file holds no audio"
    );
    let nan = simple(fmt(3, 1, 16_000, 32), &f32::NAN.to_le_bytes());
    assert_eq!(
        words(&nan),
        "this WAV file cannot be read: it has samples that are no finite numbers, or beyond 1000000; full scale is 1"
    );
    let whole = with(fmt(1, 1, 16_000, 16));
    assert_eq!(
        words(&whole[..30]),
        "this WAV file cannot be read: its format ('fmt ') has 10 bytes, expected 16 or more"
    );
    assert_eq!(
        words(&whole[..12]),
        "this WAV file cannot be read: it ends within its header"
    );
    assert_eq!(
        words(&whole[..36]),
        "this WAV file cannot be read: it has no audio ('data')"
    );
    let audio_first = file(&[chunk(b"data", 6, &I16)]);
    assert_eq!(
        words(&audio_first),
        "this WAV file cannot be read: its audio comes before its format ('fmt ')"
    );
}

#[test]
fn floats_that_are_no_audio_are_refused() {
    // Finite, but what a filter makes of such is not.
    for loud in [f32::MAX, f32::MIN, 1.0e7, f32::INFINITY, f32::NAN] {
        let data: Vec<u8> = [loud; 400].iter().flat_map(|s| s.to_le_bytes()).collect();
        for rate in [8000, 16_000] {
            let error = read(&simple(fmt(3, 1, rate, 32), &data)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "this WAV file cannot be read: it has samples that are no finite numbers, or beyond 1000000; full scale is 1"
            );
        }
    }
    let loud: Vec<u8> = [1.0e5_f32; 4]
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    assert_eq!(samples(&simple(fmt(3, 1, 16_000, 32), &loud)), [1.0e5; 4]);
}
