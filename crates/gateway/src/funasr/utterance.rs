//! What a client says between two ends: audio on its way to the models.

use std::time::Duration;

use prometheus::IntGauge;
use serde_json::Value;
use tokio::time::timeout;

use super::results;
use super::wishes::{Mode, Wishes};
use crate::limits::Memory;
use crate::metrics::Counted;
use crate::recordings::{self, Recording};
use crate::shared::Common;
use crate::triton::{FileBytes, Input, Model, Role, Sequence};

/// A stream's chunk, in milliseconds: what the models for streams are made for.
const CHUNK_MS: usize = 600;
/// Silence behind a stream. An ensemble decodes the last 300 ms only when something follows; a pipeline's text stays the same.
const SILENCE_MS: usize = 320;
/// How long a server is waited for that is told of a stream's end for which nobody waits.
const FAREWELL: Duration = Duration::from_secs(2);
const TRANSCRIPTS: &str = "TRANSCRIPTS";

/// Audio, and what has become of it.
pub(super) struct Utterance {
    wishes: Wishes,
    stream: Option<Stream>,
    whole: Option<Whole>,
    _counted: Counted,
}

/// Samples on their way to a stream.
struct Stream {
    sequence: Sequence,
    takes_rates: bool,
    /// What is no whole chunk yet, in bytes.
    rest: Vec<u8>,
}

/// The audio for a model of recordings.
struct Whole {
    model: Model,
    file: FileBytes,
    memory: Memory,
}

impl Utterance {
    /// For audio of this kind.
    ///
    /// # Errors
    /// If no server has a model for it.
    pub(super) fn begin(shared: &Common, wishes: &Wishes) -> Result<Self, String> {
        let models = shared.pool.models();
        let with_stream = wishes.mode != Mode::Offline;
        if with_stream && !wishes.is_pcm {
            return Err(
                "wav_format: streams take pcm, samples of 16 bits without a header".to_owned(),
            );
        }
        // One that hears its segments twice answers in another way.
        let is_plain = |model: &&Model| model.role == Role::Stream && !model.says("SEGMENT_ID");
        let stream = models.values().find(is_plain);
        let stream = match stream.filter(|_| with_stream) {
            Some(model) => Some(Stream::open(shared, model, wishes)?),
            None if wishes.mode == Mode::Online => {
                return Err("no Triton server that is ready has a model for streams".to_owned());
            }
            None => None,
        };
        let default = shared.options.default_model.as_deref();
        let recording =
            recordings::choose(&models, "", default, false).filter(|_| wishes.mode != Mode::Online);
        if recording.is_none() && stream.is_none() {
            return Err("no Triton server that is ready has a model for recordings".to_owned());
        }
        let gauge: IntGauge = shared
            .metrics
            .streams
            .with_label_values(&[wishes.mode.name()]);
        let mut whole = recording.map(|model| Whole {
            model,
            file: FileBytes::new(),
            memory: shared.limits.memory(),
        });
        if let Some(whole) = whole.as_mut().filter(|_| wishes.is_pcm) {
            whole.file.push(&wav_header(wishes.rate));
        }
        Ok(Self {
            wishes: wishes.clone(),
            stream,
            whole,
            _counted: Counted::one(&gauge),
        })
    }

    /// More audio. What is to be told of it.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(super) async fn hear(
        &mut self,
        shared: &Common,
        audio: &[u8],
    ) -> Result<Vec<Value>, String> {
        shared.metrics.audio_bytes.inc_by(audio.len() as u64);
        if let Some(whole) = &mut self.whole {
            if whole.file.len() + audio.len() > shared.options.max_file_bytes() {
                return Err(format!(
                    "the audio is larger than {} MB, which is this gateway's limit",
                    shared.options.max_file_mb
                ));
            }
            whole
                .memory
                .take(audio.len())
                .map_err(|refusal| refusal.to_string())?;
            whole.file.push(audio);
        }
        let mode = self.online();
        let Some(stream) = &mut self.stream else {
            return Ok(Vec::new());
        };
        stream.rest.extend_from_slice(audio);
        let mut told = Vec::new();
        let size = bytes_of(CHUNK_MS, self.wishes.rate);
        // The last chunk waits for the end, which it is sent with.
        while stream.rest.len() > size {
            let chunk: Vec<u8> = stream.rest.drain(..size).collect();
            let text = stream.send(shared, &chunk, self.wishes.rate, false).await?;
            if !text.is_empty() {
                told.push(results::text(&self.wishes, mode, &text, false));
            }
        }
        Ok(told)
    }

    /// No more audio. What is to be told of all.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(super) async fn end(mut self, shared: &Common) -> Result<Vec<Value>, String> {
        let mut told = Vec::new();
        let mode = self.online();
        if let Some(stream) = &mut self.stream {
            let size = bytes_of(CHUNK_MS, self.wishes.rate);
            let silence = bytes_of(SILENCE_MS, self.wishes.rate);
            // Half a sample is none.
            let whole_samples = stream.rest.len() / 2 * 2;
            let mut last = std::mem::take(&mut stream.rest);
            last.resize(whole_samples, 0);
            last.resize(whole_samples + silence, 0);
            let mut text = String::new();
            let count = last.len().div_ceil(size);
            for (number, chunk) in (1..).zip(last.chunks(size)) {
                text += &stream
                    .send(shared, chunk, self.wishes.rate, number == count)
                    .await?;
            }
            let is_final = self.whole.is_none();
            if is_final || !text.is_empty() {
                told.push(results::text(&self.wishes, mode, &text, is_final));
            }
        }
        if let Some(whole) = self.whole.take() {
            let recording = Recording {
                file: whole.file,
                language: self.wishes.language,
                // What clients send without being asked leaves it to the model.
                itn: (!self.wishes.itn).then_some(false),
                hotwords: self.wishes.hotwords.clone(),
            };
            let transcribed = recordings::transcribe(&shared.pool, &whole.model, recording);
            let heard = timeout(shared.options.timeout(), transcribed).await;
            let heard =
                heard.map_err(|_| format!("no transcript within {} s", shared.options.timeout))?;
            let heard = heard.map_err(|error| error.to_string())?;
            let mode = if self.wishes.mode == Mode::Offline {
                "offline"
            } else {
                "2pass-offline"
            };
            told.push(results::whole(&self.wishes, mode, &heard));
        }
        Ok(told)
    }

    /// Nobody waits for it any more: the server's place is given back.
    pub(super) async fn abandon(self, shared: &Common) {
        if let Some(mut stream) = self.stream.filter(|stream| stream.sequence.is_started()) {
            // Whatever comes of it: the server forgets it by itself, only later.
            let _ = timeout(FAREWELL, stream.send(shared, &[], self.wishes.rate, true)).await;
        }
    }

    fn online(&self) -> &'static str {
        if self.wishes.mode == Mode::Online {
            "online"
        } else {
            "2pass-online"
        }
    }
}

impl Stream {
    fn open(shared: &Common, model: &Model, wishes: &Wishes) -> Result<Self, String> {
        let takes_rates = model.takes("SAMPLE_RATE");
        if wishes.rate != 16_000 && !takes_rates {
            return Err(format!(
                "audio_fs: {} takes samples of 16000 Hz, not of {}",
                model.name, wishes.rate
            ));
        }
        let sequence = shared
            .pool
            .open(&model.name)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            sequence,
            takes_rates,
            rest: Vec::new(),
        })
    }

    /// The new text.
    async fn send(
        &mut self,
        shared: &Common,
        pcm: &[u8],
        rate: u32,
        end: bool,
    ) -> Result<String, String> {
        let samples: Vec<f32> = pcm
            .chunks_exact(2)
            .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
            .collect();
        let length = i32::try_from(samples.len()).unwrap_or(i32::MAX);
        let mut inputs = vec![
            Input::samples("WAV", &samples),
            Input::number("WAV_LENS", length),
        ];
        if self.takes_rates {
            inputs.push(Input::number(
                "SAMPLE_RATE",
                i32::try_from(rate).unwrap_or(i32::MAX),
            ));
        }
        let sent = self
            .sequence
            .send(&inputs, &[TRANSCRIPTS], end, &shared.metrics);
        let answer = timeout(shared.options.timeout(), sent).await;
        let answer =
            answer.map_err(|_| format!("no answer within {} s", shared.options.timeout))?;
        answer
            .and_then(|answer| answer.string(TRANSCRIPTS))
            .map_err(|error| error.to_string())
    }
}

/// How many bytes samples of 16 bits take.
fn bytes_of(ms: usize, rate: u32) -> usize {
    ms * rate as usize / 1000 * 2
}

/// The header of a WAV file of samples of 16 bits whose number is not known yet.
fn wav_header(rate: u32) -> [u8; 44] {
    const UNKNOWN: [u8; 4] = u32::MAX.to_le_bytes();
    let mut header = [0; 44];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&UNKNOWN);
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    // PCM, one channel.
    put(&1_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&rate.to_le_bytes());
    put(&(rate * 2).to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&UNKNOWN);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_rate() {
        let header = wav_header(8000);
        assert_eq!(&header[..16], b"RIFF\xff\xff\xff\xffWAVEfmt ");
        assert_eq!(header[24..32], [0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0]);
        assert_eq!(&header[32..], b"\x02\0\x10\0data\xff\xff\xff\xff");
        assert_eq!(bytes_of(CHUNK_MS, 16_000), 19_200);
    }
}
