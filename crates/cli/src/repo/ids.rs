//! Ids in place of scores: what becomes of a model, and of the configurations around it.

use anyhow::{Context, Result};
use onnx_file::{Edit, Ids, Interface, TOKEN_IDS, TOKEN_LOG_PROBS, keep_ids};

use super::assembly::parameter;
use super::graph::open;
use super::interface::has_ids;
use super::options::Options;
use super::search::Onnx;

/// In which form a model of the repository hands out what it found.
pub(super) struct Handed {
    /// Ids, with the edit if there is one; else scores.
    pub(super) ids: bool,
    pub(super) edit: Option<Edit>,
    /// Why not ids, although they were wanted; or why not scores.
    pub(super) note: Option<String>,
    /// What the file takes and gives then.
    pub(super) interface: Interface,
}

/// Lets a model hand out ids in place of its output `scores`, unless scores are to be kept.
pub(super) fn hand_out(onnx: &Onnx, scores: &str, options: &Options) -> Result<Handed> {
    let as_it_is = |ids, note| Handed {
        ids,
        edit: None,
        note,
        interface: onnx.content.clone(),
    };
    if has_ids(&onnx.content) {
        let note = options.common.keep_logits.then(|| {
            let file = onnx.name();
            format!("{file} hands out {TOKEN_IDS} as it is, so there are no scores to keep")
        });
        return Ok(as_it_is(true, note));
    }
    if options.common.keep_logits {
        return Ok(as_it_is(false, None));
    }
    let (reader, length) = open(onnx)?;
    let ids = keep_ids(reader, length, scores).with_context(|| onnx.name())?;
    Ok(match ids {
        Ids::Edit(edit) => Handed {
            ids: true,
            edit: Some(edit),
            note: None,
            interface: onnx.content.clone().with_ids(scores),
        },
        Ids::Unknown(reason) => {
            let note = format!(
                "{} hands out scores: {reason}. They cross memory from step to step, where ids would do",
                onnx.name()
            );
            as_it_is(false, Some(note))
        }
    })
}

/// The ids of a decoder for streams, as its templates write them, from the name on.
const SAMPLE_IDS: &str = "    name: \"sample_ids\"\n    data_type: TYPE_INT64\n    dims: [ -1 ]\n";

/// What the templates of a kind say of scores.
pub(super) struct Written {
    /// The tensor's name.
    pub(super) scores: &'static str,
    /// What there is a row of scores for, in the plural.
    pub(super) steps: &'static str,
    /// The vocabulary's size, as the published model has it.
    pub(super) vocabulary: &'static str,
    /// The parameter that tells a caller of the form.
    pub(super) parameter: &'static str,
}

impl Written {
    /// How the templates write what concerns an encoder's scores, and how they are to write it for ids.
    pub(super) fn of_encoder(&self) -> Vec<(String, String)> {
        let Self {
            scores,
            steps,
            vocabulary,
            ..
        } = self;
        let upper = scores.to_uppercase();
        let map = |direction: &str| {
            let map = |key: &str, value: &str| {
                format!("{direction}_map {{ key: \"{key}\" value: \"{value}\" }}")
            };
            let (ids, logs) = (TOKEN_IDS, TOKEN_LOG_PROBS);
            let both = [map(ids, "TOKEN_IDS"), map(logs, "TOKEN_LOG_PROBS")];
            (map(scores, &upper), both.join("\n      "))
        };
        let output = format!(
            "    # [{steps}, vocabulary], as the file has it: {vocabulary} in the published model\n    name: \"{scores}\"\n    \
             data_type: TYPE_FP32\n    dims: [ -1, {vocabulary} ]\n"
        );
        let ragged =
            "    # Requests of different lengths share a batch.\n    allow_ragged_batch: true\n";
        let input = format!(
            "    # [{steps}, vocabulary]\n    name: \"{scores}\"\n    data_type: TYPE_FP32\n    dims: [ -1, -1 ]\n{ragged}"
        );
        vec![
            (output, self.tensors("")),
            (input, self.tensors(ragged)),
            map("input"),
            map("output"),
            (format!("per column of {scores}"), "per id".to_owned()),
            ("# Scores to text".to_owned(), "# Ids to text".to_owned()),
            self.told(),
        ]
    }

    /// The same of a decoder for streams.
    pub(super) fn of_decoder(&self) -> Vec<(String, String)> {
        vec![
            (self.scores_of_decoder() + ",\n", String::new()),
            (SAMPLE_IDS.to_owned(), self.tensors("")),
            self.told(),
        ]
    }

    /// How the templates of a decoder for streams write its ids, and how they are to write them and its scores, which tell how probable a
    /// token is.
    pub(super) fn scores_in_both_forms(&self) -> [(String, String); 2] {
        let scores = self.scores_of_decoder();
        let both = format!("{SAMPLE_IDS}  }},\n{}", scores.trim_end_matches("  }"));
        [
            (scores + ",\n", String::new()),
            (SAMPLE_IDS.to_owned(), both),
        ]
    }

    /// A decoder's scores, as the template has them for ensembles.
    fn scores_of_decoder(&self) -> String {
        let Self {
            scores,
            steps,
            vocabulary,
            ..
        } = self;
        format!(
            "  {{\n    # [{steps}, vocabulary], as the file has it: {vocabulary} in the published model\n    name: \"{scores}\"\n    \
             data_type: TYPE_FP32\n    dims: [ -1, {vocabulary} ]\n  }}"
        )
    }

    fn told(&self) -> (String, String) {
        parameter(self.parameter, "scores", "ids")
    }

    /// Both tensors, with `more` at the end of each.
    fn tensors(&self, more: &str) -> String {
        let steps = self.steps;
        let step = steps.trim_end_matches('s');
        let tensor = |what: &str, name: &str, kind: &str| {
            format!(
                "    # [{steps}]: {what}\n    name: \"{name}\"\n    data_type: TYPE_{kind}\n    dims: [ -1 ]\n{more}"
            )
        };
        let ids = tensor(&format!("the best id of each {step}"), TOKEN_IDS, "INT32");
        let what = "the natural logarithm of its probability";
        let logs = tensor(what, TOKEN_LOG_PROBS, "FP32");
        format!("{ids}  }},\n  {{\n{logs}")
    }
}
