//! The tensors of an answer.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// An answer's tensors, as their bytes.
#[derive(Debug, Default)]
pub struct Answer {
    tensors: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// Those of a response whose first `header_length` bytes are JSON, and whose raw tensors follow.
    pub(super) fn read(body: &[u8], header_length: usize) -> Result<Self> {
        let (header, mut bytes) = body
            .split_at_checked(header_length)
            .context("the response is cut off")?;
        let header: Value = serde_json::from_slice(header)?;
        let mut tensors = Vec::new();
        for output in header["outputs"].as_array().into_iter().flatten() {
            let size = output["parameters"]["binary_data_size"]
                .as_u64()
                .unwrap_or_default();
            let (tensor, rest) = bytes
                .split_at_checked(usize::try_from(size)?)
                .context("a tensor of the response is cut off")?;
            let name = output["name"].as_str().unwrap_or_default();
            tensors.push((name.to_owned(), tensor.to_vec()));
            bytes = rest;
        }
        Ok(Self { tensors })
    }

    /// The strings of a BYTES output, row by row.
    ///
    /// # Errors
    /// If there is no such output, or it holds something else.
    pub fn strings(&self, output: &str) -> Result<Vec<String>> {
        strings_in(self.bytes(output)?)
    }

    /// The only string of an output.
    ///
    /// # Errors
    /// If there is no such output, or it holds more or less.
    pub fn string(&self, output: &str) -> Result<String> {
        match <[String; 1]>::try_from(self.strings(output)?) {
            Ok([text]) => Ok(text),
            Err(texts) => bail!("{output} has {} texts for one recording", texts.len()),
        }
    }

    /// The numbers of an INT32 output, row by row.
    ///
    /// # Errors
    /// If there is no such output, or its bytes are cut off.
    pub fn integers(&self, output: &str) -> Result<Vec<i32>> {
        let (numbers, rest) = self.bytes(output)?.as_chunks();
        if !rest.is_empty() {
            bail!("a number of {output} is cut off");
        }
        Ok(numbers
            .iter()
            .map(|bytes| i32::from_le_bytes(*bytes))
            .collect())
    }

    fn bytes(&self, output: &str) -> Result<&[u8]> {
        let found = self.tensors.iter().find(|(name, _)| name == output);
        let (_, bytes) = found.with_context(|| format!("the response has no output {output}"))?;
        Ok(bytes)
    }
}

/// The strings of a BYTES tensor: each a length as little-endian u32, then that many bytes.
fn strings_in(mut bytes: &[u8]) -> Result<Vec<String>> {
    let mut strings = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes
            .split_first_chunk()
            .context("a string's length is cut off")?;
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let (text, rest) = rest
            .split_at_checked(length)
            .context("a string is cut off")?;
        strings.push(String::from_utf8(text.to_vec())?);
        bytes = rest;
    }
    Ok(strings)
}

#[cfg(test)]
impl Answer {
    /// An answer with these tensors.
    pub(crate) fn of(tensors: &[(&str, &[u8])]) -> Self {
        let owned = |(name, bytes): &(&str, &[u8])| ((*name).to_owned(), bytes.to_vec());
        Self {
            tensors: tensors.iter().map(owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tensors_are_taken_from_a_response_by_their_names() {
        let header = json!({"outputs": [
            {"name": "WORD_START_MS", "parameters": {"binary_data_size": 8}},
            {"name": "TRANSCRIPTS", "parameters": {"binary_data_size": 11}},
            {"name": "WORDS", "parameters": {"binary_data_size": 0}},
        ]})
        .to_string();
        let body = [
            header.as_bytes(),
            b"\x02\x01\0\0\xff\xff\xff\xff",
            b"\x03\0\0\0\xe5\xa5\xbd\0\0\0\0",
        ]
        .concat();
        let answer = Answer::read(&body, header.len()).unwrap();
        assert_eq!(answer.strings("TRANSCRIPTS").unwrap(), ["好", ""]);
        assert_eq!(answer.integers("WORD_START_MS").unwrap(), [258, -1]);
        assert!(answer.strings("WORDS").unwrap().is_empty());
        let error = |result: Result<String>| result.unwrap_err().to_string();
        assert_eq!(
            error(answer.string("TRANSCRIPTS")),
            "TRANSCRIPTS has 2 texts for one recording"
        );
        assert_eq!(
            error(answer.string("MISSING")),
            "the response has no output MISSING"
        );
        assert!(answer.integers("TRANSCRIPTS").is_err());
        assert!(Answer::read(&body[..body.len() - 1], header.len()).is_err());
    }

    #[test]
    fn cut_off_strings_are_errors() {
        assert!(strings_in(b"\x02\0\0\0a").is_err());
        assert!(strings_in(b"\x02\0").is_err());
    }
}
