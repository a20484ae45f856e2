//! Audio on its way through the model: a whole recording, or a stream between its requests.

use std::collections::VecDeque;

use speech_segments::vad::{Detector, Event, Frames, Mode, decibels};
use triton_backend::{Call, Error, ModelContext, Reply};
use wav_frontend::Workspace;
use wav_frontend::stream::StreamState;

use super::model::FsmnModel;
use crate::pipelines::vad::listening::Listening;
use crate::pipelines::vad::options::FRAME;
use crate::pipelines::warmup;
use crate::steps::decoded::check_finite;
use crate::tensors::layout::dim;
use crate::tensors::memory::missing;

/// Samples whose loudness is looked at together.
const BLOCK: usize = 16_000;

pub(crate) struct FsmnAudio {
    samples: StreamState,
    /// The samples that the next frame's loudness needs.
    tail: Vec<f32>,
    /// How loud the frames are that the model has not scored yet.
    decibels: VecDeque<f64>,
    /// None before the first call.
    caches: Vec<Vec<f32>>,
    detector: Detector,
    /// What the next call asks; kept until it is answered, so that a call that fails loses no frame.
    chunk: Option<Chunk>,
    ended: bool,
    /// The detector knows of the end.
    over: bool,
}

struct Chunk {
    /// `[frames, feature_dim]`
    speech: Vec<f32>,
    frames: usize,
}

impl Listening for FsmnAudio {
    type Model = FsmnModel;

    fn load(context: &ModelContext) -> Result<FsmnModel, Error> {
        FsmnModel::load(context)
    }

    fn sample_rate(model: &FsmnModel) -> u32 {
        model.frontend.frontend().options().sample_rate
    }

    fn values_of_call(model: &FsmnModel, samples: usize) -> usize {
        let frames = model.frontend.frontend().output_frames(samples);
        let frames = frames.min(model.frames_per_call);
        frames.saturating_mul(model.frontend.feature_dim())
    }

    fn rehearsal(model: &FsmnModel, name: &str, samples: usize) -> Result<Call, Error> {
        let frames = model.frontend.frontend().output_frames(samples);
        let frames = frames.clamp(1, model.frames_per_call);
        let speech = warmup::noise(frames.saturating_mul(model.frontend.feature_dim()))?;
        Ok(message(model, name, (frames, speech), |_| {
            vec![0.0; model.caches.values()]
        }))
    }

    fn new(model: &FsmnModel, mode: Mode) -> Result<Self, Error> {
        let detector = Detector::new(model.options.clone(), mode)
            .map_err(|error| Error::Config(error.to_string()))?;
        Ok(Self {
            samples: StreamState::new(),
            tail: Vec::new(),
            decibels: VecDeque::new(),
            caches: Vec::new(),
            detector,
            chunk: None,
            ended: false,
            over: false,
        })
    }

    fn reserve(&mut self, samples: usize) -> Result<(), Error> {
        let reserved = self.samples.reserve(samples);
        reserved.map_err(|_| missing::<f32>(samples, "samples"))
    }

    fn push(&mut self, model: &FsmnModel, samples: &[f32], end: bool) -> Result<(), Error> {
        model
            .frontend
            .push(&mut self.samples, samples)
            .map_err(|error| Error::internal(error.to_string()))?;
        let shift = model.options.shift_samples();
        for block in samples.chunks(BLOCK) {
            self.tail.extend_from_slice(block);
            let before = self.decibels.len();
            self.decibels.extend(decibels(&model.options, &self.tail));
            let used = (self.decibels.len() - before) * shift;
            self.tail.drain(..used.min(self.tail.len()));
        }
        if end {
            model.frontend.finish(&mut self.samples);
            self.ended = true;
        }
        Ok(())
    }

    fn needs_call(
        &mut self,
        model: &FsmnModel,
        workspace: &mut Workspace,
        events: &mut Vec<Event>,
    ) -> bool {
        if self.chunk.is_some() {
            return true;
        }
        let mut speech = Vec::new();
        let frames = model.frontend.advance(
            &mut self.samples,
            model.frames_per_call,
            &mut speech,
            workspace,
        );
        if frames > 0 {
            self.chunk = Some(Chunk { speech, frames });
            return true;
        }
        if self.ended && !self.over {
            self.over = true;
            self.detector.finish(events);
        }
        false
    }

    fn unheard_samples(&self) -> usize {
        self.samples.waiting_samples() + self.length() * FRAME
    }

    fn length(&self) -> usize {
        self.chunk.as_ref().map_or(0, |chunk| chunk.frames)
    }

    fn call(&self, model: &FsmnModel, name: &str) -> Call {
        let chunk = self.chunk.as_ref();
        let speech = chunk.map_or(Vec::new(), |chunk| chunk.speech.clone());
        message(model, name, (self.length(), speech), |index| {
            let cache = self.caches.get(index).cloned();
            cache.unwrap_or_else(|| vec![0.0; model.caches.values()])
        })
    }

    fn take(
        &mut self,
        model: &FsmnModel,
        name: &str,
        reply: &Reply,
        events: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let frames = self.length();
        let logits = reply.output("logits")?;
        let classes = match logits.shape {
            &[1, rows, classes] if rows == dim(frames) && classes > 0 => {
                usize::try_from(classes).unwrap_or(0)
            }
            shape => {
                return Err(Error::internal(format!(
                    "model '{name}' answered 'logits' of shape {shape:?}, expected [1, {frames}, classes]"
                )));
            }
        };
        let scores = logits.read::<f32>()?;
        let caches = (0..model.caches.count)
            .map(|index| self.cache(model, name, reply, index))
            .collect::<Result<Vec<_>, Error>>()?;
        let decibels: Vec<f64> = self.decibels.iter().take(frames).copied().collect();
        // There are as many frames as values of loudness, once the audio has ended.
        let last = self.ended && self.decibels.len() == frames;
        let frames_of_call = Frames {
            scores: &scores,
            classes,
            decibels: &decibels,
        };
        self.detector
            .push(frames_of_call, last, events)
            .map_err(|error| Error::internal(format!("model '{name}': {error}")))?;
        self.decibels.drain(..decibels.len());
        self.caches = caches;
        self.chunk = None;
        self.over = last;
        Ok(())
    }
}

impl FsmnAudio {
    fn cache(
        &self,
        model: &FsmnModel,
        name: &str,
        reply: &Reply,
        index: usize,
    ) -> Result<Vec<f32>, Error> {
        let output = reply.output(&format!("out_cache{index}"))?;
        let values = output.read::<f32>()?;
        let expected = model.caches.values();
        if values.len() != expected {
            return Err(Error::internal(format!(
                "model '{name}' answered '{}' of shape {:?}, expected {expected} values (vad_cache_size, vad_cache_frames)",
                output.name, output.shape
            )));
        }
        check_finite(name, output.name, &values)?;
        Ok(values.into_owned())
    }
}

/// Frames, as the model takes them; `cache` makes the cache of each number.
fn message(
    model: &FsmnModel,
    name: &str,
    (frames, speech): (usize, Vec<f32>),
    cache: impl Fn(usize) -> Vec<f32>,
) -> Call {
    let shape = [1, dim(frames), dim(model.frontend.feature_dim())];
    let call = Call::new(name)
        .input("speech", &shape, speech)
        .output("logits");
    let caches = &model.caches;
    let shape = [1, dim(caches.size), dim(caches.frames), 1];
    (0..caches.count).fold(call, |call, index| {
        call.input(format!("in_cache{index}"), &shape, cache(index))
            .output(format!("out_cache{index}"))
    })
}
