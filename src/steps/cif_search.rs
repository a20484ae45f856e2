//! Component `cif_search`: a streaming encoder's output to text, with the help of the decoder model.
//!
//! Each request brings the encoder's output for one window: `enc` FP32 `[1, frames, hidden]`, `enc_len` INT32 `[1]`,
//! `alphas` FP32 `[1, frames]`. CIF finds the tokens that end in it; the model `decoder` of the same server says which
//! they are; `transcripts` STRING `[1, 1]` is the text they add to the stream's.
//!
//! `execute` does not wait for the decoder: its callback answers the request. A stream has one request under way at a
//! time, so its state travels with the call.

mod decoder;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use asr_decode::Transcript;
use asr_decode::cif::{Cif, CifOptions, DecoderCall};
use asr_decode::paraformer;
use asr_decode::words::Joiner;
use triton_backend::{Batch, DataType, Error, ModelContext, Reply, Request, Response, guard};
use wav_frontend::windows::MAX_WINDOW;

pub(crate) use self::decoder::DECODER;
use self::decoder::{Decoder, EncoderOutput, Session};
use crate::component::{Component, Worker};
use crate::steps::decoded::{DECODER_OUTPUTS, Decoded};
use crate::steps::paraformer_scoring::TokenDecoder;
use crate::steps::stream_clock::StreamClock;
use crate::tensors::layout::{Layout, not_finite};
use crate::tensors::layout::{check_tensor, check_type};
use crate::tensors::memory::room;
use crate::tensors::options::{CONFIG_PATH, Configured};
use crate::tensors::outputs::{Outputs, StreamText};
use crate::tensors::parameters::{Parameter, Table, Written};
use crate::tensors::sequences::{Ends, Lease, Streams};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "cif_search",
    lines: &[&CONFIG_PATH, &DECODER, &DECODER_OUTPUTS],
};

/// The parameters that [`cif_options`] reads.
pub(crate) const CIF: Table = Table {
    name: "CIF",
    lines: &[&CHUNK_SIZE, &CIF_THRESHOLD, &TAIL_THRESHOLD],
};

const CHUNK_SIZE: Parameter<WindowFrames> = Parameter::new(
    "chunk_size",
    "frames of a window that look back, that belong to it, that look ahead",
)
.default("5, 10, 5");
const CIF_THRESHOLD: Configured<f32> = Configured {
    parameter: Parameter::new("cif_threshold", "the sum of alphas at which a token ends")
        .default(1.0),
    section: "predictor_conf",
    key: "threshold",
};
const TAIL_THRESHOLD: Configured<f32> = Configured {
    parameter: Parameter::new(
        "tail_threshold",
        "what is added to that sum at a stream's end, so that a nearly complete token is not lost",
    )
    .default(0.45),
    section: "predictor_conf",
    key: "tail_threshold",
};

/// More values than any encoder has for a frame. A stream keeps some frames, whoever asked for it.
const MOST_VALUES: usize = 8192;

/// Frames of a window: those that look back, its own, those that look ahead.
struct WindowFrames([usize; 3]);

impl Written for WindowFrames {
    const KIND: &'static str = "three whole numbers";

    fn parse(text: &str) -> Result<Self, &'static str> {
        let sizes = text.split(',').map(|size| size.trim().parse().ok());
        let sizes: Option<Vec<usize>> = sizes.collect();
        let sizes: Option<[usize; 3]> = sizes.and_then(|sizes| sizes.try_into().ok());
        let sizes = sizes.ok_or("is not three frame counts, as in '5, 10, 5'")?;
        match sizes.iter().all(|&size| size <= MAX_WINDOW) {
            true => Ok(Self(sizes)),
            false => Err("has more frames than a minute of audio"),
        }
    }
}

/// An ensemble's first step ends its streams sooner. What it does not know of any more is ended here.
const ENDS: Ends = Ends {
    patience: Duration::from_secs(10),
    first_step: false,
};

/// The loaded component.
pub(crate) struct CifSearch {
    /// The model's name.
    name: String,
    /// Only its vocabulary and way of joining: the decoder model picks the tokens.
    tokens: TokenDecoder,
    options: CifOptions,
    decoder: Arc<Decoder>,
    outputs: Outputs,
    streams: Streams<CifStream>,
}

/// The state of one stream.
struct CifStream {
    cif: Cif,
    joiner: Joiner,
    text: StreamText,
    session: Session,
}

impl CifStream {
    /// The stream as it goes on where tokens could not be decoded: the decoder begins afresh with the next ones.
    fn without_tokens(mut self) -> Self {
        self.cif.restart_decoder();
        self
    }
}

/// The encoder's output for one window, where the server put it.
struct Window<'r> {
    frames: usize,
    hidden: usize,
    enc: Cow<'r, [f32]>,
    enc_len: i32,
    alphas: Cow<'r, [f32]>,
}

impl CifSearch {
    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        check_tensor(config.input("enc")?, DataType::Fp32, &[None, None])?;
        check_tensor(config.input("alphas")?, DataType::Fp32, &[None])?;
        check_type(config.input("enc_len")?, DataType::Int32)?;
        let options = cif_options(context)?;
        let component = Self {
            name: context.name.clone(),
            tokens: TokenDecoder::load(context)?,
            options,
            decoder: Decoder::load(context, options.chunk_size.iter().sum())?,
            outputs: Outputs::of(config)?.without_audio()?,
            streams: Streams::new(context, &ENDS)?,
        };
        // Options that cannot be used fail here and not with the first stream.
        component.new_stream(1)?;
        Ok(Arc::new(component))
    }

    fn new_stream(&self, hidden: usize) -> Result<CifStream, Error> {
        let options = CifOptions {
            hidden_size: hidden,
            ..self.options
        };
        let cif = Cif::new(options).map_err(|error| Error::Config(error.to_string()))?;
        Ok(CifStream {
            cif,
            joiner: self.tokens.vocabulary.joiner(self.tokens.join),
            text: StreamText::default(),
            session: Session::new(&self.decoder, hidden),
        })
    }

    /// Starts the work on a request; what ends it may come later, from the decoder's callback.
    fn start(self: &Arc<Self>, request: Request) {
        let step = guard(|| self.integrate(&request));
        request.compute_starts();
        match step {
            Ok(Step::Done(response)) => request.finish(Ok(response)),
            Ok(Step::Decode(work)) => self.decode(request, *work),
            Err(error) => request.fail(error),
        }
    }

    fn integrate(&self, request: &Request) -> Result<Step, Error> {
        let leased = self.streams.lease(&request.sequence()?)?;
        let (lease, state, window) =
            leased.read(request.is_cancelled(), |_| self.read_window(request))?;
        let begins = state.is_none();
        let mut stream = match state {
            Some(stream) => stream,
            None => self.new_stream(window.hidden)?,
        };
        let mut embeddings = Vec::new();
        let pushed = stream
            .cif
            .push(&window.enc, &window.alphas, lease.ends(), &mut embeddings);
        let call = match pushed {
            Ok(call) => call,
            Err(error) => {
                // The state is as it was before this window.
                lease.refuse((!begins).then_some(stream));
                return Err(Error::invalid(error.to_string()));
            }
        };
        let Some(call) = call else {
            return self
                .respond(request, lease, stream, Transcript::default())
                .map(Step::Done);
        };
        let window = match window.into_encoder_output() {
            Ok(window) => window,
            Err(error) => {
                lease.put_back(stream.without_tokens());
                return Err(error);
            }
        };
        Ok(Step::Decode(Box::new(DecoderWork {
            lease,
            stream,
            window,
            embeddings,
            call,
        })))
    }

    /// Sends the tokens found to the decoder, whose callback ends the request.
    fn decode(self: &Arc<Self>, request: Request, work: DecoderWork) {
        let DecoderWork {
            lease,
            mut stream,
            window,
            embeddings,
            call,
        } = work;
        let message = stream.session.message(window, embeddings, call);
        let component = Arc::clone(self);
        self.decoder.send(message, move |reply| {
            request.compute_ends();
            request.answer(|request| component.decoded(request, lease, stream, call, reply));
        });
    }

    /// The decoder has answered.
    fn decoded(
        &self,
        request: &Request,
        lease: Lease<CifStream>,
        mut stream: CifStream,
        call: DecoderCall,
        reply: Result<Reply, Error>,
    ) -> Result<Response, Error> {
        if request.is_cancelled() {
            // Whatever the answer: the client takes none, and the stream's place at the decoder is free for another.
            lease.cancel();
            return Err(Error::cancelled());
        }
        let mut delta = Transcript::default();
        match reply.and_then(|reply| self.read(&reply, &mut stream, call, &mut delta)) {
            Ok(()) => self.respond(request, lease, stream, delta),
            Err(error) => {
                lease.put_back(stream.without_tokens());
                Err(error)
            }
        }
    }

    fn read(
        &self,
        reply: &Reply,
        stream: &mut CifStream,
        call: DecoderCall,
        delta: &mut Transcript,
    ) -> Result<(), Error> {
        if call.discard {
            return Ok(());
        }
        let Decoder { model, asked, .. } = &*self.decoder;
        let decoded = Decoded::read(reply, *asked, model, (1, call.tokens))?;
        let clock = StreamClock::of(self.options.chunk_size);
        let heard = decoded.heard(0, stream.cif.fires(), clock, model)?;
        paraformer::append(heard, &self.tokens.vocabulary, &mut stream.joiner, delta)
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Makes the response and leaves the stream to its next request.
    fn respond(
        &self,
        request: &Request,
        lease: Lease<CifStream>,
        mut stream: CifStream,
        mut delta: Transcript,
    ) -> Result<Response, Error> {
        let ends = lease.ends();
        if ends {
            stream.joiner.finish(&mut delta.raw);
        }
        let told = stream.text.tell(&delta, ends, self.outputs.needs());
        let written = request.response().and_then(|mut response| {
            let wanted = |name: &str| request.wants(name);
            self.outputs.write(&mut response, wanted, &[told])?;
            Ok(response)
        });
        lease.put_back(stream);
        written
    }

    fn read_window<'r>(&self, request: &'r Request) -> Result<Window<'r>, Error> {
        let window = Window::read(request)?;
        for (name, values) in [("enc", &window.enc), ("alphas", &window.alphas)] {
            if let Some(what) = not_finite(values) {
                return Err(Error::internal(format!(
                    "model '{}' was given {what} of '{name}', which can only come from an encoder whose file is broken or whose \
                     numbers overflow, as those of exports in half precision may",
                    self.name
                )));
            }
        }
        Ok(window)
    }
}

/// How far a request got without the decoder.
enum Step {
    /// All the way.
    Done(Response),
    /// There are tokens to decode.
    Decode(Box<DecoderWork>),
}

/// What a call of the decoder needs.
struct DecoderWork {
    lease: Lease<CifStream>,
    stream: CifStream,
    window: EncoderOutput,
    embeddings: Vec<f32>,
    call: DecoderCall,
}

impl<'r> Window<'r> {
    fn read(request: &'r Request) -> Result<Self, Error> {
        let layout = Layout { batched: true };
        let enc = request.input("enc")?;
        let (rows, [frames, hidden]) = layout.rows("enc", enc.shape(), "frames, hidden")?;
        if rows != 1 {
            return Err(Error::Shape {
                name: "enc".to_owned(),
                got: enc.shape().to_vec(),
                expected: "one row: a request carries one window of one stream".to_owned(),
            });
        }
        if !(1..=MOST_VALUES).contains(&hidden) {
            return Err(Error::Shape {
                name: "enc".to_owned(),
                got: enc.shape().to_vec(),
                expected: format!("frames of 1 to {MOST_VALUES} values"),
            });
        }
        let lens = request.input("enc_len")?;
        let values = lens.read::<i32>()?;
        let enc_len = layout.lengths(
            "enc_len",
            lens.shape(),
            &values,
            1,
            (1, frames),
            "frames of 'enc'",
        )?;
        let enc_len = enc_len
            .first()
            .and_then(|&length| i32::try_from(length).ok())
            .unwrap_or(i32::MAX);
        Ok(Self {
            frames,
            hidden,
            enc: enc.read()?,
            enc_len,
            alphas: request.input("alphas")?.read()?,
        })
    }

    /// What goes to the decoder: a copy, since the request, whose memory it was, travels with the call.
    fn into_encoder_output(self) -> Result<EncoderOutput, Error> {
        let mut enc = room(self.enc.len(), "the encoder's output")?;
        enc.extend_from_slice(&self.enc);
        Ok(EncoderOutput {
            frames: self.frames,
            hidden: self.hidden,
            enc,
            enc_len: self.enc_len,
        })
    }
}

/// CIF's options: parameters, or the predictor's in the model's config.yaml, or the reference's values.
pub(crate) fn cif_options(context: &ModelContext) -> Result<CifOptions, Error> {
    Ok(CifOptions {
        chunk_size: CHUNK_SIZE.read(context)?.0,
        threshold: CIF_THRESHOLD.read(context)?,
        tail_threshold: TAIL_THRESHOLD.read(context)?,
        ..CifOptions::default()
    })
}

impl Component for CifSearch {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }

    fn called(&self) -> Vec<&str> {
        vec![&self.decoder.model]
    }
}

impl Worker for Arc<CifSearch> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            self.start(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_three_frame_counts() {
        let parsed = |text| WindowFrames::parse(text).map(|frames| frames.0);
        assert_eq!(parsed("5, 10,5"), Ok([5, 10, 5]));
        for text in [
            "",
            "5, 10",
            "5, 10, 5, 5",
            "5, 10, 5, x",
            "5, 10, 5,",
            "5, -1, 5",
        ] {
            assert!(
                parsed(text).unwrap_err().contains("three frame counts"),
                "{text}"
            );
        }
        for text in ["5, 10, 1000000000000", "18446744073709551615, 10, 5"] {
            assert!(parsed(text).unwrap_err().contains("a minute"), "{text}");
        }
    }
}
