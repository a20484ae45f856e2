//! The calls of encoder and decoder: many streams in, each stream's part out.

use std::sync::Arc;

use asr_decode::{Frames, paraformer};
use triton_backend::{Call, Carried, Error, Reply, ReplyOutput};

use super::models::Models;
use super::stream::{Queued, StreamRequest, Tokens, Windows};
use crate::steps::decoded::{self, check_finite};
use crate::tensors::layout::dim;

impl Models {
    /// All windows of these streams in one call.
    pub(super) fn encoder_call(&self, queued: &[Queued<Windows>]) -> Call {
        let frames = queued.first().map_or(0, |item| item.needs.frames);
        let count: usize = queued.iter().map(|item| item.needs.count()).sum();
        let mut speech = Vec::with_capacity(count * frames * self.frontend.feature_dim());
        for item in queued {
            speech.extend_from_slice(&item.needs.speech);
        }
        self.encoder_message(count, frames, speech)
    }

    /// `count` windows of `frames` frames each, as the encoder takes them.
    pub(super) fn encoder_message(&self, count: usize, frames: usize, speech: Vec<f32>) -> Call {
        let shape = [dim(count), dim(frames), dim(self.frontend.feature_dim())];
        Call::new(&self.encoder.name)
            .input("speech", &shape, speech)
            .input(
                "speech_lengths",
                &[dim(count), 1],
                vec![length(frames); count],
            )
            .output("enc")
            .output("alphas")
    }

    /// The tokens of these streams in one call; all have equally many, in windows of one length.
    pub(super) fn decoder_call(&self, queued: &[Queued<Tokens>]) -> Result<Call, Error> {
        let rows = queued.len();
        let (tokens, hidden) = token_sizes(queued);
        let frames = queued
            .first()
            .map_or(0, |item| item.needs.enc.len())
            .checked_div(hidden)
            .unwrap_or(0);
        let gather = |part: fn(&Tokens) -> &Vec<f32>| -> Vec<f32> {
            queued
                .iter()
                .flat_map(|item| part(&item.needs))
                .copied()
                .collect()
        };
        let caches = |item: &Queued<Tokens>| item.work.stream.caches.clone();
        let caches: Vec<_> = queued.iter().map(caches).collect();
        let sizes = DecoderSizes {
            rows,
            frames,
            tokens,
            hidden,
        };
        self.decoder_message(
            &sizes,
            gather(|tokens| &tokens.enc),
            gather(|tokens| &tokens.embeddings),
            &caches,
        )
    }

    /// Tokens, as the decoder takes them, with the caches of each row, which are zeros where it has none.
    pub(super) fn decoder_message(
        &self,
        sizes: &DecoderSizes,
        enc: Vec<f32>,
        embeddings: Vec<f32>,
        caches: &[Option<Arc<Carried<f32>>>],
    ) -> Result<Call, Error> {
        let &DecoderSizes {
            rows,
            frames,
            tokens,
            hidden,
        } = sizes;
        let call = Call::new(&self.decoder.name)
            .input("enc", &[dim(rows), dim(frames), dim(hidden)], enc)
            .input("enc_len", &[dim(rows), 1], vec![length(frames); rows])
            .input(
                "acoustic_embeds",
                &[dim(rows), dim(tokens), dim(hidden)],
                embeddings,
            )
            .input(
                "acoustic_embeds_len",
                &[dim(rows), 1],
                vec![length(tokens); rows],
            );
        let call = self.asked.ask(call);
        let shape = [dim(rows), dim(hidden), dim(self.caches.frames)];
        let zeros = Arc::new(Carried::zeros(self.caches.size(hidden))?);
        let outputs = self.caches.outputs.iter().enumerate();
        Ok(outputs.fold(call, |call, (index, output)| {
            let part = |own: &Option<Arc<Carried<f32>>>| match own {
                Some(own) => (Arc::clone(own), index),
                None => (Arc::clone(&zeros), 0),
            };
            let parts = caches.iter().map(part);
            let call = call.input_carried(format!("in_cache_{index}"), &shape, parts);
            match self.asked.tells_of_nan() {
                true => call.output_carried(output),
                // Somebody has to look at the caches.
                false => call.output(output),
            }
        }))
    }
}

/// Sizes of a call of the decoder.
pub(super) struct DecoderSizes {
    pub(super) rows: usize,
    /// Frames of the window that the tokens ended in.
    pub(super) frames: usize,
    /// Tokens of each row.
    pub(super) tokens: usize,
    /// Values of a frame, and of a token.
    pub(super) hidden: usize,
}

/// How many tokens each of these streams has, and how many values a token.
fn token_sizes(queued: &[Queued<Tokens>]) -> (usize, usize) {
    let tokens = queued.first().map_or(0, |item| item.needs.count);
    let values = queued.first().map_or(0, |item| item.needs.embeddings.len());
    (tokens, values.checked_div(tokens).unwrap_or(0))
}

/// The encoder's answer.
pub(super) struct Encoded {
    enc: Vec<f32>,
    alphas: Vec<f32>,
    frames: usize,
    pub(super) hidden: usize,
}

impl Encoded {
    pub(super) fn read(reply: &Reply, queued: &[Queued<Windows>]) -> Result<Self, Error> {
        let count: usize = queued.iter().map(|item| item.needs.count()).sum();
        let frames = queued.first().map_or(0, |item| item.needs.frames);
        let enc = reply.output("enc")?;
        let hidden = match enc.shape {
            &[rows, steps, hidden] if (rows, steps) == (dim(count), dim(frames)) => {
                usize::try_from(hidden).unwrap_or(0)
            }
            shape => {
                return Err(unexpected(
                    &enc,
                    shape,
                    &format!("[{count}, {frames}, hidden]"),
                ));
            }
        };
        let alphas = reply.output("alphas")?;
        let values = alphas.read::<f32>()?;
        if values.len() != count * frames || hidden == 0 {
            return Err(unexpected(
                &alphas,
                alphas.shape,
                &format!("[{count}, {frames}]"),
            ));
        }
        Ok(Self {
            enc: enc.read::<f32>()?.into_owned(),
            alphas: values.into_owned(),
            frames,
            hidden,
        })
    }

    /// Whether a stream's part is numbers.
    pub(super) fn check(&self, models: &Models, enc: &[f32], alphas: &[f32]) -> Result<(), Error> {
        check_finite(&models.encoder.name, "enc", enc)?;
        check_finite(&models.encoder.name, "alphas", alphas)
    }

    /// `enc` and `alphas` of `count` windows from `first` on.
    pub(super) fn rows(&self, first: usize, count: usize) -> (&[f32], &[f32]) {
        let frame = self.frames * self.hidden;
        (
            &self.enc[first * frame..][..count * frame],
            &self.alphas[first * self.frames..][..count * self.frames],
        )
    }
}

/// The decoder's answer.
pub(super) struct Decoded {
    /// `[rows, tokens]`
    answered: decoded::Decoded,
    tokens: usize,
    /// Those of each row.
    caches: Vec<Carried<f32>>,
}

impl Decoded {
    pub(super) fn read(
        models: &Models,
        reply: &Reply,
        queued: &[Queued<Tokens>],
    ) -> Result<Self, Error> {
        let rows = queued.len();
        let (tokens, hidden) = token_sizes(queued);
        let (asked, decoder) = (models.asked, &models.decoder.name);
        let answered = decoded::Decoded::read(reply, asked, decoder, (rows, tokens))?;
        let caches = reply.carry(&models.caches.outputs, rows, models.caches.size(hidden));
        Ok(Self {
            answered,
            tokens,
            caches: caches.map_err(|error| {
                error.context(format_args!(
                    "model '{decoder}', whose caches are those of decoder_caches and decoder_cache_frames"
                ))
            })?,
        })
    }

    /// The rows, in order.
    pub(super) fn into_rows(self) -> impl Iterator<Item = DecodedRow> {
        let Self {
            answered,
            tokens,
            caches,
        } = self;
        let answered = Arc::new(answered);
        caches
            .into_iter()
            .enumerate()
            .map(move |(row, caches)| DecodedRow {
                answered: Arc::clone(&answered),
                first: row * tokens,
                caches,
            })
    }
}

/// A stream's part of the decoder's answer.
pub(super) struct DecodedRow {
    answered: Arc<decoded::Decoded>,
    /// Its first token.
    first: usize,
    caches: Carried<f32>,
}

impl DecodedRow {
    /// Gives a stream the text of its tokens, and the caches for its next ones.
    pub(super) fn give(
        self,
        fires: &[Frames],
        models: &Models,
        work: &mut StreamRequest,
    ) -> Result<(), Error> {
        let decoder = &models.decoder.name;
        let heard = self
            .answered
            .heard(self.first, fires, models.clock, decoder);
        let heard = heard.inspect_err(|_| {
            // Nobody looked at caches that are on a GPU. If there was no number in them, it has shown now, and would for ever.
            work.stream.caches.take_if(|caches| caches.is_on_gpu());
        })?;
        for (name, part) in models.caches.outputs.iter().zip(self.caches.on_host()) {
            check_finite(decoder, name, part)?;
        }
        let joiner = &mut work.stream.joiner;
        paraformer::append(heard, &models.tokens.vocabulary, joiner, &mut work.delta)
            .map_err(|error| Error::internal(error.to_string()))?;
        work.stream.caches = Some(Arc::new(self.caches));
        Ok(())
    }
}

fn unexpected(output: &ReplyOutput<'_>, shape: &[i64], expected: &str) -> Error {
    let name = output.name;
    Error::internal(format!(
        "the called model answered '{name}' of shape {shape:?}, expected {expected}"
    ))
}

/// A length as the models take it.
fn length(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
