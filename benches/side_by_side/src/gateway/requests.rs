//! The same requests as the gateway makes, for a client that asks the server itself; and those that the gateway takes.

use bytes::Bytes;
use serde_json::json;
use triton_funasr_gateway::messages::{
    InferParameter, InferTensor, ModelInferRequest, ModelInferResponse, ParameterChoice,
    RequestedOutput,
};

use super::material::{RECORDINGS, STREAMS};
use crate::http::Sequence;
use crate::message::Message;

/// The output that is asked for.
pub(super) const OUTPUT: &str = "TRANSCRIPTS";
/// SenseVoice's language "auto" and its text norm with inverse text normalisation.
const AUTO: i32 = 0;
const WITH_ITN: i32 = 14;
const BOUNDARY: &str = "of-the-gateways-bench";

/// A whole recording.
pub(super) fn recording(file: &[u8]) -> ModelInferRequest {
    let inputs = [
        ("AUDIO", "BYTES", 1, string(file)),
        ("LANGUAGE", "INT32", 1, number(AUTO)),
        ("TEXT_NORM", "INT32", 1, number(WITH_ITN)),
    ];
    request(RECORDINGS, &inputs)
}

/// A chunk of a stream.
pub(super) fn chunk(pcm: &[u8], place: Sequence) -> ModelInferRequest {
    let (samples, _) = pcm.as_chunks::<2>();
    let floats = samples
        .iter()
        .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32768.0);
    let raw: Vec<u8> = floats.flat_map(f32::to_le_bytes).collect();
    let inputs = [
        ("WAV", "FP32", samples.len(), Bytes::from(raw)),
        (
            "WAV_LENS",
            "INT32",
            1,
            number(i32::try_from(samples.len()).unwrap_or(i32::MAX)),
        ),
        ("SAMPLE_RATE", "INT32", 1, number(16_000)),
    ];
    let mut request = request(STREAMS, &inputs);
    let id = ParameterChoice::Int64(place.id.cast_signed());
    let choices = [
        ("sequence_id", id),
        ("sequence_start", ParameterChoice::Bool(place.start)),
        ("sequence_end", ParameterChoice::Bool(place.end)),
    ];
    let parameters = choices.map(|(name, choice)| {
        let choice = Some(choice);
        (name.to_owned(), InferParameter { choice })
    });
    request.parameters.extend(parameters);
    request
}

fn request(model: &str, inputs: &[(&str, &str, usize, Bytes)]) -> ModelInferRequest {
    let tensor = |(name, datatype, length, _): &(&str, &str, usize, Bytes)| InferTensor {
        name: (*name).to_owned(),
        datatype: (*datatype).to_owned(),
        shape: vec![1, i64::try_from(*length).unwrap_or(i64::MAX)],
    };
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: inputs.iter().map(tensor).collect(),
        outputs: vec![RequestedOutput {
            name: OUTPUT.to_owned(),
        }],
        raw_input_contents: inputs.iter().map(|(.., raw)| raw.clone()).collect(),
        ..ModelInferRequest::default()
    }
}

/// A string as an element.
pub(super) fn string(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), bytes].concat().into()
}

fn number(value: i32) -> Bytes {
    Bytes::copy_from_slice(&value.to_le_bytes())
}

/// The text of an answer.
pub(super) fn text(response: &ModelInferResponse) -> String {
    let raw = response.raw_output_contents.first();
    let text = raw.and_then(|raw| raw.get(4..)).unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// A whole recording, as OpenAI's API takes it.
pub(super) fn form(file: &[u8]) -> Message {
    let field = |name: &str, value: &str| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let mut body = field("model", RECORDINGS).into_bytes();
    body.extend(
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n")
            .into_bytes(),
    );
    body.extend(file);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    let mut message = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    message.extend(body);
    message.into()
}

/// What a client of FunASR's protocol says before its audio.
pub(super) fn beginning() -> String {
    json!({"mode": "online", "wav_name": "bench", "wav_format": "pcm", "audio_fs": 16_000, "is_speaking": true})
        .to_string()
}

/// What it says behind it.
pub(super) fn end() -> String {
    json!({"is_speaking": false, "is_end": true}).to_string()
}
