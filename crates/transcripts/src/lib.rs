#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cues;
mod heard;
mod subtitles;

pub use cues::{Cue, cues};
pub use heard::{Error, Heard, Problem, Segment, Sentence, Spoken, Timed};
pub use subtitles::{srt, tsv, vtt};
