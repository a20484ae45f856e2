//! One stream of the streaming pipeline: its state, and what it needs next.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use asr_decode::cif::Cif;
use asr_decode::words::Joiner;
use asr_decode::{Frames, Transcript};
use triton_backend::{Carried, Error, Promise};
use wav_frontend::stream::StreamState;
use wav_frontend::windows::EncoderWindows;
use wav_frontend::{FrontendError, Workspace};

use super::models::Models;
use crate::pipelines::options::Permit;
use crate::pipelines::scheduler::batch::Size;
use crate::pipelines::scheduler::waiting::Item;
use crate::tensors::audio::{Chunk, StreamRate};
use crate::tensors::memory::missing;
use crate::tensors::outputs::StreamText;
use crate::tensors::sequences::Lease;

/// The state of a stream between its requests.
pub(super) struct Stream {
    samples: StreamState,
    rate: StreamRate,
    windows: EncoderWindows,
    /// Made when the encoder's first answer tells the size of a frame.
    cif: Option<Cif>,
    pub(super) joiner: Joiner,
    pub(super) text: StreamText,
    /// The decoder's caches, `[hidden, cache_frames]` each; none before its first call.
    pub(super) caches: Option<Arc<Carried<f32>>>,
    /// The encoder's output for the last window, `[frames, hidden]`: what the tail's token is decoded with.
    last_enc: Vec<f32>,
}

/// A request and the stream it goes on with, on their way through the pipeline.
pub(super) struct StreamRequest {
    /// Before the promise: dropped together, the stream is over when the client hears of it.
    pub(super) lease: Lease<Stream>,
    pub(super) promise: Promise,
    /// Given back before the answer: whoever has it may send the next request.
    pub(super) permit: Permit,
    /// When the client does not wait for calls any more that have not gone out.
    deadline: Option<Instant>,
    pub(super) stream: Stream,
    /// Windows whose tokens wait for the decoder.
    tokens: VecDeque<Tokens>,
    /// What was heard so far.
    pub(super) delta: Transcript,
    /// The stream ends with this request and its tail was not integrated yet.
    tail_due: bool,
}

/// What the encoder is to be given.
pub(super) struct Windows {
    /// `[windows, frames, feature_dim]`
    pub(super) speech: Vec<f32>,
    /// Frames of each window; all have the same.
    pub(super) frames: usize,
    /// What CIF consumes of each.
    consume: Vec<Consume>,
}

struct Consume {
    /// The frames of the window.
    frames: Range<usize>,
    /// The number of the first of them, counted as CIF counts: from the first one that a first window consumes.
    first: u64,
    /// The window is the stream's last.
    last: bool,
}

impl Windows {
    /// The number of windows.
    pub(super) fn count(&self) -> usize {
        self.consume.len()
    }
}

/// Tokens that ended in a window.
pub(super) struct Tokens {
    /// `[frames, hidden]`
    pub(super) enc: Vec<f32>,
    /// `[count, hidden]`
    pub(super) embeddings: Vec<f32>,
    pub(super) count: usize,
    /// The frames that each of them fired in.
    pub(super) fires: Vec<Frames>,
}

impl Tokens {
    /// The last `count` tokens that fired in `cif`.
    fn of(cif: &Cif, enc: Vec<f32>, embeddings: Vec<f32>, count: usize) -> Self {
        let fires = cif.fires();
        Self {
            enc,
            embeddings,
            count,
            fires: fires[fires.len().saturating_sub(count)..].to_vec(),
        }
    }
}

/// A stream that waits for a model.
pub(super) struct Queued<N> {
    pub(super) work: Box<StreamRequest>,
    pub(super) needs: N,
}

/// Windows of equal length share a call of the encoder.
impl Item for Queued<Windows> {
    fn size(&self) -> Size {
        Size {
            class: 0,
            rows: self.needs.count(),
            length: self.needs.frames,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.work.deadline
    }

    fn is_over(&self) -> bool {
        self.work.promise.is_cancelled()
    }
}

/// Equal numbers of tokens share a call of the decoder: its caches are the last columns, padding would be among them.
impl Item for Queued<Tokens> {
    fn size(&self) -> Size {
        Size {
            class: self.needs.enc.len(),
            rows: 1,
            length: self.needs.count,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.work.deadline
    }

    fn is_over(&self) -> bool {
        self.work.promise.is_cancelled()
    }
}

/// What a stream needs to go on.
pub(super) enum Need {
    /// The encoder.
    Encoder(Windows),
    /// The decoder.
    Decoder(Tokens),
    /// Nothing: the request can be answered.
    Nothing,
}

impl Stream {
    /// A stream that has not begun.
    pub(super) fn new(models: &Models) -> Result<Self, Error> {
        let windows = EncoderWindows::new(models.windows, models.frontend.feature_dim())
            .map_err(|error| Error::Config(error.to_string()))?;
        Ok(Self {
            samples: StreamState::new(),
            rate: StreamRate::default(),
            windows,
            cif: None,
            joiner: models.tokens.vocabulary.joiner(models.tokens.join),
            text: StreamText::default(),
            caches: None,
            last_enc: Vec::new(),
        })
    }

    /// Makes room for a request's samples.
    pub(super) fn reserve(&mut self, samples: usize) -> Result<(), Error> {
        let reserved = self.samples.reserve(samples);
        reserved.map_err(|_| missing::<f32>(samples, "a stream's samples"))
    }

    /// Whether more samples wait than so many.
    pub(super) fn holds_more_than(&self, samples: usize) -> bool {
        self.samples.waiting_samples() > samples
    }

    /// The rate that its chunks come with, in Hz, once it has begun.
    pub(super) fn sample_rate(&self) -> Option<u32> {
        self.rate.known()
    }

    /// Checks the rate of a chunk that goes on with the stream.
    pub(super) fn check_rate(&self, sample_rate: Option<u32>) -> Result<(), Error> {
        self.rate.check(sample_rate)
    }

    /// Takes a request's samples.
    pub(super) fn push(
        &mut self,
        models: &Models,
        chunk: &Chunk<'_>,
        end: bool,
    ) -> Result<(), Error> {
        let internal = |error: FrontendError| Error::internal(error.to_string());
        let frontend = &models.frontend;
        let rate = frontend.frontend().options().sample_rate;
        let samples = self
            .rate
            .take(&chunk.samples, chunk.sample_rate, rate, end)?;
        frontend
            .push(&mut self.samples, &samples)
            .map_err(internal)?;
        if end {
            // Silence behind next to nothing would be a window of silence alone.
            let frame = frontend.frontend().options().frame_length_samples();
            if self.samples.samples() >= frame as u64 {
                frontend
                    .push(&mut self.samples, &vec![0.0; models.tail_padding])
                    .map_err(internal)?;
            }
            frontend.finish(&mut self.samples);
        }
        Ok(())
    }
}

impl StreamRequest {
    /// A request whose samples `stream` has taken.
    pub(super) fn new(
        promise: Promise,
        deadline: Option<Instant>,
        permit: Permit,
        lease: Lease<Stream>,
        stream: Stream,
    ) -> Self {
        Self {
            tail_due: lease.ends(),
            lease,
            promise,
            permit,
            deadline,
            stream,
            tokens: VecDeque::new(),
            delta: Transcript::default(),
        }
    }

    /// What the stream needs next. Takes but a few windows at a time, so that others get their turn.
    pub(super) fn need(
        &mut self,
        models: &Models,
        workspace: &mut Workspace,
    ) -> Result<Need, Error> {
        loop {
            if let Some(tokens) = self.tokens.pop_front() {
                return Ok(Need::Decoder(tokens));
            }
            if let Some(windows) = self.next_windows(models) {
                return Ok(Need::Encoder(windows));
            }
            if self.compute_frames(models, workspace)? {
                continue;
            }
            if !self.tail_due {
                return Ok(Need::Nothing);
            }
            self.tail_due = false;
            self.integrate_tail();
        }
    }

    /// Up to `windows_per_turn` windows of one length.
    fn next_windows(&mut self, models: &Models) -> Option<Windows> {
        let most = models.windows_per_turn();
        let windows = &mut self.stream.windows;
        let ahead = i64::try_from(models.windows.right).unwrap_or(0);
        let mut taken: Option<Windows> = None;
        while taken.as_ref().is_none_or(|taken| taken.count() < most) {
            if taken
                .as_ref()
                .is_some_and(|taken| windows.next_len() != Some(taken.frames))
            {
                break;
            }
            let Some(window) = windows.pop() else {
                break;
            };
            let taken = taken.get_or_insert_with(|| Windows {
                speech: Vec::new(),
                frames: window.len,
                consume: Vec::new(),
            });
            taken.speech.extend_from_slice(window.frames);
            let first = i64::try_from(window.consume.start).unwrap_or(0) + window.first + ahead;
            taken.consume.push(Consume {
                first: u64::try_from(first).unwrap_or(0),
                frames: window.consume,
                last: window.last,
            });
        }
        taken
    }

    /// Computes the frames of about as many windows; false if there are no more samples for any.
    fn compute_frames(
        &mut self,
        models: &Models,
        workspace: &mut Workspace,
    ) -> Result<bool, Error> {
        let stream = &mut self.stream;
        let most = models.windows_per_turn() * models.windows.centre;
        let mut frames = Vec::new();
        let computed = models
            .frontend
            .advance(&mut stream.samples, most, &mut frames, workspace);
        if computed > 0 {
            stream
                .windows
                .push(&frames)
                .map_err(|error| Error::internal(error.to_string()))?;
            return Ok(true);
        }
        if self.tail_due && !stream.windows.is_finished() {
            stream.windows.finish();
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes the encoder's answer for `windows`: `enc` is `[windows, frames, hidden]`, `alphas` `[windows, frames]`.
    pub(super) fn integrate(
        &mut self,
        models: &Models,
        windows: &Windows,
        hidden: usize,
        enc: &[f32],
        alphas: &[f32],
    ) -> Result<(), Error> {
        let frames = windows.frames;
        for (index, consume) in windows.consume.iter().enumerate() {
            let enc = &enc[index * frames * hidden..][..frames * hidden];
            let alphas = &alphas[index * frames..][..frames];
            let cif = match &mut self.stream.cif {
                Some(cif) => cif,
                empty => {
                    let options = asr_decode::cif::CifOptions {
                        hidden_size: hidden,
                        ..models.cif
                    };
                    let cif =
                        Cif::new(options).map_err(|error| Error::Config(error.to_string()))?;
                    empty.insert(cif)
                }
            };
            // Windows before this one may be lost, with a call that failed; and a short stream's only one begins later.
            cif.skip_to(consume.first);
            let mut embeddings = Vec::new();
            let mut count = cif
                .integrate(enc, alphas, consume.frames.clone(), &mut embeddings)
                .map_err(|error| Error::internal(error.to_string()))?;
            if consume.last && self.tail_due {
                self.tail_due = false;
                count += cif.tail(&mut embeddings);
            }
            self.stream.last_enc.clear();
            self.stream.last_enc.extend_from_slice(enc);
            if count > 0 {
                let tokens = Tokens::of(cif, enc.to_vec(), embeddings, count);
                self.tokens.push_back(tokens);
            }
        }
        Ok(())
    }

    /// The tail of a stream whose last window was computed before anyone knew that it was the last.
    fn integrate_tail(&mut self) {
        let stream = &mut self.stream;
        let Some(cif) = &mut stream.cif else {
            return;
        };
        let mut embeddings = Vec::new();
        let count = cif.tail(&mut embeddings);
        if count > 0 {
            let enc = std::mem::take(&mut stream.last_enc);
            self.tokens
                .push_back(Tokens::of(cif, enc, embeddings, count));
        }
    }
}
