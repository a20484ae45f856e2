//! Everything but WAV: containers and codecs of symphonia, and Opus.

use std::io::Cursor;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AC3, CODEC_ID_DCA, CODEC_ID_EAC3, CODEC_ID_OPUS, CODEC_ID_SPEEX, CODEC_ID_WAVPACK,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{
    AdtsReader, FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader,
};

use crate::error::AudioError;
use crate::format::Format;
use crate::opus::Opus;
use crate::sink::Sink;
use crate::sniff::id3_size;

/// Packets beyond one for each byte of the file: tables can state any number of empty ones.
const PACKETS_ANYWAY: usize = 1024;

/// A decoder of a track.
enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<Opus>),
}

/// Reads a file into `sink`; whether a part of it is missing.
pub(crate) fn read(bytes: &[u8], format: Format, sink: &mut Sink<'_>) -> Result<bool, AudioError> {
    let outcome = read_as(Source::Whole, bytes, format, sink);
    match (&outcome, format) {
        // Their readers give up on a file that says it is longer than it is, unless they do not know how long it is.
        (Err(AudioError::Broken { .. }), Format::Mp4 | Format::Matroska) => {
            match read_as(Source::Stream, bytes, format, sink) {
                Ok(_) => Ok(true),
                Err(error @ (AudioError::TooLong { .. } | AudioError::Stopped)) => Err(error),
                Err(_) => outcome,
            }
        }
        _ => outcome,
    }
}

/// What a reader is told of a file.
#[derive(Clone, Copy)]
enum Source {
    /// How long it is; any part of it can be asked for.
    Whole,
    /// Nothing: it is read from front to back.
    Stream,
}

fn read_as(
    source: Source,
    bytes: &[u8],
    format: Format,
    sink: &mut Sink<'_>,
) -> Result<bool, AudioError> {
    let mut reader = open(source, bytes, format)?;
    let Some(track) = reader.default_track(TrackType::Audio) else {
        return Err(AudioError::NoAudio { format });
    };
    let (id, frames) = (track.id, track.num_frames);
    let mut decoder = Decoder::of(track, format)?;
    let mut incomplete = format == Format::Ogg && ogg_is_cut(bytes);
    let live = format == Format::Matroska && is_live(bytes);
    let mut why = None;
    let mut interleaved = Vec::new();
    for _ in 0..bytes.len().saturating_add(PACKETS_ANYWAY) {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return finish(sink, format, incomplete, frames, why),
            // A chained stream begins: Ogg files put one behind the other.
            Err(Error::ResetRequired) => {
                let Some(track) = reader.default_track(TrackType::Audio) else {
                    break;
                };
                if track.id == id {
                    decoder = Decoder::of(track, format)?;
                }
                continue;
            }
            Err(error) => {
                // What is recorded live says nowhere how long it is: where it ends, it ends.
                let ends = live && is_end(&error);
                why.get_or_insert(words(&error, format));
                return finish(sink, format, incomplete || !ends, frames, why);
            }
        };
        if packet.track_id != id {
            continue;
        }
        interleaved.clear();
        match decoder.decode(&packet, &mut interleaved) {
            Ok((rate, channels)) => {
                // What there is to hear of an undecodable start is not known either.
                if !interleaved.is_empty() {
                    sink.expect(rate, channels)?;
                    sink.push(&interleaved)?;
                }
            }
            Err(message) => {
                incomplete = true;
                why.get_or_insert(message);
            }
        }
    }
    finish(sink, format, true, frames, why)
}

/// Whether a part is missing; an error if nothing at all could be decoded, and it is known why.
fn finish(
    sink: &Sink<'_>,
    format: Format,
    incomplete: bool,
    frames: Option<u64>,
    why: Option<String>,
) -> Result<bool, AudioError> {
    let taken = sink.frames();
    match why {
        Some(message) if taken == 0 => Err(AudioError::broken(format, message)),
        _ => {
            // Only these count the frames that come out; elsewhere it is an estimate, or has the padding in it.
            let counted = matches!(format, Format::Flac | Format::Mp3);
            let short = counted && frames.is_some_and(|frames| taken < frames);
            Ok(incomplete || short)
        }
    }
}

fn open(
    source: Source,
    bytes: &[u8],
    format: Format,
) -> Result<Box<dyn FormatReader + '_>, AudioError> {
    // MPEG audio and what pretends to be: a tag in front belongs to nobody here.
    let start = match id3_size(bytes) {
        Some(behind) => bytes.get(behind..).unwrap_or_default(),
        None => bytes,
    };
    let start = Cursor::new(start);
    let source: Box<dyn MediaSource + '_> = match source {
        Source::Whole => Box::new(start),
        Source::Stream => Box::new(ReadOnlySource::new(start)),
    };
    let stream = MediaSourceStream::new(source, Default::default());
    let options = FormatOptions::default();
    let opened: Result<Box<dyn FormatReader + '_>, Error> = match format {
        Format::Flac => FlacReader::try_new(stream, options).map(boxed),
        Format::Aac => AdtsReader::try_new(stream, options).map(boxed),
        Format::Ogg => OggReader::try_new(stream, options).map(boxed),
        Format::Mp4 => IsoMp4Reader::try_new(stream, options).map(boxed),
        Format::Matroska => MkvReader::try_new(stream, options).map(boxed),
        Format::Mp3 | Format::Wav => MpaReader::try_new(stream, options).map(boxed),
    };
    opened.map_err(|error| AudioError::broken(format, words(&error, format)))
}

fn boxed<'s>(reader: impl FormatReader + 's) -> Box<dyn FormatReader + 's> {
    Box::new(reader)
}

/// Whether a file ended where there was to be more.
fn is_end(error: &Error) -> bool {
    matches!(error, Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// Whether a Matroska file's Segment, which all the rest is in, is of unknown size (RFC 8794, section 6.2), as browsers record.
fn is_live(bytes: &[u8]) -> bool {
    const SEGMENT: &[u8] = b"\x18\x53\x80\x67";
    let start = &bytes[..bytes.len().min(1024)];
    let at = start.windows(SEGMENT.len()).position(|id| id == SEGMENT);
    let size = at.map_or(&[][..], |at| &start[at + SEGMENT.len()..]);
    size.starts_with(b"\xff") || size.starts_with(b"\x01\xff\xff\xff\xff\xff\xff\xff")
}

/// An error for people.
fn words(error: &Error, format: Format) -> String {
    match error {
        error if is_end(error) => {
            match format {
                // The index of these may come last, behind all the audio.
                Format::Mp4 => "it ends before its index ('moov')".to_owned(),
                _ => "it ends within its header".to_owned(),
            }
        }
        // Where it is all there, but no index is.
        Error::Unsupported(what) if what.contains("moov") => {
            "it ends before its index ('moov')".to_owned()
        }
        error => error.to_string(),
    }
}

impl Decoder {
    fn of(track: &Track, format: Format) -> Result<Self, AudioError> {
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
            return Err(AudioError::NoAudio { format });
        };
        if parameters.codec == CODEC_ID_OPUS {
            return opus(parameters, format);
        }
        let codecs = symphonia::default::get_codecs();
        if codecs.get_audio_decoder(parameters.codec).is_none() {
            let codec = codec(parameters.codec);
            let what = format!("{format} with {codec}");
            return Err(AudioError::Unsupported { what });
        }
        codecs
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map(Self::Symphonia)
            .map_err(|error| AudioError::broken(format, words(&error, format)))
    }

    /// Appends the samples of a packet; their rate and channels, or what is wrong with it.
    fn decode(&mut self, packet: &Packet, samples: &mut Vec<f32>) -> Result<(u32, usize), String> {
        match self {
            Self::Opus(opus) => opus
                .decode(&packet.data, packet.trim_end.get(), samples)
                .map_err(|error| error.to_string()),
            Self::Symphonia(decoder) => {
                let decoded = decoder.decode(packet).map_err(|error| error.to_string())?;
                let spec = decoded.spec();
                decoded.copy_to_vec_interleaved(samples);
                Ok((spec.rate(), spec.channels().count()))
            }
        }
    }
}

fn opus(parameters: &AudioCodecParameters, format: Format) -> Result<Decoder, AudioError> {
    let head = parameters.extra_data.as_deref().unwrap_or_default();
    let opus = Opus::new(head).map_err(|message| AudioError::broken(format, message))?;
    Ok(Decoder::Opus(Box::new(opus)))
}

/// What a codec that is not read is called.
fn codec(id: AudioCodecId) -> String {
    match id {
        CODEC_ID_AC3 => "AC-3".to_owned(),
        CODEC_ID_EAC3 => "E-AC-3".to_owned(),
        CODEC_ID_DCA => "DTS".to_owned(),
        CODEC_ID_SPEEX => "Speex".to_owned(),
        CODEC_ID_WAVPACK => "WavPack".to_owned(),
        id => format!("codec {id}"),
    }
}

/// Whether the last page of an Ogg file is not all there (RFC 3533, section 6): the reader stops before it without a word.
fn ogg_is_cut(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(head) = rest.first_chunk::<27>() else {
            return true;
        };
        if !head.starts_with(b"OggS") {
            // Not a page: the reader looks for the next one, and so may something be missing.
            return true;
        }
        let Some(sizes) = rest.get(27..27 + usize::from(head[26])) else {
            return true;
        };
        let body: usize = sizes.iter().map(|&size| usize::from(size)).sum();
        let Some(next) = rest.get(27 + sizes.len() + body..) else {
            return true;
        };
        rest = next;
    }
    false
}
