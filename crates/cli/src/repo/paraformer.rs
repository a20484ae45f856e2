//! A repository of Paraformer for whole recordings.

use anyhow::Result;
use asr_decode::vocabulary::Vocabulary;

use super::assembly::{Assembly, feature_dims, parameter};
use super::check::{self, Scores};
use super::graph;
use super::ids::{self, Written};
use super::interface::{self, PARAFORMER, SEACO};
use super::kind::Kind;
use super::options::Options;
use super::outputs::{Listed, Tells};
use super::seaco::{self, HotwordPieces};
use super::search::{Piece, Search};
use super::templates::Template;
use super::times;

/// What the template says of scores.
const SCORES: Written = Written {
    scores: "logits",
    steps: "tokens",
    vocabulary: "8404",
    parameter: "encoder_outputs",
};

pub(super) fn plan(options: &Options) -> Result<Assembly> {
    let mut search = Search::new(Kind::Paraformer, options)?;
    let onnx = search.onnx("model");
    let cmvn = search.cmvn();
    let config = search.config();
    let vocabulary = search.vocabulary();
    let hotwords = onnx
        .as_ref()
        .filter(|onnx| seaco::has_hotwords(onnx))
        .map(|onnx| HotwordPieces::find(&mut search, onnx, vocabulary.as_ref()));

    search.tell(check::cmvn(cmvn.as_ref(), config.as_ref()));
    if let Some(onnx) = &onnx {
        let expected = match hotwords {
            Some(_) => &SEACO,
            None => &PARAFORMER,
        };
        search.tell(interface::check(onnx, expected));
        search.tell(check::weights(onnx));
        search.tell(check::speech(onnx, config.as_ref()));
        search.tell(
            vocabulary
                .as_ref()
                .and_then(|vocabulary| check::scores(onnx, &scores_of(vocabulary))),
        );
    }
    // What lacks of the hot words' pieces is among the problems.
    let hotwords = hotwords.flatten();
    let (((onnx, cmvn), config), vocabulary) =
        search.verdict(onnx.zip(cmvn).zip(config).zip(vocabulary))?;

    let feature_dim = config.content.frontend.feature_dim();
    let facts = format!(
        "{}, {feature_dim} features, {} tokens",
        onnx.name(),
        vocabulary.content.len()
    );
    let mut files = onnx.places("encoder/1", "model.onnx");
    files.extend([
        (cmvn.path, "feature_extractor/am.mvn".to_owned()),
        (config.path, "feature_extractor/config.yaml".to_owned()),
        (
            vocabulary.path.clone(),
            format!("scoring/{}", vocabulary.name()),
        ),
    ]);
    let guarded = graph::guard(&onnx)?;
    let no_times = times::missing(&onnx);
    let tells = Tells {
        tags: false,
        streams: false,
        no_times: no_times.as_deref(),
    };
    let listed = Listed::of(options, tells)?;
    let of_times = match listed.times(tells) {
        true => times::replacements(),
        false => Vec::new(),
    };
    let handed = ids::hand_out(&onnx, SCORES.scores, options)?;
    let of_ids = match handed.ids {
        true => SCORES.of_encoder(),
        false => Vec::new(),
    };
    let edits = [guarded.edit, handed.edit, graph::collect_at_once(&onnx)?];
    let serves = if guarded.serves_silence {
        "true"
    } else {
        "false"
    };
    let assembly = Assembly {
        template: Template::Paraformer,
        replacements: [
            feature_dims(feature_dim),
            parameter("encoder_serves_silence", "false", serves),
        ]
        .into_iter()
        .chain(vocabulary_names(&vocabulary))
        .chain(of_ids)
        .chain(of_times)
        .chain(listed.replacements())
        .collect(),
        files,
        edits: graph::edited(&onnx, options, edits)?.into_iter().collect(),
        notes: guarded.note.into_iter().chain(handed.note).collect(),
        interfaces: vec![("encoder", handed.interface)],
        facts,
    };
    Ok(match hotwords {
        Some(hotwords) => hotwords.complete(assembly),
        None => assembly,
    })
}

/// What a Paraformer's logits must score.
pub(super) fn scores_of(vocabulary: &Piece<Vocabulary>) -> Scores {
    Scores {
        output: SCORES.scores,
        units: "tokens",
        vocabulary: vocabulary.name(),
        expected: vocabulary.content.len(),
    }
}

/// How the templates name the vocabulary, in its own directory and from another one, and how they are to name it.
pub(super) fn vocabulary_names(vocabulary: &Piece<Vocabulary>) -> [(String, String); 2] {
    let own = |name: &str| format!("string_value: \"{name}\"");
    let other = |name: &str| format!("/{name}\"");
    let (from, to) = ("tokens.json", vocabulary.name());
    [(own(from), own(&to)), (other(from), other(&to))]
}
