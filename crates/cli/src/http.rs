//! A client of the KServe v2 protocol over HTTP, as far as the demo needs it: readiness, and inference with the binary
//! tensor extension.

mod answer;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

pub use self::answer::Answer;

/// The header that says how many bytes of a body are JSON; raw tensors follow.
pub const HEADER_LENGTH: &str = "Inference-Header-Content-Length";

/// The elements of a tensor.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// FP32.
    F32(&'a [f32]),
    /// INT32.
    I32(&'a [i32]),
    /// BYTES, one string of them.
    Bytes(&'a [u8]),
}

impl Data<'_> {
    fn datatype(self) -> &'static str {
        match self {
            Self::F32(_) => "FP32",
            Self::I32(_) => "INT32",
            Self::Bytes(_) => "BYTES",
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::F32(values) => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            Self::I32(values) => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            // The server's limit is below what 32 bits can say, so a longer one is refused either way.
            Self::Bytes(value) => {
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                [&length.to_le_bytes(), value].concat()
            }
        }
    }

    fn to_json(self) -> Value {
        match self {
            Self::F32(values) => json!(values),
            Self::I32(values) => json!(values),
            Self::Bytes(value) => json!([String::from_utf8_lossy(value)]),
        }
    }
}

/// An input tensor.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The tensor's name in the model's configuration.
    pub name: &'a str,
    /// With the batch dimension.
    pub shape: [usize; 2],
    /// Row by row.
    pub data: Data<'a>,
}

impl<'a> Input<'a> {
    /// One row of numbers.
    pub fn row(name: &'a str, values: &'a [f32]) -> Self {
        Self {
            name,
            shape: [1, values.len()],
            data: Data::F32(values),
        }
    }

    /// One row of one string: a text, or a whole file.
    pub fn bytes(name: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            name,
            shape: [1, 1],
            data: Data::Bytes(bytes),
        }
    }

    /// One row of one whole number.
    pub fn number(name: &'a str, value: &'a [i32; 1]) -> Self {
        Self {
            name,
            shape: [1, 1],
            data: Data::I32(value),
        }
    }
}

/// A request's place in a sequence.
#[derive(Debug, Clone, Copy)]
pub struct Sequence {
    /// The correlation id.
    pub id: u64,
    /// The first of the sequence.
    pub start: bool,
    /// The last of the sequence.
    pub end: bool,
}

/// Adds a sequence's parameters to a request.
pub fn add_sequence(request: &mut Value, sequence: Option<Sequence>) {
    if let Some(Sequence { id, start, end }) = sequence {
        request["parameters"] =
            json!({ "sequence_id": id, "sequence_start": start, "sequence_end": end });
    }
}

/// The request as plain JSON, for clients like curl.
pub fn json_request(inputs: &[Input<'_>], sequence: Option<Sequence>) -> Value {
    let inputs: Vec<_> = inputs
        .iter()
        .map(|input| {
            json!({
                "name": input.name,
                "shape": input.shape,
                "datatype": input.data.datatype(),
                "data": input.data.to_json(),
            })
        })
        .collect();
    let mut request = json!({ "inputs": inputs });
    add_sequence(&mut request, sequence);
    request
}

/// The request's body with raw tensors, and the length of the JSON in front of them.
fn binary_request(
    inputs: &[Input<'_>],
    outputs: &[&str],
    sequence: Option<Sequence>,
) -> (Vec<u8>, usize) {
    let tensors: Vec<_> = inputs.iter().map(|input| input.data.to_bytes()).collect();
    let described: Vec<_> = inputs
        .iter()
        .zip(&tensors)
        .map(|(input, bytes)| {
            json!({
                "name": input.name,
                "shape": input.shape,
                "datatype": input.data.datatype(),
                "parameters": { "binary_data_size": bytes.len() },
            })
        })
        .collect();
    let outputs: Vec<_> = outputs
        .iter()
        .map(|name| json!({ "name": name, "parameters": { "binary_data": true } }))
        .collect();
    let mut header = json!({ "inputs": described, "outputs": outputs });
    add_sequence(&mut header, sequence);
    let mut body = header.to_string().into_bytes();
    let header_length = body.len();
    tensors.iter().for_each(|bytes| body.extend(bytes));
    (body, header_length)
}

/// A server's HTTP endpoint.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// For `base` as in `http://127.0.0.1:8000`.
    pub fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(120)))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            base: base.to_owned(),
        }
    }

    /// Whether the server and all its models are ready.
    pub fn ready(&self) -> bool {
        let url = format!("{}/v2/health/ready", self.base);
        let short = self
            .agent
            .get(&url)
            .config()
            .timeout_global(Some(Duration::from_secs(2)))
            .build();
        short.call().is_ok_and(|response| response.status() == 200)
    }

    /// Whether a model is ready.
    ///
    /// # Errors
    /// If there is no answer at all.
    pub fn model_ready(&self, model: &str) -> Result<bool> {
        let url = format!("{}/v2/models/{model}/ready", self.base);
        let response = self.agent.get(&url).call();
        let response = response.with_context(|| format!("no answer from {url}"))?;
        Ok(response.status() == 200)
    }

    /// The names of a model's outputs.
    ///
    /// # Errors
    /// If there is no answer, or the server does not have the model.
    pub fn outputs(&self, model: &str) -> Result<Vec<String>> {
        let url = format!("{}/v2/models/{model}", self.base);
        let response = self.agent.get(&url).call();
        let mut response = response.with_context(|| format!("no answer from {url}"))?;
        let status = response.status();
        let body = response.body_mut().read_to_vec()?;
        if status != 200 {
            let answer = String::from_utf8_lossy(&body);
            bail!("what {model} is was answered {status}: {answer}");
        }
        let metadata: Value =
            serde_json::from_slice(&body).with_context(|| format!("{url} answered no JSON"))?;
        let outputs = metadata["outputs"].as_array().into_iter().flatten();
        let names = outputs.filter_map(|output| output["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Whether a model has an input of that name.
    ///
    /// # Errors
    /// If the server does not say what the model takes.
    pub fn has_input(&self, model: &str, name: &str) -> Result<bool> {
        let url = format!("{}/v2/models/{model}", self.base);
        let mut response = self
            .agent
            .get(&url)
            .call()
            .with_context(|| format!("no answer from {url}"))?;
        let status = response.status();
        let body = response.body_mut().read_to_string()?;
        if status != 200 {
            bail!("{url} answered {status}: {body}");
        }
        let model: Value = serde_json::from_str(&body)?;
        let inputs = model["inputs"].as_array();
        Ok(inputs.is_some_and(|inputs| inputs.iter().any(|input| input["name"] == name)))
    }

    /// Sends one request of one row and returns its transcript.
    pub fn text(
        &self,
        model: &str,
        inputs: &[Input<'_>],
        sequence: Option<Sequence>,
    ) -> Result<String> {
        const OUTPUT: &str = "TRANSCRIPTS";
        self.infer(model, inputs, &[OUTPUT], sequence)?
            .string(OUTPUT)
    }

    /// Sends one request, of a sequence if one is given, and returns `outputs`.
    pub fn infer(
        &self,
        model: &str,
        inputs: &[Input<'_>],
        outputs: &[&str],
        sequence: Option<Sequence>,
    ) -> Result<Answer> {
        let (body, header_length) = binary_request(inputs, outputs, sequence);
        let url = format!("{}/v2/models/{model}/infer", self.base);
        let mut response = self
            .agent
            .post(&url)
            .header(HEADER_LENGTH, header_length.to_string())
            .content_type("application/octet-stream")
            .send(&body[..])
            .with_context(|| format!("no answer from {url}"))?;
        let header_length = response
            .headers()
            .get(HEADER_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let status = response.status();
        let body = response.body_mut().read_to_vec()?;
        if status != 200 {
            bail!(
                "{model} answered {status}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        Answer::read(&body, header_length.unwrap_or(body.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_request_is_json_then_raw_tensors() {
        let inputs = [
            Input::row("WAV", &[0.5, -1.0]),
            Input::number("WAV_LENS", &[2]),
        ];
        let (body, header_length) = binary_request(&inputs, &["TRANSCRIPTS", "WORDS"], None);
        let header: Value = serde_json::from_slice(&body[..header_length]).unwrap();
        assert_eq!(header["inputs"][0]["datatype"], "FP32");
        assert_eq!(header["inputs"][0]["shape"], json!([1, 2]));
        assert_eq!(header["inputs"][0]["parameters"]["binary_data_size"], 8);
        assert_eq!(header["inputs"][1]["parameters"]["binary_data_size"], 4);
        assert_eq!(header["outputs"][0]["name"], "TRANSCRIPTS");
        assert_eq!(header["outputs"][1]["name"], "WORDS");
        assert!(header.get("parameters").is_none());
        assert_eq!(
            body[header_length..],
            [0, 0, 0, 63, 0, 0, 128, 191, 2, 0, 0, 0]
        );
    }

    #[test]
    fn a_file_is_its_length_and_its_bytes() {
        let (body, header_length) =
            binary_request(&[Input::bytes("AUDIO", b"RIFF\0")], &["TRANSCRIPTS"], None);
        let header: Value = serde_json::from_slice(&body[..header_length]).unwrap();
        assert_eq!(header["inputs"][0]["datatype"], "BYTES");
        assert_eq!(header["inputs"][0]["parameters"]["binary_data_size"], 9);
        assert_eq!(&body[header_length..], b"\x05\0\0\0RIFF\0");
    }

    #[test]
    fn a_json_request_holds_its_data() {
        let request = json_request(&[Input::row("WAV", &[0.25, -1.0])], None);
        assert_eq!(request["inputs"][0]["data"], json!([0.25, -1.0]));
    }

    #[test]
    fn a_request_says_its_place_in_a_sequence() {
        let sequence = Some(Sequence {
            id: 7,
            start: true,
            end: false,
        });
        let expected = json!({"sequence_id": 7, "sequence_start": true, "sequence_end": false});
        let inputs = [Input::row("WAV", &[0.5])];
        assert_eq!(json_request(&inputs, sequence)["parameters"], expected);
        let (body, header_length) = binary_request(&inputs, &["TRANSCRIPTS"], sequence);
        let header: Value = serde_json::from_slice(&body[..header_length]).unwrap();
        assert_eq!(header["parameters"], expected);
    }
}
