//! Samples that are none: what clients send by mistake, named before a model makes nonsense of it.

use triton_backend::Error;

/// No audio has samples beyond this, yet floats do, and their power would overflow to infinity.
const LOUDEST: f32 = 1.0e6;
/// Samples in [-1, 1] that lie beyond this are no accident.
const LIKE_INTEGERS: f32 = 16.0;
/// What a WAV file begins with, as 16-bit numbers: `RI`, `FF`.
const RIFF: [i16; 2] = [0x4952, 0x4646];

/// Checks that samples of a row of the input called `name` are numbers, and no file.
pub(super) fn check_samples(name: &str, row: usize, samples: &[f32]) -> Result<(), Error> {
    check_header(name, row, samples)?;
    let wrong = samples
        .iter()
        .position(|sample| sample.is_nan() || sample.abs() > LOUDEST);
    let Some(at) = wrong else {
        return Ok(());
    };
    let message = format!(
        "row {row}, sample {at} is {}; samples are finite numbers, normally in [-1, 1]",
        samples[at]
    );
    Err(Error::input(name, message))
}

/// Refuses floats that are a file's bytes, or its 16-bit numbers, header and all.
fn check_header(name: &str, row: usize, samples: &[f32]) -> Result<(), Error> {
    let &[first, second, third, ..] = samples else {
        return Ok(());
    };
    let bytes = |sample: f32| sample.to_bits().to_le_bytes();
    let as_bytes = &bytes(first) == b"RIFF" && &bytes(third) == b"WAVE";
    let scaled = |by: f32| (first * by, second * by) == (f32::from(RIFF[0]), f32::from(RIFF[1]));
    if as_bytes || scaled(1.0) || scaled(32_768.0) {
        return Err(header(name, row));
    }
    Ok(())
}

/// Refuses 16-bit samples that begin with a file's header.
pub(super) fn check_header_of_i16(name: &str, row: usize, samples: &[i16]) -> Result<(), Error> {
    if samples.starts_with(&RIFF) {
        return Err(header(name, row));
    }
    Ok(())
}

/// What files begin with that are no samples.
const FILES: [(&[u8], &str); 5] = [
    (b"RIFF", "a WAV file (RIFF)"),
    (b"fLaC", "a FLAC file (fLaC)"),
    (b"OggS", "an Ogg file (OggS)"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"#!AMR", "an AMR file (#!AMR)"),
];

/// Refuses bytes of samples that begin with a file's header.
pub(super) fn check_header_of_bytes(name: &str, row: usize, bytes: &[u8]) -> Result<(), Error> {
    let found = FILES.iter().find(|(start, _)| bytes.starts_with(start));
    match found {
        Some((_, file)) => Err(header_of(name, row, file)),
        None => Ok(()),
    }
}

fn header(name: &str, row: usize) -> Error {
    header_of(name, row, "a WAV file (RIFF)")
}

fn header_of(name: &str, row: usize, file: &str) -> Error {
    let message = format!(
        "row {row} begins with the header of {file}; send the samples behind it, or the whole file as AUDIO where the model has that"
    );
    Error::input(name, message)
}

/// Refuses floats that are 16-bit numbers: whole numbers, far beyond 1.
pub(super) fn check_scale(name: &str, row: usize, samples: &[f32]) -> Result<(), Error> {
    let loudest = samples
        .iter()
        .fold(0.0_f32, |most, sample| most.max(sample.abs()));
    if loudest < LIKE_INTEGERS || samples.iter().any(|sample| sample.fract() != 0.0) {
        return Ok(());
    }
    let message = format!(
        "row {row} has whole numbers up to {loudest}, which look like 16-bit samples; divide them by 32768, samples are in [-1, 1]"
    );
    Err(Error::input(name, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(outcome: Result<(), Error>) -> String {
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn a_header_in_the_samples_is_named() {
        let file = b"RIFF\x24\0\0\0WAVEfmt ";
        let (floats, _) = file.as_chunks::<4>();
        let floats: Vec<f32> = floats
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        let (shorts, _) = file.as_chunks::<2>();
        let shorts: Vec<i16> = shorts
            .iter()
            .map(|&bytes| i16::from_le_bytes(bytes))
            .collect();
        let whole: Vec<f32> = shorts.iter().map(|&sample| f32::from(sample)).collect();
        let scaled: Vec<f32> = whole.iter().map(|sample| sample / 32_768.0).collect();
        let expected = "input 'WAV': row 3 begins with the header of a WAV file (RIFF); send the samples behind it, or the whole file \
                        as AUDIO where the model has that";
        for samples in [&floats, &whole, &scaled] {
            assert_eq!(words(check_samples("WAV", 3, samples)), expected);
        }
        assert_eq!(words(check_header_of_i16("WAV", 3, &shorts)), expected);
        for samples in [&[][..], &[0.5], &[0.572_8, 0.549_0, 0.1], &[1.0, -1.0, 0.0]] {
            assert!(check_samples("WAV", 0, samples).is_ok(), "{samples:?}");
        }
        assert!(check_header_of_i16("WAV", 0, &[1, 2, 3]).is_ok());
        assert_eq!(words(check_header_of_bytes("WAV", 3, file)), expected);
        let ogg = words(check_header_of_bytes("WAV", 0, b"OggS\0\x02"));
        assert!(
            ogg.contains("row 0 begins with the header of an Ogg file (OggS)"),
            "{ogg}"
        );
        assert!(check_header_of_bytes("WAV", 0, b"RIF").is_ok());
    }

    #[test]
    fn integers_that_were_not_scaled_are_named() {
        assert_eq!(
            words(check_scale("WAV", 1, &[0.0, -4096.0, 17.0])),
            "input 'WAV': row 1 has whole numbers up to 4096, which look like 16-bit samples; divide them by 32768, samples are in [-1, 1]"
        );
        for samples in [&[][..], &[0.0, 1.0, -1.0], &[3.0], &[100.5, 20.0]] {
            assert!(check_scale("WAV", 0, samples).is_ok(), "{samples:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_named() {
        assert_eq!(
            words(check_samples("wav", 2, &[0.0, 0.0, f32::NAN])),
            "input 'wav': row 2, sample 2 is NaN; samples are finite numbers, normally in [-1, 1]"
        );
    }
}
