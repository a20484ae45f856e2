//! Component `cif_search`: a streaming encoder's output to text, with the help of the decoder model.
//!
//! Each request brings the encoder's output for one window: `enc` FP32 `[1, frames, hidden]`, `enc_len` INT32 `[1]`,
//! `alphas` FP32 `[1, frames]`. CIF finds the tokens that end in it; the model `decoder` of the same server says which
//! they are; `transcripts` STRING `[1, 1]` is the text they add to the stream's.
//!
//! `execute` does not wait for the decoder: its callback answers the request. A stream has one request under way at a
//! time, so its state travels with the call.

use std::borrow::Cow;
use std::sync::Arc;

use asr_decode::cif::{Cif, CifOptions, DecoderCall};
use asr_decode::paraformer;
use asr_decode::words::Joiner;
use triton_backend::{
    Batch, Call, Caller, CorrelationId, DataType, Error, ErrorCode, ModelContext, Reply, Request,
    Response, Sequence, guard, verbose,
};

use crate::component::{Component, Worker, check_tensor, check_type};
use crate::options::option;
use crate::paraformer_scoring::{self, TokenDecoder};
use crate::rows::{Layout, dim};
use crate::streams::{Streams, Taken};

/// The loaded component.
pub(crate) struct CifSearch {
    /// Only its vocabulary and way of joining: the decoder model picks the tokens.
    tokens: TokenDecoder,
    options: CifOptions,
    decoder: Arc<Decoder>,
    streams: Streams<Stream>,
}

/// The model that says which tokens they are.
struct Decoder {
    model: String,
    caller: Caller,
    /// Frames of a window.
    frames: usize,
}

/// The state of one stream.
struct Stream {
    cif: Cif,
    joiner: Joiner,
    /// The decoder has a sequence of this stream open.
    decoding: bool,
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
    pub(crate) const PARAMETERS: &'static [&'static [&'static str]] = &[
        paraformer_scoring::PARAMETERS,
        &[
            "config_path",
            "decoder",
            "chunk_size",
            "cif_threshold",
            "tail_threshold",
        ],
    ];

    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        check_tensor(config.input("enc")?, DataType::Fp32, &[None, None])?;
        check_tensor(config.input("alphas")?, DataType::Fp32, &[None])?;
        check_type(config.input("enc_len")?, DataType::Int32)?;
        check_tensor(config.output("transcripts")?, DataType::String, &[Some(1)])?;
        let options = cif_options(context)?;
        let decoder = Arc::new(Decoder {
            model: config
                .parameters
                .text("decoder")
                .unwrap_or("decoder")
                .to_owned(),
            caller: Caller::new(context)?,
            frames: options.chunk_size.iter().sum(),
        });
        let ending = Arc::clone(&decoder);
        let component = Self {
            tokens: TokenDecoder::load(context)?,
            options,
            decoder,
            streams: Streams::with_farewell(config, move |id, stream| ending.end(id, &stream))?,
        };
        // Options that cannot be used fail here and not with the first stream.
        component.new_stream(1)?;
        Ok(Arc::new(component))
    }

    fn new_stream(&self, hidden: usize) -> Result<Stream, Error> {
        let options = CifOptions {
            hidden_size: hidden,
            ..self.options
        };
        let cif = Cif::new(options).map_err(|error| Error::Config(error.to_string()))?;
        Ok(Stream {
            cif,
            joiner: self.tokens.vocabulary.joiner(self.tokens.join),
            decoding: false,
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
        let sequence = request.sequence()?;
        if request.is_cancelled() {
            self.drop_stream(&sequence);
            return Err(Error::new(
                ErrorCode::Cancelled,
                "the client cancelled the request",
            ));
        }
        let window = match Window::read(request) {
            Ok(window) => window,
            Err(error) => {
                // A stream that this was to begin or to end is over all the same; any other is as it was.
                if sequence.start || sequence.end {
                    self.drop_stream(&sequence);
                }
                return Err(error);
            }
        };
        let Taken {
            state: mut stream,
            abandoned,
        } = self
            .streams
            .take(&sequence, || self.new_stream(window.hidden))?;
        if let Some(abandoned) = abandoned {
            self.decoder.end(sequence.id.clone(), &abandoned);
        }
        let mut embeddings = Vec::new();
        let pushed = stream
            .cif
            .push(&window.enc, &window.alphas, sequence.end, &mut embeddings);
        let call = match pushed {
            Ok(call) => call,
            Err(error) => {
                // The state is as it was before this window.
                self.leave(sequence, stream);
                return Err(Error::invalid(error.to_string()));
            }
        };
        let Some(call) = call else {
            return self
                .respond(request, sequence, stream, String::new())
                .map(Step::Done);
        };
        Ok(Step::Decode(Box::new(Work {
            sequence,
            stream,
            window: window.into_owned(),
            embeddings,
            call,
        })))
    }

    /// Sends the tokens found to the decoder, whose callback ends the request.
    fn decode(self: &Arc<Self>, request: Request, work: Work) {
        let Work {
            sequence,
            mut stream,
            window,
            embeddings,
            call,
        } = work;
        let to_decoder = Sequence {
            start: call.start,
            end: call.end,
            ..sequence.clone()
        };
        let message = self
            .decoder
            .message(window, embeddings, call.tokens)
            .sequence(to_decoder);
        stream.decoding = !call.end;
        let component = Arc::clone(self);
        self.decoder.caller.call(message, move |reply| {
            request.compute_ends();
            request.answer(|request| component.decoded(request, sequence, stream, call, reply));
        });
    }

    /// The decoder has answered.
    fn decoded(
        &self,
        request: &Request,
        sequence: Sequence,
        mut stream: Stream,
        call: DecoderCall,
        reply: Result<Reply, Error>,
    ) -> Result<Response, Error> {
        let mut delta = String::new();
        match reply.and_then(|reply| self.read(&reply, &mut stream, call, &mut delta)) {
            Ok(()) => self.respond(request, sequence, stream, delta),
            Err(error) => {
                // The stream goes on without these tokens; the decoder begins afresh with the next ones.
                stream.cif.restart_decoder();
                self.leave(sequence, stream);
                Err(error)
            }
        }
    }

    fn read(
        &self,
        reply: &Reply,
        stream: &mut Stream,
        call: DecoderCall,
        delta: &mut String,
    ) -> Result<(), Error> {
        if call.discard {
            return Ok(());
        }
        let output = reply.output("sample_ids")?;
        let ids = output.read::<i64>()?;
        if ids.len() != call.tokens {
            return Err(Error::internal(format!(
                "model '{}' answered {} sample_ids for {} tokens",
                self.decoder.model,
                ids.len(),
                call.tokens
            )));
        }
        paraformer::append(
            ids.iter().copied(),
            &self.tokens.vocabulary,
            &mut stream.joiner,
            delta,
        )
        .map_err(|error| Error::internal(error.to_string()))
    }

    /// Makes the response and leaves the stream to its next request.
    fn respond(
        &self,
        request: &Request,
        sequence: Sequence,
        mut stream: Stream,
        mut delta: String,
    ) -> Result<Response, Error> {
        if sequence.end {
            stream.joiner.finish(&mut delta);
        }
        self.leave(sequence, stream);
        let mut response = request.response()?;
        if request.wants("transcripts") {
            response.output_strings("transcripts", &[1, 1], &[delta])?;
        }
        Ok(response)
    }

    /// Leaves a stream to its next request, or ends it.
    fn leave(&self, sequence: Sequence, stream: Stream) {
        if sequence.end {
            self.decoder.end(sequence.id, &stream);
        } else {
            self.streams.put_back(sequence.id, stream);
        }
    }

    /// Forgets a stream whose client took it back, or whose first or last request cannot be used.
    fn drop_stream(&self, sequence: &Sequence) {
        let taken = self.streams.take(sequence, || self.new_stream(1));
        for stream in taken
            .into_iter()
            .flat_map(|taken| taken.abandoned.into_iter().chain([taken.state]))
        {
            self.decoder.end(sequence.id.clone(), &stream);
        }
    }
}

impl Decoder {
    /// A call of the decoder with `tokens` embeddings.
    fn message(&self, window: Window<'static>, embeddings: Vec<f32>, tokens: usize) -> Call {
        let (frames, hidden) = (dim(window.frames), dim(window.hidden));
        let count = i32::try_from(tokens).unwrap_or(i32::MAX);
        Call::new(&self.model)
            .input("enc", &[1, frames, hidden], window.enc.into_owned())
            .input("enc_len", &[1, 1], [window.enc_len])
            .input("acoustic_embeds", &[1, dim(tokens), hidden], embeddings)
            .input("acoustic_embeds_len", &[1, 1], [count])
            .output("sample_ids")
    }

    /// Ends the decoder's sequence of a stream that will not end it itself, or its slot would stay taken until it is idle
    /// for too long. Nothing waits for the answer.
    fn end(&self, id: CorrelationId, stream: &Stream) {
        if !stream.decoding {
            return;
        }
        let hidden = stream.cif.options().hidden_size;
        let window = Window {
            frames: self.frames,
            hidden,
            enc: vec![0.0; self.frames * hidden].into(),
            enc_len: i32::try_from(self.frames).unwrap_or(i32::MAX),
            alphas: Cow::Borrowed(&[]),
        };
        let end = Sequence {
            id,
            start: false,
            end: true,
        };
        let message = self.message(window, vec![0.0; hidden], 1).sequence(end);
        self.caller.call(message, |reply| {
            if let Err(error) = reply {
                verbose!("an abandoned stream's decoder could not be told: {error}");
            }
        });
    }
}

/// How far a request got without the decoder.
enum Step {
    /// All the way.
    Done(Response),
    /// There are tokens to decode.
    Decode(Box<Work>),
}

/// What a call of the decoder needs.
struct Work {
    sequence: Sequence,
    stream: Stream,
    window: Window<'static>,
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
        if hidden == 0 {
            return Err(Error::Shape {
                name: "enc".to_owned(),
                got: enc.shape().to_vec(),
                expected: "frames of at least one value".to_owned(),
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
    fn into_owned(self) -> Window<'static> {
        Window {
            enc: Cow::Owned(self.enc.into_owned()),
            // The decoder takes none.
            alphas: Cow::Borrowed(&[]),
            frames: self.frames,
            hidden: self.hidden,
            enc_len: self.enc_len,
        }
    }
}

/// CIF's options: parameters, or the predictor's in the model's config.yaml, or the reference's values.
pub(crate) fn cif_options(context: &ModelContext) -> Result<CifOptions, Error> {
    let parameters = &context.config.parameters;
    let mut options = CifOptions::default();
    let predictor = |key| ("config_path", "predictor_conf", key);
    if let Some(threshold) = option(context, "cif_threshold", predictor("threshold"))? {
        options.threshold = threshold;
    }
    if let Some(tail) = option(context, "tail_threshold", predictor("tail_threshold"))? {
        options.tail_threshold = tail;
    }
    if let Some(text) = parameters.text("chunk_size") {
        let sizes: Vec<usize> = text
            .split(',')
            .map_while(|size| size.trim().parse().ok())
            .collect();
        options.chunk_size = sizes.try_into().map_err(|_| {
            Error::parameter(
                "chunk_size",
                format!("'{text}' is not three frame counts, as in '5, 10, 5'"),
            )
        })?;
    }
    Ok(options)
}

impl Component for CifSearch {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<CifSearch> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            self.start(request);
        }
    }
}
