//! Component `two_pass`: streams to text at once, and to better text whenever somebody has stopped speaking.
//!
//! Other models do the work, called inside the server by their names: `vad` says where speech begins and ends, `first_pass` hears it while it
//! is spoken, `recogniser` hears each segment again when it is over, `punctuation` puts marks into what that says. Second passes of all
//! streams meet in the recogniser's own queue.
//!
//! `WAV` and `WAV_LENS` as `streaming_paraformer` has them; any other input that the config lists is handed on to the recogniser with every
//! segment. A request is answered once, with what its chunk made known: texts of segments, each in the place of what was told of that segment
//! before.
//!
//! A request is a [`turn`] of its stream: first `vad` has its call, then all others that it needs are under way together, and the last
//! answer of them makes the response. No thread waits for any.

mod defaults;
mod model;
mod options;
mod pipeline;
mod result;
mod segmenter;
mod session;
mod stream;
mod turn;

pub(crate) use self::options::PARAMETERS;
pub(crate) use self::pipeline::load;
