//! Component `streaming_paraformer`: the whole of streaming Paraformer, with encoder and decoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS` in, `TRANSCRIPTS` out, the text that fired during the request. Chunks may have
//! any size: the frames of a stream are those of its whole audio, and a window runs as soon as its frames are there.
//!
//! A request travels with its stream's state. It waits in the encoder's or the decoder's queue with those of other streams,
//! has its call, and is looked at again by [`StreamingPipeline::go_on`] until the stream needs nothing more.

mod calls;
mod models;
mod pipeline;
mod rehearsal;
mod stream;

pub(crate) use self::models::PARAMETERS;
pub(crate) use self::pipeline::load;
