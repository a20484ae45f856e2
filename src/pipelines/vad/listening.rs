//! What the component needs of a kind of model.

use speech_segments::vad::{Event, Mode};
use triton_backend::{Call, Error, ModelContext, Reply};
use wav_frontend::Workspace;

/// Audio on its way through a model of one kind: a whole recording, or a stream between its requests.
pub(super) trait Listening: Send + Sized + 'static {
    /// What is the same for all audio.
    type Model: Send + Sync + 'static;

    /// Reads what the config says of the model.
    fn load(context: &ModelContext) -> Result<Self::Model, Error>;

    /// Samples per second that the model hears.
    fn sample_rate(model: &Self::Model) -> u32;

    /// The values that a call for so many samples takes, or the first of several calls.
    fn values_of_call(model: &Self::Model, samples: usize) -> usize;

    /// A call with noise of so many samples, or of as many as a call may have.
    fn rehearsal(model: &Self::Model, name: &str, samples: usize) -> Result<Call, Error>;

    /// Audio of which nothing is known.
    fn new(model: &Self::Model, mode: Mode) -> Result<Self, Error>;

    /// Makes room for a request's samples.
    fn reserve(&mut self, samples: usize) -> Result<(), Error>;

    /// Takes samples; `end` if they are the last.
    fn push(&mut self, model: &Self::Model, samples: &[f32], end: bool) -> Result<(), Error>;

    /// Whether the model is to be called; if not, all that can be known is in `events`.
    fn needs_call(
        &mut self,
        model: &Self::Model,
        workspace: &mut Workspace,
        events: &mut Vec<Event>,
    ) -> bool;

    /// How many samples, or about as many, the model has not answered.
    fn unheard_samples(&self) -> usize;

    /// Frames or windows of the next call.
    fn length(&self) -> usize;

    /// The next call. What it asks is kept until it is answered, so that a call that fails loses nothing.
    fn call(&self, model: &Self::Model, name: &str) -> Call;

    /// Takes the answer to the call.
    fn take(
        &mut self,
        model: &Self::Model,
        name: &str,
        reply: &Reply,
        events: &mut Vec<Event>,
    ) -> Result<(), Error>;
}
