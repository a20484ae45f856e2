//! The model that says which tokens they are, and its sequences.
//!
//! A stream's sequence at the decoder has a [number of its own](InnerSequence): no other of its id has it, nor one of another model that calls
//! the same decoder.

use std::sync::Arc;

use asr_decode::cif::DecoderCall;
use triton_backend::{Call, Caller, Error, ModelContext, Reply, info, verbose, warn};

use crate::steps::decoded::Asked;
use crate::tensors::layout::dim;
use crate::tensors::memory::zeros;
use crate::tensors::outputs::Outputs;
use crate::tensors::parameters::{Parameter, Text};
use crate::tensors::sequences::{InnerCall, InnerSequence};

/// The parameter that names it.
pub(crate) const DECODER: Parameter<Text> =
    Parameter::new("decoder", "the decoder model to call").default("decoder");

/// The model called.
pub(super) struct Decoder {
    pub(super) model: String,
    /// What it is asked for.
    pub(super) asked: Asked,
    caller: Caller,
    /// Frames of a window.
    frames: usize,
}

/// The encoder's output for one window, for the decoder.
pub(super) struct EncoderOutput {
    pub(super) frames: usize,
    pub(super) hidden: usize,
    pub(super) enc: Vec<f32>,
    pub(super) enc_len: i32,
}

/// A stream's sequence at the decoder. One that is open is ended when this is dropped, or its place there would stay taken
/// until it was idle for too long.
pub(super) struct Session {
    decoder: Arc<Decoder>,
    hidden: usize,
    sequence: InnerSequence,
}

impl Decoder {
    pub(super) fn load(context: &ModelContext, frames: usize) -> Result<Arc<Self>, Error> {
        let needs = Outputs::of(&context.config)?.needs();
        let (model, asked) = (DECODER.read(context)?, Asked::load(context, needs)?);
        let tensors = asked.tensors();
        info!("model '{}' asks '{model}' for {tensors}", context.name);
        Ok(Arc::new(Self {
            model,
            asked,
            caller: Caller::new(context)?,
            frames,
        }))
    }

    /// Sends a call; `done` gets the answer on one of the server's threads.
    pub(super) fn send(
        &self,
        message: InnerCall,
        done: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) {
        message.send(&self.caller, done);
    }

    /// A call with `tokens` embeddings.
    fn message(&self, window: EncoderOutput, embeddings: Vec<f32>, tokens: usize) -> Call {
        let (frames, hidden) = (dim(window.frames), dim(window.hidden));
        let count = i32::try_from(tokens).unwrap_or(i32::MAX);
        let call = Call::new(&self.model)
            .input("enc", &[1, frames, hidden], window.enc)
            .input("enc_len", &[1, 1], [window.enc_len])
            .input("acoustic_embeds", &[1, dim(tokens), hidden], embeddings)
            .input("acoustic_embeds_len", &[1, 1], [count]);
        self.asked.ask(call)
    }
}

impl Session {
    /// None yet, of a stream whose frames have `hidden` values.
    pub(super) fn new(decoder: &Arc<Decoder>, hidden: usize) -> Self {
        Self {
            decoder: Arc::clone(decoder),
            hidden,
            sequence: InnerSequence::default(),
        }
    }

    /// A call with the tokens found in a window.
    pub(super) fn message(
        &mut self,
        window: EncoderOutput,
        embeddings: Vec<f32>,
        call: DecoderCall,
    ) -> InnerCall {
        let message = self.decoder.message(window, embeddings, call.tokens);
        self.sequence.next(message, call.start, call.end)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.sequence.is_open() {
            return;
        }
        let Self {
            decoder,
            hidden,
            sequence,
        } = self;
        let silence = |count| zeros(count, "an abandoned stream's last call of the decoder");
        let (Ok(enc), Ok(embedding)) = (silence(decoder.frames * *hidden), silence(*hidden)) else {
            warn!(
                "no memory to tell '{}' that a stream is over: its place there stays taken until it was idle for too long",
                decoder.model
            );
            return;
        };
        let window = EncoderOutput {
            frames: decoder.frames,
            hidden: *hidden,
            enc,
            enc_len: i32::try_from(decoder.frames).unwrap_or(i32::MAX),
        };
        let call = decoder.message(window, embedding, 1);
        let message = sequence.next(call, false, true);
        // Nothing waits for the answer.
        decoder.send(message, |reply| {
            if let Err(error) = reply {
                verbose!("an abandoned stream's decoder could not be told: {error}");
            }
        });
    }
}
