//! What is the same for all audio of the model: front end, options, and the sizes of its caches.

use speech_segments::vad::VadOptions;
use triton_backend::{Error, ModelContext};
use wav_frontend::stream::StreamFrontend;

use super::options::{VAD_CACHE_FRAMES, VAD_CACHE_SIZE, VAD_CACHES, vad_options};
use crate::pipelines::vad::options::FRAMES_PER_CALL;
use crate::tensors::audio;
use crate::tensors::options::config_value;

/// More values of caches than these are no model's: 64 MB.
const MOST_CACHE_VALUES: usize = 16 << 20;

pub(crate) struct FsmnModel {
    pub(super) frontend: StreamFrontend,
    pub(super) options: VadOptions,
    pub(super) caches: Caches,
    pub(super) frames_per_call: usize,
}

/// The model's caches: `count` tensors `[1, size, frames, 1]`.
#[derive(Clone, Copy)]
pub(super) struct Caches {
    pub(super) count: usize,
    pub(super) size: usize,
    pub(super) frames: usize,
}

impl FsmnModel {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let frontend = audio::frontend(context)?;
        let own = frontend.options();
        let options = vad_options(context, own.sample_rate)?;
        let (shift, length) = (
            f64::from(options.frame_in_ms),
            f64::from(options.frame_length_ms),
        );
        if (own.frame_shift_ms, own.frame_length_ms) != (shift, length) || own.lfr_n != 1 {
            return Err(Error::Config(format!(
                "end points are found in frames of {length} ms every {shift} ms (frame_length_ms, frame_in_ms), but the front end \
                 makes frames of {} ms every {} ms (frame_length, frame_shift) and keeps one of {} (lfr_n)",
                own.frame_length_ms, own.frame_shift_ms, own.lfr_n
            )));
        }
        Ok(Self {
            options,
            caches: Caches::load(context)?,
            frames_per_call: FRAMES_PER_CALL.read(context)?,
            frontend: StreamFrontend::new(frontend),
        })
    }
}

impl Caches {
    fn load(context: &ModelContext) -> Result<Self, Error> {
        let order = |key| config_value::<usize>(context, "encoder_conf", key);
        let frames = match (VAD_CACHE_FRAMES.find(context)?, order("lorder")?) {
            (Some(frames), _) => frames,
            (None, Some(left)) => left
                .saturating_add(order("rorder")?.unwrap_or(0))
                .saturating_sub(1),
            (None, None) => 19,
        };
        let caches = Self {
            count: VAD_CACHES.read(context)?,
            size: VAD_CACHE_SIZE.read(context)?,
            frames,
        };
        let values = caches.values().checked_mul(caches.count);
        if values.is_none_or(|values| values > MOST_CACHE_VALUES) {
            let Self {
                count,
                size,
                frames,
            } = caches;
            let message = format!("{count} caches of {size} x {frames} values are no model's");
            return Err(Error::Config(message));
        }
        Ok(caches)
    }

    /// Values of a cache.
    pub(super) fn values(&self) -> usize {
        self.size.saturating_mul(self.frames)
    }
}
