//! An Ogg file: Opus, Vorbis: an error, or samples; never more of them than allowed.
#![no_main]

use audio_input::Format;
use libfuzzer_sys::fuzz_target;
use triton_funasr_fuzz::audio;

fuzz_target!(init: audio::decoders_may_panic(), |bytes: &[u8]| {
    audio::decode(bytes, &[Format::Ogg]);
});
