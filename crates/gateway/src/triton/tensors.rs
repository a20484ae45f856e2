//! Tensors of one row: inputs as the protocol wants them, outputs as plain values.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::CallError;
use super::messages::{InferTensor, ModelInferRequest, ModelInferResponse, RequestedOutput};

/// An input of one row.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(super) name: &'static str,
    pub(super) datatype: &'static str,
    pub(super) length: usize,
    pub(super) raw: Bytes,
}

impl Input {
    /// One string: a text.
    pub(crate) fn text(name: &'static str, text: &str) -> Self {
        let mut file = FileBytes::new();
        file.push(text.as_bytes());
        Self::file(name, file)
    }

    /// One string: a file.
    pub(crate) fn file(name: &'static str, file: FileBytes) -> Self {
        Self {
            name,
            datatype: "BYTES",
            length: 1,
            raw: file.into_tensor(),
        }
    }

    /// One whole number.
    pub(crate) fn number(name: &'static str, value: i32) -> Self {
        Self {
            name,
            datatype: "INT32",
            length: 1,
            raw: Bytes::copy_from_slice(&value.to_le_bytes()),
        }
    }

    /// Samples in [-1, 1].
    pub(crate) fn samples(name: &'static str, samples: &[f32]) -> Self {
        let mut raw = BytesMut::with_capacity(4 * samples.len());
        samples.iter().for_each(|sample| raw.put_f32_le(*sample));
        Self {
            name,
            datatype: "FP32",
            length: samples.len(),
            raw: raw.freeze(),
        }
    }
}

impl ModelInferRequest {
    /// A request of one row.
    pub(super) fn of(model: &str, inputs: &[Input], outputs: &[&str]) -> Self {
        let tensor = |input: &Input| InferTensor {
            name: input.name.to_owned(),
            datatype: input.datatype.to_owned(),
            shape: vec![1, i64::try_from(input.length).unwrap_or(i64::MAX)],
        };
        let output = |name: &&str| RequestedOutput {
            name: (*name).to_owned(),
        };
        Self {
            model_name: model.to_owned(),
            inputs: inputs.iter().map(tensor).collect(),
            outputs: outputs.iter().map(output).collect(),
            raw_input_contents: inputs.iter().map(|input| input.raw.clone()).collect(),
            ..Self::default()
        }
    }
}

/// A file's bytes, collected as they come, behind the place for their number: so they are a tensor without being copied.
#[derive(Debug)]
pub(crate) struct FileBytes(BytesMut);

/// The number of a string's bytes, in front of them.
const LENGTH: usize = 4;

impl Default for FileBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl FileBytes {
    /// Nothing so far.
    pub(crate) fn new() -> Self {
        Self(BytesMut::zeroed(LENGTH))
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len() - LENGTH
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// More of the file.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn into_tensor(mut self) -> Bytes {
        // Whoever collects them has a limit far below what 32 bits can say; a server refuses a string that is longer than it says.
        let length = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.0[..LENGTH].copy_from_slice(&length.to_le_bytes());
        self.0.freeze()
    }
}

/// The outputs of one request.
#[derive(Debug)]
pub(crate) struct Answer {
    model: String,
    outputs: Vec<InferTensor>,
    raw: Vec<Bytes>,
}

impl Answer {
    pub(super) fn new(model: &str, response: ModelInferResponse) -> Self {
        Self {
            model: model.to_owned(),
            outputs: response.outputs,
            raw: response.raw_output_contents,
        }
    }

    /// The string of an output of one.
    ///
    /// # Errors
    /// If there is no such output, or it is no string.
    pub(crate) fn string(&self, name: &str) -> Result<String, CallError> {
        let missing = || CallError::Answer {
            model: self.model.clone(),
            output: format!("string in {name}"),
        };
        let at = self.outputs.iter().position(|output| output.name == name);
        let raw = at.and_then(|at| self.raw.get(at)).ok_or_else(missing)?;
        let (length, rest) = raw.split_first_chunk().ok_or_else(missing)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| missing())?;
        let bytes = rest.get(..length).ok_or_else(missing)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_length_and_its_bytes() {
        let mut file = FileBytes::new();
        file.push(b"RI");
        file.push(b"FF\0");
        assert_eq!(file.len(), 5);
        let input = Input::file("AUDIO", file);
        assert_eq!(&input.raw[..], b"\x05\0\0\0RIFF\0");
        assert_eq!(
            &Input::text("TEXT", "好").raw[..],
            b"\x03\0\0\0\xe5\xa5\xbd"
        );
        assert_eq!(&Input::number("LANGUAGE", 3).raw[..], [3, 0, 0, 0]);
        let samples = Input::samples("WAV", &[0.5, -1.0]);
        assert_eq!(&samples.raw[..], [0, 0, 0, 63, 0, 0, 128, 191]);
        assert_eq!(samples.length, 2);
    }

    #[test]
    fn a_string_is_found_by_its_outputs_name_and_a_wrong_one_is_an_error() {
        let output = |name: &str| InferTensor {
            name: name.to_owned(),
            ..InferTensor::default()
        };
        let raw = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let response = ModelInferResponse {
            outputs: ["A", "B", "C", "D"].map(output).to_vec(),
            raw_output_contents: vec![
                raw(b"\x01\0\0\0x"),
                raw(b"\x02\0\0\0yz"),
                raw(b"\x09\0\0\0y"),
            ],
            ..ModelInferResponse::default()
        };
        let answer = Answer::new("model", response);
        assert_eq!(answer.string("B").unwrap(), "yz");
        for name in ["C", "D", "E"] {
            let error = answer.string(name).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("the answer of model has no string in {name}")
            );
        }
    }
}
