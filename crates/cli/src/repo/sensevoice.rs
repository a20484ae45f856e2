//! A SenseVoice repository.

use anyhow::Result;

use super::assembly::{Assembly, feature_dims, parameter};
use super::check::{self, Scores};
use super::graph;
use super::ids::{self, Written};
use super::interface::{self, SENSEVOICE};
use super::kind::Kind;
use super::options::Options;
use super::outputs::{Listed, Tells};
use super::search::Search;
use super::templates::Template;

/// The name the template's configuration gives the tokenizer.
pub(super) const TOKENIZER: &str = "chn_jpn_yue_eng_ko_spectok.bpe.model";

/// What the template says of scores.
const SCORES: Written = Written {
    scores: "ctc_logits",
    steps: "frames",
    vocabulary: "25055",
    parameter: "encoder_outputs",
};

/// What it can tell.
const TELLS: Tells<'_> = Tells {
    tags: true,
    streams: false,
    no_times: None,
};

/// How many languages and ways to write numbers the published model has, as the template says.
const PROMPT_IDS: &str = "16";

pub(super) fn plan(options: &Options) -> Result<Assembly> {
    let mut search = Search::new(Kind::Sensevoice, options)?;
    let onnx = search.onnx("model");
    let cmvn = search.cmvn();
    let config = search.config();
    let tokenizer = search.tokenizer();

    search.tell(check::cmvn(cmvn.as_ref(), config.as_ref()));
    if let Some(onnx) = &onnx {
        search.tell(interface::check(onnx, &SENSEVOICE));
        search.tell(check::weights(onnx));
        search.tell(check::speech(onnx, config.as_ref()));
        search.tell(tokenizer.as_ref().and_then(|tokenizer| {
            check::scores(
                onnx,
                &Scores {
                    output: SCORES.scores,
                    units: "pieces",
                    vocabulary: format!("the tokenizer {}", tokenizer.name()),
                    expected: tokenizer.content.len(),
                },
            )
        }));
    }
    let (((onnx, cmvn), config), tokenizer) =
        search.verdict(onnx.zip(cmvn).zip(config).zip(tokenizer))?;

    let feature_dim = config.content.frontend.feature_dim();
    let facts = format!(
        "{}, {feature_dim} features, {} pieces",
        onnx.name(),
        tokenizer.content.len()
    );
    let mut files = onnx.places("encoder/1", "model.onnx");
    files.extend([
        (cmvn.path, "feature_extractor/am.mvn".to_owned()),
        (config.path, "feature_extractor/config.yaml".to_owned()),
        (tokenizer.path, format!("scoring/{TOKENIZER}")),
    ]);
    let mut replacements = vec![feature_dims(feature_dim)];
    let listed = Listed::of(options, TELLS)?;
    let handed = ids::hand_out(&onnx, SCORES.scores, options)?;
    if handed.ids {
        replacements.extend(SCORES.of_encoder());
    }
    replacements.extend(listed.replacements());
    let mut notes = Vec::from_iter(handed.note);
    match graph::ids(&onnx, &["language", "textnorm"])? {
        Some(ids) => replacements.push(parameter("prompt_ids", PROMPT_IDS, &ids.to_string())),
        None => notes.push(format!(
            "{}: from which ids LANGUAGE and TEXT_NORM may pick cannot be seen; {PROMPT_IDS} are taken, as the published model has",
            onnx.name()
        )),
    }
    Ok(Assembly {
        template: Template::Sensevoice,
        replacements,
        files,
        edits: graph::edited(&onnx, options, [handed.edit])?
            .into_iter()
            .collect(),
        notes,
        interfaces: vec![("encoder", handed.interface)],
        facts,
    })
}
