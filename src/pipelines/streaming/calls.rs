//! The calls of encoder and decoder: many streams in, each stream's part out.

use std::borrow::Cow;

use asr_decode::{Frames, paraformer};
use triton_backend::{Call, Error, Reply, ReplyOutput};

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
    pub(super) fn decoder_call(&self, queued: &[Queued<Tokens>]) -> Call {
        let rows = queued.len();
        let tokens = queued.first().map_or(0, |item| item.needs.count);
        let embeddings = queued.first().map_or(0, |item| item.needs.embeddings.len());
        let hidden = embeddings.checked_div(tokens).unwrap_or(0);
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
        let cache = |index: usize| {
            let size = hidden * self.caches.frames;
            let mut cache = Vec::with_capacity(rows * size);
            for (row, item) in queued.iter().enumerate() {
                if let Some(own) = item.work.stream.caches.get(index) {
                    cache.extend_from_slice(own);
                }
                cache.resize((row + 1) * size, 0.0);
            }
            cache
        };
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
            cache,
        )
    }

    /// Tokens, as the decoder takes them; `cache` makes the cache of each number, of all rows.
    pub(super) fn decoder_message(
        &self,
        sizes: &DecoderSizes,
        enc: Vec<f32>,
        embeddings: Vec<f32>,
        cache: impl Fn(usize) -> Vec<f32>,
    ) -> Call {
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
        (0..self.caches.count).fold(call, |call, index| {
            call.input(
                format!("in_cache_{index}"),
                &[dim(rows), dim(hidden), dim(self.caches.frames)],
                cache(index),
            )
            .output(format!("out_cache_{index}"))
        })
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
    /// `[rows, hidden, frames]` each.
    caches: Vec<Vec<f32>>,
    rows: usize,
}

impl Decoded {
    pub(super) fn read(
        models: &Models,
        reply: &Reply,
        queued: &[Queued<Tokens>],
    ) -> Result<Self, Error> {
        let rows = queued.len();
        let tokens = queued.first().map_or(0, |item| item.needs.count);
        let (asked, decoder) = (models.asked, &models.decoder.name);
        let answered = decoded::Decoded::read(reply, asked, decoder, (rows, tokens))?;
        let cache = |index: usize| {
            let output = reply.output(&format!("out_cache_{index}"))?;
            let values: Cow<'_, [f32]> = output.read()?;
            if values.is_empty() || !values.len().is_multiple_of(rows) {
                return Err(unexpected(&output, output.shape, &format!("{rows} rows")));
            }
            Ok(values.into_owned())
        };
        let caches = (0..models.caches.count)
            .map(cache)
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            answered,
            tokens,
            caches,
            rows,
        })
    }

    /// Gives a stream its row: the text of its tokens, and the caches for its next ones.
    pub(super) fn give(
        &self,
        row: usize,
        fires: &[Frames],
        models: &Models,
        work: &mut StreamRequest,
    ) -> Result<(), Error> {
        let first = row * self.tokens;
        let decoder = &models.decoder.name;
        let heard = self.answered.heard(first, fires, models.clock, decoder)?;
        let parts = self.caches.iter().map(|cache| {
            let size = cache.len() / self.rows;
            &cache[row * size..][..size]
        });
        for (index, part) in parts.clone().enumerate() {
            check_finite(
                &models.decoder.name,
                format_args!("out_cache_{index}"),
                part,
            )?;
        }
        let joiner = &mut work.stream.joiner;
        paraformer::append(heard, &models.tokens.vocabulary, joiner, &mut work.delta)
            .map_err(|error| Error::internal(error.to_string()))?;
        work.stream.caches.resize(self.caches.len(), Vec::new());
        for (own, part) in work.stream.caches.iter_mut().zip(parts) {
            own.clear();
            own.extend_from_slice(part);
        }
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
