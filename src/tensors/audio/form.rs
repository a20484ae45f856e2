//! What samples are written as in the input that brings them.

use audio_input::Encoding;
use triton_backend::{DataType, Error, Input, ModelContext, TensorConfig};

use super::mistakes;
use crate::tensors::layout::{Layout, check_tensor};
use crate::tensors::memory::room;
use crate::tensors::parameters::{Parameter, Written};

/// The parameter that says what the bytes are.
pub(crate) const PCM_FORMAT: Parameter<Pcm> = Parameter::new(
    "pcm_format",
    "what the bytes of `WAV` are where that is a STRING, by ffmpeg's name: `s16le`, `s24le`, `s32le`, `f32le`, `f64le`, `u8`, `mulaw` or \
     `alaw`",
)
.default("s16le");

/// An encoding as the parameter has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pcm(Encoding);

impl Written for Pcm {
    const KIND: &'static str =
        "`s16le`, `s24le`, `s32le`, `f32le`, `f64le`, `u8`, `mulaw` or `alaw`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        let known = Encoding::named(text).map(Self);
        known.ok_or("is none of s16le, s24le, s32le, f32le, f64le, u8, mulaw, alaw")
    }
}

/// What samples are written as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// FP32 `[samples]`
    Floats,
    /// INT16 `[samples]`
    Integers,
    /// STRING `[1]`: the bytes of the samples, one behind the other.
    Bytes(Encoding),
}

impl Form {
    /// As the config lists `wav`.
    pub(super) fn load(context: &ModelContext, wav: &TensorConfig) -> Result<Self, Error> {
        let listed = match wav.data_type() {
            Some(DataType::Int16) => Self::Integers,
            Some(DataType::String) => {
                let Pcm(encoding) = PCM_FORMAT.read(context)?;
                Self::Bytes(encoding)
            }
            _ => Self::Floats,
        };
        let (data_type, dim) = match listed {
            Self::Floats => (DataType::Fp32, None),
            Self::Integers => (DataType::Int16, None),
            Self::Bytes(_) => (DataType::String, Some(1)),
        };
        check_tensor(wav, data_type, &[dim])?;
        Ok(listed)
    }

    /// Whether the samples of a row are as many as are there: then nothing else need say it.
    pub(super) fn tells_lengths(self) -> bool {
        matches!(self, Self::Bytes(_))
    }
}

/// The number of samples in each row of bytes.
pub(super) fn counts(
    wav: &Input<'_>,
    layout: Layout,
    encoding: Encoding,
) -> Result<Vec<usize>, Error> {
    layout.rows::<1>(wav.name(), wav.shape(), "1")?;
    let strings = wav.string_slices()?;
    if strings.len() != layout.rows_of(wav.shape()) {
        return Err(Error::Shape {
            name: wav.name().to_owned(),
            got: wav.shape().to_vec(),
            expected: "one string of bytes for each row".to_owned(),
        });
    }
    let size = encoding.size();
    let count = |(row, bytes): (usize, &[u8])| {
        mistakes::check_header_of_bytes(wav.name(), row, bytes)?;
        if bytes.len() % size != 0 {
            let message = format!(
                "row {row} has {} bytes, which are no whole samples of {size} bytes each (parameter {})",
                bytes.len(),
                PCM_FORMAT.name()
            );
            return Err(Error::input(wav.name(), message));
        }
        Ok(bytes.len() / size)
    };
    strings.iter().enumerate().map(count).collect()
}

/// The samples that the bytes of each row stand for: the first `counts` of them.
pub(super) fn samples(
    wav: &Input<'_>,
    encoding: Encoding,
    counts: &[usize],
) -> Result<Vec<Vec<f32>>, Error> {
    let strings = wav.string_slices()?;
    let row = |(bytes, &count): (&[u8], &usize)| {
        let mut samples = room(count, "samples")?;
        let end = count.saturating_mul(encoding.size()).min(bytes.len());
        encoding.read(&bytes[..end], &mut samples);
        Ok(samples)
    };
    strings.iter().zip(counts).map(row).collect()
}
