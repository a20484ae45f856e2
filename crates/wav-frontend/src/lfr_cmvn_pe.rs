//! The step between the streaming front end and its encoder: stacking, normalisation and position encoding.
//!
//! ```
//! use wav_frontend::Cmvn;
//! use wav_frontend::lfr_cmvn_pe::{LfrCmvnPe, LfrCmvnPeOptions};
//!
//! # let ones = vec!["1"; 560].join(" ");
//! # let section = format!("560 560 <LearnRateCoef> 0 [ {ones} ]");
//! # let text = format!("<AddShift> {section} <Rescale> {section}");
//! let cmvn = Cmvn::parse(&text)?; // of a model: Cmvn::read("am.mvn")
//! let step = LfrCmvnPe::new(LfrCmvnPeOptions::default(), cmvn)?;
//!
//! let window = vec![0.5; 61 * 80];
//! let (cache, offset) = (vec![0.0; 10 * 560], 0); // of a stream that begins
//! let (mut out, mut next_cache) = (vec![0.0; 20 * 560], vec![0.0; 10 * 560]);
//! let next_offset = step.apply(&cache, offset, &window, &mut out, &mut next_cache)?;
//! assert_eq!(next_offset, 10);
//! assert_eq!(out[10 * 560..], next_cache);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::cmvn::Cmvn;
use crate::error::check_size;
use crate::error::invalid;
use crate::error::{FrontendError, OptionsError};
use crate::positions::Positions;

/// Sizes of [`LfrCmvnPe`]. The default is that of the published streaming Paraformer.
#[derive(Debug, Clone, PartialEq)]
pub struct LfrCmvnPeOptions {
    /// Values per log-mel frame, 80.
    pub num_mel_bins: usize,
    /// Log-mel frames per window, 61.
    pub window_frames: usize,
    /// Frames stacked into one, 7.
    pub lfr_m: usize,
    /// Frames between two stacked ones, 6.
    pub lfr_n: usize,
    /// The encoder's output size, 512; features are multiplied by its square root.
    pub encoder_output_size: usize,
}

impl Default for LfrCmvnPeOptions {
    fn default() -> Self {
        Self {
            num_mel_bins: 80,
            window_frames: 61,
            lfr_m: 7,
            lfr_n: 6,
            encoder_output_size: 512,
        }
    }
}

impl LfrCmvnPeOptions {
    fn dim(&self) -> usize {
        self.num_mel_bins.saturating_mul(self.lfr_m)
    }

    fn validate(&self) -> Result<(), OptionsError> {
        let limits = [
            ("n_mels", self.num_mel_bins, 1..=4096),
            ("lfr_m", self.lfr_m, 1..=1024),
            ("lfr_n", self.lfr_n, 1..=1024),
            ("window_frames", self.window_frames, self.lfr_m..=65_536),
        ];
        for (key, value, limits) in limits {
            if !limits.contains(&value) {
                let expected = format!("{} to {}", limits.start(), limits.end());
                return Err(invalid(key, value.to_string(), expected));
            }
        }
        Ok(())
    }
}

/// Windows of log-mel frames to the encoder's input, without any memory of its own: the stream's cache and offset go in
/// and come out.
///
/// A window is stacked (with 61 frames, m 7 and n 6: ten frames of 560), shifted and scaled with the am.mvn,
/// multiplied by the square root of the encoder's output size, and gets the sinusoidal encoding of its positions
/// offset + 1, offset + 2 … added: for k below half the width K, sin(position t_k) and, K further on, cos(position t_k)
/// with t_k = 10000^(-k / (K - 1)). Positions are computed in double precision, so there is no last one.
#[derive(Debug, Clone)]
pub struct LfrCmvnPe {
    options: LfrCmvnPeOptions,
    cmvn: Cmvn,
    positions: Positions,
}

impl LfrCmvnPe {
    /// The step with `options` and a model's am.mvn.
    ///
    /// # Errors
    /// When an option makes no sense, or `cmvn` has not `num_mel_bins * lfr_m` values.
    pub fn new(options: LfrCmvnPeOptions, cmvn: Cmvn) -> Result<Self, FrontendError> {
        options.validate()?;
        let positions = Positions::new(
            options.num_mel_bins,
            options.lfr_m,
            options.encoder_output_size,
        )?;
        if cmvn.dim() != options.dim() {
            return Err(FrontendError::CmvnWidth {
                given: cmvn.dim(),
                expected: options.dim(),
                num_mel_bins: options.num_mel_bins,
                lfr_m: options.lfr_m,
            });
        }
        Ok(Self {
            positions,
            options,
            cmvn,
        })
    }

    /// Values per stacked frame, 560.
    pub fn feature_dim(&self) -> usize {
        self.options.dim()
    }

    /// Stacked frames per window, 10.
    pub fn frames(&self) -> usize {
        (self.options.window_frames - self.options.lfr_m) / self.options.lfr_n + 1
    }

    /// Stacked frames handed to the encoder: the previous window's and this one's, 20.
    pub fn output_frames(&self) -> usize {
        2 * self.frames()
    }

    /// Computes one window.
    ///
    /// - `cache`: the stream's, `[frames(), feature_dim()]`, zeros at its start
    /// - `offset`: positions before this window, 0 at the stream's start; a negative one counts as 0
    /// - `window`: log-mel frames, `[window_frames, num_mel_bins]`
    /// - `out`: for the encoder, `[output_frames(), feature_dim()]`
    /// - `next_cache`: the cache for the next window, `[frames(), feature_dim()]`
    ///
    /// Returns the offset for the next window.
    ///
    /// # Errors
    /// When a buffer has another size.
    pub fn apply(
        &self,
        cache: &[f32],
        offset: i32,
        window: &[f32],
        out: &mut [f32],
        next_cache: &mut [f32],
    ) -> Result<i32, FrontendError> {
        let (frames, dim) = (self.frames(), self.feature_dim());
        check_size("the cache", cache.len(), frames, dim)?;
        check_size(
            "the window",
            window.len(),
            self.options.window_frames,
            self.options.num_mel_bins,
        )?;
        check_size("the output buffer", out.len(), 2 * frames, dim)?;
        check_size("the next cache", next_cache.len(), frames, dim)?;

        let (previous, current) = out.split_at_mut(frames * dim);
        previous.copy_from_slice(cache);
        self.stack(window, current);
        let offset_positions = u64::try_from(offset).unwrap_or(0);
        self.positions.apply(offset_positions + 1, current);
        next_cache.copy_from_slice(current);
        Ok(offset.saturating_add(i32::try_from(frames).unwrap_or(i32::MAX)))
    }

    /// Stacks and normalises.
    fn stack(&self, window: &[f32], out: &mut [f32]) {
        let dim = self.feature_dim();
        let hop = self.options.lfr_n * self.options.num_mel_bins;
        for (row, out) in out.chunks_exact_mut(dim).enumerate() {
            let values = &window[row * hop..][..dim];
            let cmvn = self.cmvn.shift().iter().zip(self.cmvn.scale());
            for ((out, value), (shift, scale)) in out.iter_mut().zip(values).zip(cmvn) {
                *out = (value + shift) * scale;
            }
        }
    }
}
