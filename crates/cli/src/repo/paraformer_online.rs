//! A repository of Paraformer for streams.

use anyhow::Result;
use wav_frontend::online::OnlineFrontend;

use super::assembly::{Assembly, feature_dims};
use super::caches::{self, Cache};
use super::check::{self, Hidden, Mismatch};
use super::graph;
use super::ids::{self, Written};
use super::interface::{self, STREAMING_DECODER, STREAMING_ENCODER};
use super::kind::Kind;
use super::options::Options;
use super::outputs::{Listed, Tells};
use super::paraformer::{scores_of, vocabulary_names};
use super::search::{ModelConfig, Piece, Search};
use super::templates::Template;

/// What the template says of the decoder's scores.
const SCORES: Written = Written {
    scores: "logits",
    steps: "tokens",
    vocabulary: "8404",
    parameter: "decoder_outputs",
};
/// What it can tell.
const TELLS: Tells<'_> = Tells {
    tags: false,
    streams: true,
    no_times: None,
};
/// What the template's feature_extractor has for `chunk_size_s`.
const CHUNK_SECONDS: f64 = 0.6;
/// Stacked frames of a chunk, as the template's cif_search has them in `chunk_size`.
const CHUNK_FRAMES: usize = 10;
/// Encoder size where the config.yaml names none, as the component lfr_cmvn_pe takes it.
const ENCODER_SIZE: usize = 512;

pub(super) fn plan(options: &Options) -> Result<Assembly> {
    let mut search = Search::new(Kind::ParaformerOnline, options)?;
    let encoder = search.onnx("model");
    let decoder = search.onnx("decoder");
    let cmvn = search.cmvn();
    let config = search.config();
    let vocabulary = search.vocabulary();

    search.tell(check::cmvn(cmvn.as_ref(), config.as_ref()));
    let window = config.as_ref().map(window_frames);
    let window = window.and_then(|window| window.map_err(|problem| search.tell([problem])).ok());
    let hidden = config.as_ref().map(hidden_size);
    if let Some(encoder) = &encoder {
        search.tell(interface::check(encoder, &STREAMING_ENCODER));
        search.tell(check::weights(encoder));
        search.tell(check::speech(encoder, config.as_ref()));
        search.tell(check::hidden(encoder, &["enc"], hidden.as_ref()));
    }
    let mut caches = Vec::new();
    if let Some(decoder) = &decoder {
        search.tell(interface::check(decoder, &STREAMING_DECODER));
        search.tell(check::weights(decoder));
        search.tell(check::hidden(
            decoder,
            &["enc", "acoustic_embeds"],
            hidden.as_ref(),
        ));
        search.tell(
            vocabulary
                .as_ref()
                .and_then(|vocabulary| check::scores(decoder, &scores_of(vocabulary))),
        );
        let (found, problems) = caches::read(decoder);
        search.tell(problems);
        caches = found;
    }
    let pieces = encoder
        .zip(decoder)
        .zip(cmvn)
        .zip(config)
        .zip(vocabulary)
        .zip(window);
    let (((((encoder, decoder), cmvn), config), vocabulary), window) = search.verdict(pieces)?;

    let frontend = &config.content.frontend;
    let feature_dim = frontend.feature_dim();
    let facts = format!(
        "{} and {}, {feature_dim} features, {} tokens, {}",
        encoder.name(),
        decoder.name(),
        vocabulary.content.len(),
        caches::facts(&caches)
    );
    let mut files = encoder.places("encoder/1", "model.onnx");
    files.extend(decoder.places("decoder/1", "decoder.onnx"));
    files.extend(
        ["feature_extractor", "lfr_cmvn_pe", "cif_search"]
            .map(|model| (config.path.clone(), format!("{model}/config.yaml"))),
    );
    files.push((cmvn.path, "lfr_cmvn_pe/am.mvn".to_owned()));
    if vocabulary.path != config.path {
        files.push((
            vocabulary.path.clone(),
            format!("cif_search/{}", vocabulary.name()),
        ));
    }
    let listed = Listed::of(options, TELLS)?;
    let handed = ids::hand_out(&decoder, SCORES.scores, options)?;
    let of_ids = match handed.ids {
        true => SCORES.of_decoder(),
        false if listed.probabilities() => SCORES.scores_in_both_forms().to_vec(),
        false => Vec::new(),
    };
    Ok(Assembly {
        template: Template::ParaformerOnline,
        replacements: [
            feature_dims(feature_dim),
            window_dims(window, frontend.num_mel_bins),
            cache_dims(feature_dim),
        ]
        .into_iter()
        .chain(vocabulary_names(&vocabulary))
        .chain(decoder_caches(&caches))
        .chain(of_ids)
        .chain(listed.replacements())
        .collect(),
        files,
        edits: [
            graph::edited(&encoder, options, [])?,
            graph::edited(&decoder, options, [handed.edit])?,
        ]
        .into_iter()
        .flatten()
        .collect(),
        notes: handed.note.into_iter().collect(),
        interfaces: vec![("encoder", encoder.content), ("decoder", handed.interface)],
        facts,
    })
}

/// Log-mel frames of a chunk's window.
fn window_frames(config: &Piece<ModelConfig>) -> Result<usize, Mismatch> {
    let frontend = &config.content.frontend;
    let online = OnlineFrontend::new(frontend, CHUNK_SECONDS).map_err(|error| Mismatch::Chunk {
        reason: error.to_string(),
    })?;
    let stacked = online.stride_frames() / frontend.lfr_n;
    if stacked != CHUNK_FRAMES {
        return Err(Mismatch::Chunk {
            reason: format!(
                "a chunk of {CHUNK_SECONDS} s makes {stacked} stacked frames, expected {CHUNK_FRAMES}"
            ),
        });
    }
    Ok(online.window_frames())
}

fn hidden_size(config: &Piece<ModelConfig>) -> Hidden {
    match config.content.encoder_size {
        Some(size) => Hidden {
            size,
            reason: "encoder_conf.output_size in config.yaml is",
        },
        None => Hidden {
            size: ENCODER_SIZE,
            reason: "config.yaml has no encoder_conf.output_size, which makes it",
        },
    }
}

/// How the template writes the shape of a window, and how it is to write it.
fn window_dims(frames: usize, num_mel_bins: usize) -> (String, String) {
    (
        "dims: [ 61, 80 ]".to_owned(),
        format!("dims: [ {frames}, {num_mel_bins} ]"),
    )
}

/// How the template writes the shape of lfr_cmvn_pe's cache, and how it is to write it.
fn cache_dims(feature_dim: usize) -> (String, String) {
    (
        "dims: [ 10, 560 ]".to_owned(),
        format!("dims: [ {CHUNK_FRAMES}, {feature_dim} ]"),
    )
}

/// How the template declares the decoder's caches, and how it is to declare them.
fn decoder_caches(caches: &[Cache]) -> [(String, String); 3] {
    let published = Cache::published();
    [caches::states, caches::inputs, caches::outputs]
        .map(|declare| (declare(&published), declare(caches)))
}
