//! Audio on its way through the model: a whole recording, or a stream between its requests.

use speech_segments::silero::{CONTEXT, SAMPLE_RATE, SileroDetector, SileroOptions, WINDOW};
use speech_segments::vad::{Event, Mode};
use triton_backend::{Call, Error, ModelContext, Reply, ReplyOutput};
use wav_frontend::Workspace;

use super::options::silero_options;
use crate::pipelines::vad::listening::Listening;
use crate::pipelines::vad::options::{FRAME, FRAMES_PER_CALL};
use crate::pipelines::warmup;
use crate::steps::decoded::check_finite;
use crate::tensors::layout::dim;
use crate::tensors::memory::missing;

/// Values of either half of the model's state, `[1, 1, STATE]`.
const STATE: usize = 128;

/// What is the same for all audio of the model.
pub(crate) struct SileroModel {
    options: SileroOptions,
    windows_per_call: usize,
}

pub(crate) struct SileroAudio {
    /// Samples that no call has asked about, behind `asked` that one has.
    samples: Vec<f32>,
    asked: usize,
    /// The samples before them.
    context: [f32; CONTEXT],
    /// Samples so far.
    length: usize,
    state: State,
    detector: SileroDetector,
    /// What the next call asks; kept until it is answered, so that a call that fails loses no window.
    chunk: Option<Chunk>,
    ended: bool,
    /// The detector knows of the end.
    over: bool,
}

/// The model's state.
struct State {
    hidden: Vec<f32>,
    cell: Vec<f32>,
}

impl State {
    fn new() -> Self {
        Self {
            hidden: vec![0.0; STATE],
            cell: vec![0.0; STATE],
        }
    }
}

struct Chunk {
    /// `[windows, CONTEXT + WINDOW]`
    input: Vec<f32>,
    windows: usize,
}

impl SileroAudio {
    /// The windows of the next call, the last one of all filled with silence.
    fn next_chunk(&mut self, most: usize) -> Option<Chunk> {
        let rest = self.samples.get(self.asked..).unwrap_or_default();
        let whole = match self.ended {
            true => rest.len().div_ceil(WINDOW),
            false => rest.len() / WINDOW,
        };
        let windows = whole.min(most);
        if windows == 0 {
            return None;
        }
        let mut input = Vec::with_capacity(windows * (CONTEXT + WINDOW));
        for window in rest.chunks(WINDOW).take(windows) {
            input.extend_from_slice(&self.context);
            input.extend_from_slice(window);
            input.resize(input.len().next_multiple_of(CONTEXT + WINDOW), 0.0);
            if let Some(last) = input.last_chunk::<CONTEXT>() {
                self.context = *last;
            }
        }
        self.asked += (windows * WINDOW).min(rest.len());
        // Each sample moves at most once on average, however many calls its recording takes.
        if self.asked >= self.samples.len() / 2 {
            self.samples.drain(..self.asked);
            self.asked = 0;
        }
        Some(Chunk { input, windows })
    }
}

impl Listening for SileroAudio {
    type Model = SileroModel;

    fn load(context: &ModelContext) -> Result<SileroModel, Error> {
        let samples = FRAMES_PER_CALL.read(context)?.saturating_mul(FRAME);
        Ok(SileroModel {
            options: silero_options(context)?,
            windows_per_call: (samples / WINDOW).max(1),
        })
    }

    fn sample_rate(_: &SileroModel) -> u32 {
        SAMPLE_RATE
    }

    fn values_of_call(model: &SileroModel, samples: usize) -> usize {
        let windows = samples.div_ceil(WINDOW).min(model.windows_per_call);
        windows.saturating_mul(CONTEXT + WINDOW)
    }

    fn rehearsal(model: &SileroModel, name: &str, samples: usize) -> Result<Call, Error> {
        let windows = samples.div_ceil(WINDOW).clamp(1, model.windows_per_call);
        let input = warmup::noise(windows.saturating_mul(CONTEXT + WINDOW))?;
        Ok(message(name, Chunk { input, windows }, State::new()))
    }

    fn new(model: &SileroModel, mode: Mode) -> Result<Self, Error> {
        let detector = SileroDetector::new(model.options.clone(), mode)
            .map_err(|error| Error::Config(error.to_string()))?;
        Ok(Self {
            samples: Vec::new(),
            asked: 0,
            context: [0.0; CONTEXT],
            length: 0,
            state: State::new(),
            detector,
            chunk: None,
            ended: false,
            over: false,
        })
    }

    fn reserve(&mut self, samples: usize) -> Result<(), Error> {
        let reserved = self.samples.try_reserve(samples);
        reserved.map_err(|_| missing::<f32>(samples, "samples"))
    }

    fn push(&mut self, _: &SileroModel, samples: &[f32], end: bool) -> Result<(), Error> {
        self.samples.extend_from_slice(samples);
        self.length = self.length.saturating_add(samples.len());
        self.ended |= end;
        Ok(())
    }

    fn needs_call(
        &mut self,
        model: &SileroModel,
        _: &mut Workspace,
        events: &mut Vec<Event>,
    ) -> bool {
        if self.chunk.is_none() {
            self.chunk = self.next_chunk(model.windows_per_call);
        }
        if self.chunk.is_none() && self.ended && !self.over {
            self.over = true;
            self.detector.finish(self.length, events);
        }
        self.chunk.is_some()
    }

    fn unheard_samples(&self) -> usize {
        (self.samples.len() - self.asked) + self.length() * WINDOW
    }

    fn length(&self) -> usize {
        self.chunk.as_ref().map_or(0, |chunk| chunk.windows)
    }

    fn call(&self, _: &SileroModel, name: &str) -> Call {
        let chunk = Chunk {
            input: match &self.chunk {
                Some(chunk) => chunk.input.clone(),
                None => Vec::new(),
            },
            windows: self.length(),
        };
        let state = State {
            hidden: self.state.hidden.clone(),
            cell: self.state.cell.clone(),
        };
        message(name, chunk, state)
    }

    fn take(
        &mut self,
        _: &SileroModel,
        name: &str,
        reply: &Reply,
        events: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let output = reply.output("speech_probs")?;
        let probabilities = values(name, &output, self.length())?;
        let half = |output: &str| values(name, &reply.output(output)?, STATE);
        let state = State {
            hidden: half("hn")?,
            cell: half("cn")?,
        };
        self.detector
            .push(&probabilities, events)
            .map_err(|error| Error::internal(format!("model '{name}': {error}")))?;
        self.state = state;
        self.chunk = None;
        Ok(())
    }
}

/// So many values, and none that is no number.
fn values(name: &str, output: &ReplyOutput<'_>, expected: usize) -> Result<Vec<f32>, Error> {
    let values = output.read::<f32>()?;
    if values.len() != expected {
        return Err(Error::internal(format!(
            "model '{name}' answered '{}' of shape {:?}, expected {expected} values",
            output.name, output.shape
        )));
    }
    check_finite(name, output.name, &values)?;
    Ok(values.into_owned())
}

fn message(name: &str, chunk: Chunk, state: State) -> Call {
    let shape = [dim(chunk.windows), dim(CONTEXT + WINDOW)];
    let half = [1, 1, dim(STATE)];
    Call::new(name)
        .input("input", &shape, chunk.input)
        .input("h", &half, state.hidden)
        .input("c", &half, state.cell)
        .output("speech_probs")
        .output("hn")
        .output("cn")
}
