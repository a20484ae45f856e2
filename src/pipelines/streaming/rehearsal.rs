//! What a warm-up of the streaming pipeline runs through encoder and decoder.

use std::sync::Arc;

use triton_backend::Error;

use super::calls::DecoderSizes;
use super::pipeline::StreamingPipeline;
use crate::pipelines::warmup::{Rehearsal, Shape, Warm, noise};

/// Tokens that a row of the decoder's calls has: speech has two or three in the 600 ms of a window.
const TOKENS: std::ops::RangeInclusive<usize> = 1..=4;

impl Warm for StreamingPipeline {
    fn callees(&self) -> Vec<&str> {
        vec![&self.models.encoder.name, &self.models.decoder.name]
    }

    /// The windows of chunks of so many seconds of so many streams, and what they may give the decoder to do.
    fn rehearse(&self, shape: &Shape, stage: &Rehearsal) -> Result<(), Error> {
        let models = &self.models;
        models.learn();
        let rows = shape.rows;
        let sample_rate = models.frontend.frontend().options().sample_rate;
        let per_window = models.samples_per_window();
        let windows = shape.samples(sample_rate).div_ceil(per_window.max(1));
        let windows = windows.clamp(1, models.windows_per_turn());
        let count = (rows * windows).min(models.most_rows(&models.encoder));
        let rows = rows.min(models.most_rows(&models.decoder));
        let frames = models.cif.chunk_size.iter().sum();
        let values = count * frames * models.frontend.feature_dim();
        let reply = stage.call(&models.encoder.name, || {
            Ok(models.encoder_message(count, frames, noise(values)?))
        })?;
        let hidden = reply.output("enc")?.shape.last().copied();
        let hidden = hidden
            .and_then(|hidden| usize::try_from(hidden).ok())
            .unwrap_or(0);
        for tokens in TOKENS {
            let sizes = DecoderSizes {
                rows,
                frames,
                tokens,
                hidden,
            };
            stage.call(&models.decoder.name, || {
                let enc = noise(rows * frames * hidden)?;
                let embeddings = noise(rows * tokens * hidden)?;
                models.decoder_message(&sizes, enc, embeddings, &vec![None; rows])
            })?;
        }
        Ok(())
    }

    fn close(&self) {
        self.encoding.close();
        self.decoding.close();
    }

    fn open(self: Arc<Self>) {
        self.encoding.open();
        self.decoding.open();
        self.pump();
    }
}
