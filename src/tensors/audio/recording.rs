//! The audio of a recording piece by piece, for recordings of any length: a file is decoded, and samples are converted, as they are taken.

use triton_backend::{Error, Request};

use super::pieces::{Pieces, Take};
use super::{AudioReader, Form, Sizes, Source, mistakes};
use crate::tensors::memory::room;

impl AudioReader {
    /// Hands out the samples of a request that carries one recording, at the model's rate, in pieces of `length`, of which the last may be
    /// shorter. A file that turns out to be broken, or too long, is an error after the pieces before.
    pub(crate) fn pieces(
        &self,
        request: &Request,
        length: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Error> {
        let rows = self.rows_of(request);
        if rows != 1 {
            let message = format!("the request has {rows} rows; it carries one recording");
            return Err(Error::invalid(message));
        }
        if let Some(files) = self.files_of(request)? {
            let decoding = (self.sample_rate, self.limit);
            return self
                .more
                .decode_pieces(request, &files, decoding, length, take);
        }
        let Sizes { source, .. } = self.sizes_of_tensor(request, None)?;
        let Source::Tensor { counts, rates, .. } = source else {
            return Err(Error::internal("a tensor is no file"));
        };
        let (Some(&count), Some(&rate)) = (counts.first(), rates.first()) else {
            return Err(Error::internal("a recording has one row"));
        };
        let wav = request.input(self.wav)?;
        let mut pieces = Pieces::new(rate, self.sample_rate, length, take)?;
        let block = length.max(1);
        match self.form {
            Form::Integers => {
                let samples = wav.read::<i16>()?;
                let samples = samples.get(..count).unwrap_or(&samples);
                mistakes::check_header_of_i16(self.wav, 0, samples)?;
                for block in samples.chunks(block) {
                    let mut floats = room(block.len(), "samples")?;
                    floats.extend(block.iter().map(|&sample| audio_input::from_i16(sample)));
                    pieces.push(&floats)?;
                }
            }
            Form::Bytes(encoding) => {
                let strings = wav.string_slices()?;
                let bytes = strings.iter().next().unwrap_or_default();
                let end = count.saturating_mul(encoding.size()).min(bytes.len());
                for block in bytes[..end].chunks(block.saturating_mul(encoding.size())) {
                    let mut floats = room(block.len() / encoding.size(), "samples")?;
                    encoding.read(block, &mut floats);
                    self.check(0, &floats)?;
                    pieces.push(&floats)?;
                }
            }
            Form::Floats => {
                let samples = wav.read::<f32>()?;
                let samples = samples.get(..count).unwrap_or(&samples);
                self.check(0, samples)?;
                for block in samples.chunks(block) {
                    pieces.push(block)?;
                }
            }
        }
        pieces.finish()
    }
}
