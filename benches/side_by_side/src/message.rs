//! Requests as bytes, made once and sent many times, and their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http::{HEADER_LENGTH, Sequence};

/// The bytes of an HTTP request.
pub(super) type Message = Arc<[u8]>;

/// An input tensor.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) name: &'static str,
    pub(super) datatype: &'static str,
    /// With the batch dimension.
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl Tensor {
    pub(super) fn floats(name: &'static str, shape: &[usize], values: &[f32]) -> Self {
        Self {
            name,
            datatype: "FP32",
            shape: shape.to_vec(),
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }

    /// A column of whole numbers.
    pub(super) fn numbers(name: &'static str, values: &[i32]) -> Self {
        Self {
            name,
            datatype: "INT32",
            shape: vec![values.len(), 1],
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }

    fn described(&self, place: Value) -> Value {
        json!({ "name": self.name, "shape": self.shape, "datatype": self.datatype, "parameters": place })
    }
}

/// Bytes of a shared memory region.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) region: String,
    pub(super) offset: usize,
    pub(super) size: usize,
}

impl Span {
    fn described(&self) -> Value {
        json!({
            "shared_memory_region": self.region,
            "shared_memory_offset": self.offset,
            "shared_memory_byte_size": self.size,
        })
    }
}

/// A request with its tensors in the body. Answers come in the body too.
pub(super) fn with_tensors(
    model: &str,
    inputs: &[Tensor],
    outputs: &[&str],
    sequence: Option<Sequence>,
) -> Message {
    let described = inputs
        .iter()
        .map(|input| input.described(json!({ "binary_data_size": input.bytes.len() })));
    let outputs = outputs
        .iter()
        .map(|name| json!({ "name": name, "parameters": { "binary_data": true } }));
    let mut header = json!({
        "inputs": described.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
    });
    crate::http::add_sequence(&mut header, sequence);
    infer(model, &header, inputs.iter().map(|input| &input.bytes))
}

/// A request whose inputs, and outputs that have a place, lie in shared memory.
pub(super) fn with_regions(
    model: &str,
    inputs: &[(Tensor, Span)],
    outputs: &[(&str, Option<Span>)],
) -> Message {
    let described = inputs
        .iter()
        .map(|(tensor, span)| tensor.described(span.described()));
    let outputs = outputs.iter().map(|(name, span)| {
        let place = span.as_ref().map(Span::described);
        json!({ "name": name, "parameters": place.unwrap_or(json!({ "binary_data": true })) })
    });
    let header = json!({
        "inputs": described.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
    });
    infer(model, &header, std::iter::empty())
}

fn infer<'a>(
    model: &str,
    header: &Value,
    tensors: impl Iterator<Item = &'a Vec<u8>> + Clone,
) -> Message {
    let header = header.to_string();
    let length = header.len() + tensors.clone().map(Vec::len).sum::<usize>();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n\
         {HEADER_LENGTH}: {}\r\nContent-Length: {length}\r\n\r\n{header}",
        header.len()
    );
    let mut bytes = head.into_bytes();
    tensors.for_each(|tensor| bytes.extend(tensor));
    bytes.into()
}

/// A request of the server's other addresses, with JSON or nothing.
pub(super) fn plain(method: &str, path: &str, body: Option<&Value>) -> Message {
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
    .into()
}

/// The tensors in an answer's body, by name.
pub(super) fn outputs_in(body: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    // The header is JSON and ends where its outermost brace closes.
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let header = values.next().context("the answer is empty")??;
    let mut rest = &body[values.byte_offset()..];
    let mut outputs = BTreeMap::new();
    for output in header["outputs"].as_array().into_iter().flatten() {
        let size = output["parameters"]["binary_data_size"].as_u64();
        let (tensor, after) = rest
            .split_at_checked(usize::try_from(size.unwrap_or(0))?)
            .context("a tensor of the answer is cut off")?;
        let name = output["name"].as_str().unwrap_or_default();
        outputs.insert(name.to_owned(), tensor.to_vec());
        rest = after;
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_head_json_and_tensors() {
        let tensors = [
            Tensor::floats("wav", &[1, 1], &[0.5]),
            Tensor::numbers("wav_lens", &[1]),
        ];
        let message = with_tensors("fe", &tensors, &["speech"], None);
        let text = String::from_utf8_lossy(&message);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v2/models/fe/infer HTTP/1.1\r\n"));
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert!(message.ends_with(&[0, 0, 0, 63, 1, 0, 0, 0]));
        let json = body.len() - 8;
        assert!(head.contains(&format!("{HEADER_LENGTH}: {json}\r\n")));
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let header = json!({"outputs": [
            {"name": "a", "parameters": {"binary_data_size": 2}},
            {"name": "b", "parameters": {"binary_data_size": 1}},
        ]});
        let body = [header.to_string().as_bytes(), b"xyz"].concat();
        let outputs = outputs_in(&body).unwrap();
        assert_eq!(outputs["a"], b"xy");
        assert_eq!(outputs["b"], b"z");
        assert!(outputs_in(&body[..body.len() - 1]).is_err());
    }
}
