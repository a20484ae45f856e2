//! FSMN-VAD: features of frames and the model's caches in, how probable its classes are out.

mod model;
mod options;
mod stream;

pub(crate) use self::options::{PARAMETERS, POST};
pub(super) use self::stream::FsmnAudio;
