//! The requests of the models that clients call: their names, their inputs, and a stream's chunks.

use crate::http::{Input, Sequence};
use crate::repo::Kind;

/// SenseVoice's `LANGUAGE` for letting the model find out.
pub const AUTO: [i32; 1] = [0];
/// SenseVoice's `TEXT_NORM` with inverse text normalisation.
pub const WITH_ITN: [i32; 1] = [14];
/// SenseVoice's `TEXT_NORM` without it.
pub const WITHOUT_ITN: [i32; 1] = [15];
/// The input that takes a whole file.
pub const AUDIO: &str = "AUDIO";
/// The input that takes words to listen for.
pub const HOTWORDS: &str = "HOTWORDS";
/// Samples of a stream's chunk: 600 ms.
pub const CHUNK: usize = 9600;

/// Samples of silence behind a stream: 320 ms.
pub const SILENCE: usize = 5120;

/// The model of a repository that clients call.
pub fn model(kind: Kind) -> &'static str {
    match kind {
        Kind::Sensevoice => "sensevoice",
        Kind::Paraformer => "infer_pipeline",
        Kind::ParaformerOnline => "streaming_paraformer",
    }
}

/// The audio of a recording or of a stream's chunk; all that Paraformer takes.
pub fn audio<'a>(samples: &'a [f32], length: &'a [i32; 1]) -> [Input<'a>; 2] {
    [
        Input::row("WAV", samples),
        Input::number("WAV_LENS", length),
    ]
}

/// What SenseVoice takes.
pub fn sensevoice<'a>(
    samples: &'a [f32],
    length: &'a [i32; 1],
    language: &'a [i32; 1],
    norm: &'a [i32; 1],
) -> [Input<'a>; 4] {
    let [wav, wav_lens] = audio(samples, length);
    let [language, norm] = prompt(language, norm);
    [wav, wav_lens, language, norm]
}

/// What SenseVoice takes beside the audio.
pub fn prompt<'a>(language: &'a [i32; 1], norm: &'a [i32; 1]) -> [Input<'a>; 2] {
    [
        Input::number("LANGUAGE", language),
        Input::number("TEXT_NORM", norm),
    ]
}

/// What a stream's samples are sent as: an ensemble decodes the last 300 ms only when something follows. A pipeline hears the end
/// by itself, and its text stays the same.
pub fn with_silence(samples: &[f32]) -> Vec<f32> {
    let mut padded = samples.to_vec();
    padded.resize(samples.len() + SILENCE, 0.0);
    padded
}

/// The chunks of a stream, each with its place in the sequence. The last one may be shorter; a stream without samples is one
/// empty chunk.
pub fn chunks(samples: &[f32], id: u64) -> impl Iterator<Item = (&[f32], Sequence)> {
    let count = samples.len().div_ceil(CHUNK).max(1);
    (0..count).map(move |index| {
        let chunk = &samples[index * CHUNK..samples.len().min((index + 1) * CHUNK)];
        let sequence = Sequence {
            id,
            start: index == 0,
            end: index + 1 == count,
        };
        (chunk, sequence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_starts_and_ends_once() {
        let samples = vec![0.0; 2 * CHUNK + 1];
        let flags = |samples| {
            chunks(samples, 7)
                .map(|(chunk, sequence)| (chunk.len(), sequence.start, sequence.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            flags(&samples),
            [
                (CHUNK, true, false),
                (CHUNK, false, false),
                (1, false, true)
            ]
        );
        assert_eq!(flags(&samples[..CHUNK]), [(CHUNK, true, true)]);
        assert_eq!(flags(&[]), [(0, true, true)]);
        // A whole chunk's end is heard with the silence.
        let padded = with_silence(&samples[..CHUNK]);
        assert_eq!(
            flags(&padded),
            [(CHUNK, true, false), (SILENCE, false, true)]
        );
    }
}
