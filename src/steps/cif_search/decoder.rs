//! The model that says which tokens they are, and its sequences.
//!
//! A stream's sequence at the decoder has a [number of its own](Number): no other of its id has it, nor one of another model that calls
//! the same decoder.

use std::sync::Arc;

use asr_decode::cif::DecoderCall;
use triton_backend::{Call, Caller, Error, ModelContext, Reply, info, verbose};

use crate::steps::decoded::Asked;
use crate::tensors::layout::dim;
use crate::tensors::outputs::Outputs;
use crate::tensors::parameters::{Parameter, Text};
use crate::tensors::sequences::Number;

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
    open: Option<Number>,
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
        message: Message,
        done: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) {
        let Message { call, ending } = message;
        self.caller.call(call, move |reply| {
            if let (Some(number), true) = (ending, reply.is_ok()) {
                number.give_back();
            }
            done(reply);
        });
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

/// A call to be sent.
pub(super) struct Message {
    call: Call,
    /// The number of the sequence that ends with it.
    ending: Option<Number>,
}

impl Session {
    /// None yet, of a stream whose frames have `hidden` values.
    pub(super) fn new(decoder: &Arc<Decoder>, hidden: usize) -> Self {
        Self {
            decoder: Arc::clone(decoder),
            hidden,
            open: None,
        }
    }

    /// A call with the tokens found in a window.
    pub(super) fn message(
        &mut self,
        window: EncoderOutput,
        embeddings: Vec<f32>,
        call: DecoderCall,
    ) -> Message {
        let number = self.open.take().unwrap_or_else(Number::new);
        let message = self
            .decoder
            .message(window, embeddings, call.tokens)
            .sequence(number.sequence(call.start, call.end));
        // With `end` it is over, whatever the answer.
        let ending = if call.end {
            Some(number)
        } else {
            self.open = Some(number);
            None
        };
        Message {
            call: message,
            ending,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(number) = self.open.take() else {
            return;
        };
        let Self {
            decoder, hidden, ..
        } = self;
        let silence = EncoderOutput {
            frames: decoder.frames,
            hidden: *hidden,
            enc: vec![0.0; decoder.frames * *hidden],
            enc_len: i32::try_from(decoder.frames).unwrap_or(i32::MAX),
        };
        let message = Message {
            call: decoder
                .message(silence, vec![0.0; *hidden], 1)
                .sequence(number.sequence(false, true)),
            ending: Some(number),
        };
        // Nothing waits for the answer.
        decoder.send(message, |reply| {
            if let Err(error) = reply {
                verbose!("an abandoned stream's decoder could not be told: {error}");
            }
        });
    }
}
