//! Component `punctuation`: marks between words, with CT-Transformer's model called inside the server.
//!
//! `TEXT` STRING `[rows, 1]` in, `TEXT` STRING `[rows, 1]` out: the same with marks, and a period at its end.
//!
//! With `sequence_batching` in its config it serves a speech that goes on, a piece a request, with a model of the realtime kind
//! (`vad_masks`, `sub_masks`). Then `TEXT` is the piece with its marks, in front of it the mark that the one before still lacked.

mod model;
mod pipeline;
mod work;

pub(crate) use self::model::PARAMETERS;
pub(crate) use self::pipeline::load;
pub(crate) use self::work::TEXT;
