#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cues;
mod heard;
mod subtitles;

pub use cues::{Cue, cues};
pub use heard::{Error, Heard, Message, Problem, Segment, Sentence, Spoken, Timed, TwoPass};
pub use subtitles::{srt, tsv, vtt};
