//! Component `vad`: where speech begins and ends, with FSMN-VAD's or Silero's model called inside the server.
//!
//! `WAV` FP32 `[rows, samples]`, `WAV_LENS` INT32 `[rows, 1]` in; `SEGMENTS_MS` INT32 `[rows, segments, 2]` out: start and end of each
//! segment in ms, rows with fewer segments than others filled with -1.
//!
//! With `sequence_batching` in its config it serves streams, a chunk of any size a request. Then `SEGMENTS_MS` has what is new:
//! `[start, -1]` when speech begins, `[-1, end]` when it ends, `[start, end]` where both came with one call.

use std::sync::Arc;

use triton_backend::{Error, ModelContext, warn};

use self::options::{Kind, VAD_KIND};
use crate::component::Component;
use crate::tensors::parameters::Table;

pub(crate) mod fsmn;
mod listening;
mod options;
mod pipeline;
pub(crate) mod silero;
mod work;

pub(crate) use self::options::PARAMETERS;
pub(crate) use self::work::SEGMENTS_MS;

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let (load, others): (fn(&_) -> _, &[&Table]) = match VAD_KIND.read(context)? {
        Kind::Fsmn => (pipeline::load::<fsmn::FsmnAudio>, &[&silero::PARAMETERS]),
        Kind::Silero => (
            pipeline::load::<silero::SileroAudio>,
            &[&fsmn::PARAMETERS, &fsmn::POST],
        ),
    };
    let lines = others.iter().flat_map(|table| table.lines);
    for line in lines.filter(|line| context.config.parameters.text(line.name()).is_some()) {
        warn!(
            "model '{}': parameter '{}' is of another kind of model than '{}' says",
            context.name,
            line.name(),
            VAD_KIND.name()
        );
    }
    load(context)
}
