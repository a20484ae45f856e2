//! What the steps are asked: tensors of the sizes that real models and recordings have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use super::load::Connection;
use super::message::{Message, Tensor, outputs_in, with_regions, with_tensors};
use super::models::{CTC_WIDTH, TOKENS_WIDTH};
use super::shared::{Region, lay_out};
use crate::http::Sequence;

pub(super) const RATE: usize = 16_000;
/// Samples of a streaming chunk.
pub(super) const CHUNK: usize = 9_600;
/// Frames that SenseVoice puts in front.
const PROMPT: usize = 4;
/// Tokens spoken in a second.
const TOKENS_PER_SECOND: usize = 4;
/// Chunks of a stream: 12 s.
const CHUNKS: usize = 20;
/// Pieces and tokens of the demo's vocabularies that are text.
const TEXT_IDS: std::ops::Range<usize> = 30..120;
/// Two front ends may differ by so much.
const TOLERANCE: f32 = 5e-3;

/// A tensor of an answer.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
}

impl Output {
    fn byte_size(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }

    fn is_text(&self) -> bool {
        self.datatype == "STRING"
    }
}

/// One request of one step.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The component.
    pub(super) step: &'static str,
    /// The native model; the Python one has the same name with `python_` in front.
    pub(super) model: &'static str,
    /// As in `10 s`.
    pub(super) label: String,
    pub(super) inputs: Vec<Tensor>,
    pub(super) outputs: Vec<Output>,
    /// Requests are chunks of streams.
    pub(super) streaming: bool,
}

impl Case {
    pub(super) fn python(&self) -> String {
        format!("python_{}", self.model)
    }

    pub(super) fn transport(&self) -> String {
        let label: String = self
            .label
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        format!("transport_{}_{label}", self.model)
    }

    /// The answer of the transport's model.
    pub(super) fn answer(&self) -> String {
        let outputs = self.outputs.iter().map(|output| {
            let shape: Vec<_> = output.shape.iter().map(usize::to_string).collect();
            format!("{} {} {}", output.name, output.datatype, shape.join(","))
        });
        outputs.collect::<Vec<_>>().join("; ")
    }

    /// Bytes of a request.
    pub(super) fn input_size(&self) -> usize {
        self.inputs.iter().map(|input| input.bytes.len()).sum()
    }

    fn names(&self) -> Vec<&'static str> {
        self.outputs.iter().map(|output| output.name).collect()
    }

    /// The native and the Python step answer the same. Else the bench would compare different work.
    pub(super) fn check(&self, address: SocketAddr) -> Result<()> {
        let native = self.ask(address, self.model)?;
        let python = self.ask(address, &self.python())?;
        for (at, (native, python)) in native.iter().zip(&python).enumerate() {
            for output in &self.outputs {
                let name = output.name;
                let (native, python) = (&native[name], &python[name]);
                let same = match output.datatype {
                    "FP32" => close(native, python),
                    _ => native == python,
                };
                if !same {
                    let texts = [native, python].map(|bytes| excerpt(output, bytes));
                    bail!(
                        "{} ({}): answer {at} differs in {name}: native {}, Python {}",
                        self.model,
                        self.label,
                        texts[0],
                        texts[1]
                    );
                }
            }
        }
        Ok(())
    }

    fn ask(&self, address: SocketAddr, model: &str) -> Result<Vec<BTreeMap<String, Vec<u8>>>> {
        let mut connection = Connection::open(address)?;
        self.in_body(model)
            .iter()
            .map(|message| {
                let body = connection.exchange(message);
                outputs_in(body.with_context(|| model.to_owned())?)
            })
            .collect()
    }

    /// Requests that carry their tensors: a stream, or one.
    fn in_body(&self, model: &str) -> Vec<Message> {
        if !self.streaming {
            return vec![with_tensors(model, &self.inputs, &self.names(), None)];
        }
        let id = next_id();
        (0..CHUNKS)
            .map(|at| {
                let sequence = Sequence {
                    id,
                    start: at == 0,
                    end: at + 1 == CHUNKS,
                };
                with_tensors(model, &self.inputs, &self.names(), Some(sequence))
            })
            .collect()
    }
}

/// An id that no other stream has.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
}

fn close(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && floats(left)
            .zip(floats(right))
            .all(|(left, right)| (left - right).abs() <= TOLERANCE * left.abs().max(1.0))
}

fn excerpt(output: &Output, bytes: &[u8]) -> String {
    if output.is_text() {
        return String::from_utf8_lossy(bytes).chars().take(80).collect();
    }
    format!(
        "{} bytes, {:?}",
        bytes.len(),
        floats(bytes).take(4).collect::<Vec<_>>()
    )
}

/// A case's requests, with what lies in shared memory for as long as they are used.
pub(super) struct Laid {
    regions: Vec<Region>,
    inputs: Vec<(Tensor, super::message::Span)>,
}

impl Laid {
    /// Puts a case's inputs, and room for the answers of so many connections, where the server finds them.
    pub(super) fn out(case: &Case, address: SocketAddr, connections: usize) -> Result<Self> {
        if case.streaming {
            return Ok(Self {
                regions: Vec::new(),
                inputs: Vec::new(),
            });
        }
        let (region, inputs) = lay_out(address, &case.inputs)?;
        let mut regions = vec![region];
        let size: usize = case.outputs.iter().map(Output::byte_size).sum();
        for _ in 0..connections {
            regions.push(Region::new(address, &vec![0; size])?);
        }
        Ok(Self { regions, inputs })
    }

    /// What each of so many connections sends.
    pub(super) fn scripts(
        &self,
        case: &Case,
        model: &str,
        connections: usize,
    ) -> Vec<Vec<Message>> {
        (0..connections)
            .map(|at| {
                if case.streaming {
                    return case.in_body(model);
                }
                let mut offset = 0;
                let outputs: Vec<_> = case
                    .outputs
                    .iter()
                    .map(|output| {
                        let span = self.regions[at + 1].span(offset, output.byte_size());
                        offset += output.byte_size();
                        // How long a text will be is not known before.
                        (output.name, (!output.is_text()).then_some(span))
                    })
                    .collect();
                vec![with_regions(model, &self.inputs, &outputs)]
            })
            .collect()
    }
}

/// All cases, for so many seconds of audio where there is a whole recording.
pub(super) fn all(seconds: &[usize], speech: &[f32]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &seconds in seconds {
        cases.push(features(seconds, 1, speech));
    }
    for &seconds in seconds {
        cases.push(ctc(seconds));
    }
    for &seconds in seconds {
        cases.push(tokens(seconds));
    }
    cases.extend([
        chunk(speech),
        window(),
        firing("no token", 0.0),
        firing("3 tokens", 0.3),
    ]);
    cases
}

/// Frames at LFR of so many samples.
fn lfr_frames(samples: usize) -> usize {
    (1 + (samples - 400) / 160).div_ceil(6)
}

/// Recordings of so many seconds, `rows` in a request.
pub(super) fn features(seconds: usize, rows: usize, speech: &[f32]) -> Case {
    let samples = seconds * RATE;
    let wav: Vec<f32> = speech
        .iter()
        .copied()
        .cycle()
        .take(rows * samples)
        .collect();
    let frames = lfr_frames(samples).next_multiple_of(8);
    Case {
        step: "feature_extractor",
        model: "sensevoice_feature_extractor",
        label: format!("{seconds} s"),
        inputs: vec![
            Tensor::floats("wav", &[rows, samples], &wav),
            Tensor::numbers("wav_lens", &vec![samples as i32; rows]),
        ],
        outputs: vec![
            output("speech", "FP32", &[rows, frames, 560]),
            output("speech_lengths", "INT32", &[rows, 1]),
        ],
        streaming: false,
    }
}

fn output(name: &'static str, datatype: &'static str, shape: &[usize]) -> Output {
    Output {
        name,
        datatype,
        shape: shape.to_vec(),
    }
}

/// Scores `[steps, width]` in no order, the best of each step being `best`.
fn scores(steps: usize, width: usize, best: impl Fn(usize) -> usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut scores: Vec<f32> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        -20.0 * (state >> 8) as f32 / (1 << 24) as f32 - 0.1
    })
    .take(steps * width)
    .collect();
    for (step, scores) in scores.chunks_mut(width).enumerate() {
        scores[best(step)] = 0.0;
    }
    scores
}

fn text_id(step: usize) -> usize {
    TEXT_IDS.start + step * 37 % TEXT_IDS.len()
}

fn ctc(seconds: usize) -> Case {
    let frames = lfr_frames(seconds * RATE) + PROMPT;
    // Most frames are blank, as they are in speech.
    let best = |frame: usize| {
        if frame.is_multiple_of(4) {
            text_id(frame)
        } else {
            0
        }
    };
    Case {
        step: "ctc_scoring",
        model: "wide_sensevoice_scoring",
        label: format!("{seconds} s"),
        inputs: vec![
            Tensor::floats(
                "ctc_logits",
                &[1, frames, CTC_WIDTH],
                &scores(frames, CTC_WIDTH, best),
            ),
            Tensor::numbers("encoder_out_lens", &[frames as i32]),
        ],
        outputs: vec![output("OUTPUT0", "STRING", &[1, 1])],
        streaming: false,
    }
}

fn tokens(seconds: usize) -> Case {
    let count = seconds * TOKENS_PER_SECOND;
    Case {
        step: "paraformer_scoring",
        model: "wide_paraformer_scoring",
        label: format!("{seconds} s"),
        inputs: vec![
            Tensor::floats(
                "logits",
                &[1, count, TOKENS_WIDTH],
                &scores(count, TOKENS_WIDTH, text_id),
            ),
            Tensor::numbers("token_num", &[count as i32]),
        ],
        outputs: vec![output("OUTPUT0", "STRING", &[1, 1])],
        streaming: false,
    }
}

fn chunk(speech: &[f32]) -> Case {
    let wav: Vec<f32> = speech.iter().copied().cycle().take(CHUNK).collect();
    Case {
        step: "online_feature_extractor",
        model: "online_feature_extractor",
        label: "chunk of 600 ms".to_owned(),
        inputs: vec![
            Tensor::floats("wav", &[1, CHUNK], &wav),
            Tensor::numbers("wav_lens", &[CHUNK as i32]),
        ],
        outputs: vec![output("speech", "FP32", &[1, 61, 80])],
        streaming: true,
    }
}

fn window() -> Case {
    let frames: Vec<f32> = (0..61 * 80).map(|at| (at % 97) as f32 * 0.2).collect();
    Case {
        step: "lfr_cmvn_pe",
        model: "online_lfr_cmvn_pe",
        label: "chunk of 600 ms".to_owned(),
        inputs: vec![Tensor::floats("chunk_xs", &[1, 61, 80], &frames)],
        outputs: vec![
            output("chunk_xs_out", "FP32", &[1, 20, 560]),
            output("chunk_xs_out_len", "INT32", &[1, 1]),
        ],
        streaming: true,
    }
}

/// An encoder's output of the demo's size.
fn firing(what: &str, alpha: f32) -> Case {
    let hidden: Vec<f32> = (0..20 * 128)
        .map(|at| (at % 89) as f32 * 0.02 - 0.9)
        .collect();
    Case {
        step: "cif_search",
        model: "online_cif_search",
        label: format!("chunk of 600 ms, {what}"),
        inputs: vec![
            Tensor::floats("enc", &[1, 20, 128], &hidden),
            Tensor::numbers("enc_len", &[20]),
            Tensor::floats("alphas", &[1, 20], &[alpha; 20]),
        ],
        outputs: vec![output("transcripts", "STRING", &[1, 1])],
        streaming: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_the_sizes_of_the_models() {
        let cases = all(&[2, 10], &[0.1; 1000]);
        let of = |step: &str| cases.iter().find(|case| case.step == step).unwrap();
        assert_eq!(of("feature_extractor").inputs[0].shape, [1, 32_000]);
        // 198 frames are 33 stacks, and 7 rows of padding.
        assert_eq!(
            of("feature_extractor").answer(),
            "speech FP32 1,40,560; speech_lengths INT32 1,1"
        );
        assert_eq!(of("ctc_scoring").inputs[0].shape, [1, 37, CTC_WIDTH]);
        assert_eq!(of("ctc_scoring").input_size(), 37 * CTC_WIDTH * 4 + 4);
        assert_eq!(
            of("cif_search").transport(),
            "transport_online_cif_search_chunkof600msnotoken"
        );
    }

    #[test]
    fn the_best_score_is_where_it_should_be() {
        let scores = scores(3, 50, |step| step + 7);
        for (step, scores) in scores.chunks(50).enumerate() {
            let best = scores.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(scores[step + 7], best);
        }
    }

    #[test]
    fn floats_are_compared_with_tolerance() {
        let bytes = |values: &[f32]| {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<_>>()
        };
        assert!(close(&bytes(&[1.0, 20.0]), &bytes(&[1.001, 20.05])));
        assert!(!close(&bytes(&[1.0]), &bytes(&[1.1])));
        assert!(!close(&bytes(&[1.0]), &bytes(&[1.0, 1.0])));
    }
}
