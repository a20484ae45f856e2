//! What an export of SeACo-Paraformer has besides that of another Paraformer: the encoder of hot words, and a dictionary for Latin ones.

use asr_decode::hotwords::Segmenter;
use asr_decode::vocabulary::Vocabulary;
use onnx_file::{Element, Tensor};

use super::assembly::{Assembly, parameter};
use super::check;
use super::interface::BIAS_EMBED;
use super::search::{Onnx, Piece, Search};
use super::templates::Template;

const HOTWORD: &str = "hotword";
const HW_EMBED: &str = "hw_embed";
const SEG_DICT: &str = "seg_dict";
/// Sizes as the templates have them, which are those of the published model.
const TOKENS: i64 = 10;
const DIM: i64 = 512;

/// Whether a Paraformer takes hot words.
pub(super) fn has_hotwords(onnx: &Onnx) -> bool {
    tensor(&onnx.content.inputs, BIAS_EMBED).is_some()
}

/// The pieces of an export for hot words.
pub(super) struct HotwordPieces {
    encoder: Onnx,
    seg_dict: Option<Piece<Segmenter>>,
    ids: &'static str,
    tokens: i64,
    dim: i64,
}

/// Why a file is no encoder of hot words for a model.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("{file}: no {direction} {name} of {expected}")]
    Missing {
        file: String,
        direction: &'static str,
        name: &'static str,
        expected: &'static str,
    },
    #[error("{file}: inputs besides {HOTWORD}: {others}; export it with FunASR 1.2 or later")]
    MoreInputs { file: String, others: String },
    #[error("{file}: {HW_EMBED} is of {given} values, {BIAS_EMBED} of {expected}")]
    Width {
        file: String,
        given: i64,
        expected: i64,
    },
}

impl HotwordPieces {
    /// Finds them beside the model `onnx`, and tells what is wrong with them.
    pub(super) fn find(
        search: &mut Search<'_>,
        onnx: &Onnx,
        vocabulary: Option<&Piece<Vocabulary>>,
    ) -> Option<Self> {
        let encoder = search.onnx("model_eb");
        let seg_dict = vocabulary.and_then(|vocabulary| {
            let plain = Segmenter::new(&vocabulary.content);
            search.optional(SEG_DICT, |path| plain.with_dictionary_file(path))
        });
        let encoder = encoder?;
        search.tell(check::weights(&encoder));
        match sizes(&encoder, onnx) {
            Ok((ids, tokens, dim)) => Some(Self {
                encoder,
                seg_dict,
                ids,
                tokens,
                dim,
            }),
            Err(unfit) => {
                search.tell([unfit]);
                None
            }
        }
    }

    /// The repository of a Paraformer with them.
    pub(super) fn complete(self, mut assembly: Assembly) -> Assembly {
        let file = self.encoder.name();
        assembly.template = Template::Seaco;
        assembly
            .files
            .extend(self.encoder.places("hotword_encoder/1", "model.onnx"));
        assembly.replacements.extend([
            parameter("hotword_ids", "int32", self.ids),
            parameter(
                "max_hotword_length",
                &TOKENS.to_string(),
                &self.tokens.to_string(),
            ),
            (
                format!("dims: [ -1, {DIM} ]"),
                format!("dims: [ -1, {} ]", self.dim),
            ),
            // Of the model that is called with them.
            (
                "TYPE_INT32\n    dims: [ -1, 10 ]".to_owned(),
                self.hotword(),
            ),
        ]);
        let place = format!("hotword_embedding/{SEG_DICT}");
        let words = match self.seg_dict {
            Some(seg_dict) => {
                let words = seg_dict.content.dictionary_len();
                assembly.files.push((seg_dict.path, place));
                format!("{words} words in {SEG_DICT}")
            }
            None => {
                let none = [SEG_DICT, place.as_str()];
                assembly
                    .replacements
                    .extend(none.map(|written| parameter(SEG_DICT, written, "")));
                format!("no {SEG_DICT}")
            }
        };
        assembly
            .interfaces
            .push(("hotword_encoder", self.encoder.content));
        assembly.facts += &format!("; hot words by {file}, {words}");
        assembly
    }

    /// How the configuration of the hot words' encoder writes its input.
    fn hotword(&self) -> String {
        let kind = self.ids.to_uppercase();
        format!("TYPE_{kind}\n    dims: [ -1, {} ]", self.tokens)
    }
}

/// The type of ids that an encoder of hot words takes, how many of each word, and how many values it makes of them.
fn sizes(encoder: &Onnx, onnx: &Onnx) -> Result<(&'static str, i64, i64), Unfit> {
    let file = encoder.name();
    let interface = &encoder.content;
    let missing = |direction, name, expected| Unfit::Missing {
        file: file.clone(),
        direction,
        name,
        expected,
    };
    let input = tensor(&interface.inputs, HOTWORD);
    let input = input.and_then(|input| {
        let ids = match input.element? {
            Element::INT32 => "int32",
            Element::INT64 => "int64",
            _ => return None,
        };
        match *input.dims.as_deref()? {
            // What the file leaves open is as in the published model.
            [None, tokens] => Some((ids, tokens.unwrap_or(TOKENS))),
            _ => None,
        }
    });
    let (ids, tokens) = input.ok_or_else(|| {
        missing(
            "input",
            HOTWORD,
            "INT32 or INT64, [any number of words, tokens]",
        )
    })?;
    let others: Vec<&str> = interface
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .filter(|name| *name != HOTWORD)
        .collect();
    if !others.is_empty() {
        let others = others.join(", ");
        return Err(Unfit::MoreInputs { file, others });
    }
    let output = tensor(&interface.outputs, HW_EMBED).filter(|output| {
        let rank = output.dims.as_ref().map_or(3, Vec::len);
        output.element == Some(Element::FP32) && rank == 3
    });
    let output =
        output.ok_or_else(|| missing("output", HW_EMBED, "FP32, [tokens, words, values]"))?;
    let width = |tensor: &Tensor| *tensor.dims.as_ref()?.last()?;
    let taken = tensor(&onnx.content.inputs, BIAS_EMBED).and_then(width);
    match (width(output), taken) {
        (Some(given), Some(expected)) if given != expected => Err(Unfit::Width {
            file,
            given,
            expected,
        }),
        (given, taken) => Ok((ids, tokens, given.or(taken).unwrap_or(-1))),
    }
}

fn tensor<'t>(tensors: &'t [Tensor], name: &str) -> Option<&'t Tensor> {
    tensors.iter().find(|tensor| tensor.name == name)
}
