//! The tensors of each ONNX file, and whether a file has them.

use super::check::Mismatch;
use super::search::Onnx;
use onnx_file::{Element, TOKEN_IDS, TOKEN_LOG_PROBS, Tensor};

/// What a caller fills and reads.
#[derive(Debug)]
pub(super) struct Interface {
    /// Whose it is, as people call it.
    owner: &'static str,
    inputs: &'static [Expected],
    outputs: &'static [Expected],
    /// Outputs that are of no use to a file which hands out ids.
    in_place_of_ids: &'static [&'static str],
    /// Besides, any number of inputs `in_cache_N` with outputs `out_cache_N`.
    caches: bool,
}

#[derive(Debug)]
struct Expected {
    name: &'static str,
    element: Element,
    rank: usize,
}

/// In front of a cache's number.
pub(super) const IN_CACHE: &str = "in_cache_";
/// In front of the number of what the cache becomes.
pub(super) const OUT_CACHE: &str = "out_cache_";
/// `[rows, values, frames]`
const CACHE_RANK: usize = 3;

/// `[rows, frames or tokens, values]`
const fn values(name: &'static str) -> Expected {
    Expected {
        name,
        element: Element::FP32,
        rank: 3,
    }
}

/// A number per row.
const fn number(name: &'static str) -> Expected {
    Expected {
        name,
        element: Element::INT32,
        rank: 1,
    }
}

/// SenseVoice
pub(super) const SENSEVOICE: Interface = Interface {
    owner: "SenseVoice",
    inputs: &[
        values("speech"),
        number("speech_lengths"),
        number("language"),
        number("textnorm"),
    ],
    outputs: &[values("ctc_logits"), number("encoder_out_lens")],
    in_place_of_ids: &["ctc_logits"],
    caches: false,
};

/// Paraformer for whole recordings; further outputs, as of models with timestamps, are not asked for.
pub(super) const PARAFORMER: Interface = Interface {
    owner: "Paraformer",
    inputs: &[values("speech"), number("speech_lengths")],
    outputs: &[values("logits"), number("token_num")],
    in_place_of_ids: &["logits"],
    caches: false,
};

/// Paraformer with hot words.
pub(super) const SEACO: Interface = Interface {
    owner: "SeACo-Paraformer",
    inputs: &[
        values("speech"),
        number("speech_lengths"),
        values(BIAS_EMBED),
    ],
    ..PARAFORMER
};

/// The input of a Paraformer for hot words.
pub(super) const BIAS_EMBED: &str = "bias_embed";

/// The encoder of Paraformer for streams.
pub(super) const STREAMING_ENCODER: Interface = Interface {
    owner: "the streaming encoder",
    inputs: &[values("speech"), number("speech_lengths")],
    outputs: &[
        values("enc"),
        number("enc_len"),
        Expected {
            name: "alphas",
            element: Element::FP32,
            rank: 2,
        },
    ],
    in_place_of_ids: &[],
    caches: false,
};

/// The decoder of Paraformer for streams.
pub(super) const STREAMING_DECODER: Interface = Interface {
    owner: "the streaming decoder",
    inputs: &[
        values("enc"),
        number("enc_len"),
        values("acoustic_embeds"),
        number("acoustic_embeds_len"),
    ],
    outputs: &[
        values("logits"),
        Expected {
            name: "sample_ids",
            element: Element::INT64,
            rank: 2,
        },
    ],
    in_place_of_ids: &["logits", "sample_ids"],
    caches: true,
};

/// What a file has in place of scores that hands out ids.
const IDS: [Expected; 2] = [
    Expected {
        name: TOKEN_IDS,
        element: Element::INT32,
        rank: 2,
    },
    Expected {
        name: TOKEN_LOG_PROBS,
        element: Element::FP32,
        rank: 2,
    },
];

/// What of the interface the file has not, and what it has besides.
pub(super) fn check(onnx: &Onnx, interface: &'static Interface) -> Vec<Mismatch> {
    let file = onnx.name();
    let signature = &onnx.content;
    let mut problems = Vec::new();
    problems.extend(missing(&file, "input", interface.inputs, &signature.inputs));
    for input in &signature.inputs {
        if interface.caches && input.name.starts_with(IN_CACHE) {
            problems.extend(kind(&file, "input", Element::FP32, CACHE_RANK, input));
        } else if interface
            .inputs
            .iter()
            .all(|known| known.name != input.name)
        {
            problems.push(Mismatch::UnknownInput {
                file: file.clone(),
                name: input.name.clone(),
                owner: interface.owner,
                known: names(interface.inputs.iter().map(|known| known.name)),
            });
        }
    }
    let replaced = |output: &&Expected| interface.in_place_of_ids.contains(&output.name);
    let (scores, others): (Vec<&Expected>, Vec<_>) = interface.outputs.iter().partition(replaced);
    let found = match has_ids(signature) && !scores.is_empty() {
        true => IDS.iter().collect(),
        false => scores,
    };
    let outputs = found.into_iter().chain(others);
    problems.extend(missing(&file, "output", outputs, &signature.outputs));
    problems
}

/// Tensors that are not there, or of another kind.
fn missing(
    file: &str,
    direction: &'static str,
    expected: impl IntoIterator<Item = &'static Expected>,
    tensors: &[Tensor],
) -> Vec<Mismatch> {
    expected
        .into_iter()
        .filter_map(|expected| {
            let given = tensors.iter().find(|tensor| tensor.name == expected.name);
            match given {
                Some(given) => kind(file, direction, expected.element, expected.rank, given),
                None => Some(Mismatch::MissingTensor {
                    file: file.to_owned(),
                    direction,
                    name: expected.name,
                    present: names(tensors.iter().map(|tensor| tensor.name.as_str())),
                }),
            }
        })
        .collect()
}

/// Whether a file hands out ids.
pub(super) fn has_ids(interface: &onnx_file::Interface) -> bool {
    let has = |expected: &Expected| {
        let mut outputs = interface.outputs.iter();
        outputs.any(|output| output.name == expected.name)
    };
    IDS.iter().all(has)
}

fn kind(
    file: &str,
    direction: &'static str,
    element: Element,
    rank: usize,
    given: &Tensor,
) -> Option<Mismatch> {
    let given_rank = given.dims.as_ref().map_or(rank, Vec::len);
    if given.element == Some(element) && given_rank == rank {
        let rows = *given.dims.as_ref()?.first()?;
        return rows.map(|rows| Mismatch::FixedBatch {
            file: file.to_owned(),
            direction,
            name: given.name.clone(),
            rows,
        });
    }
    let given_element = given
        .element
        .map_or("no tensor".to_owned(), |element| element.to_string());
    Some(Mismatch::TensorKind {
        file: file.to_owned(),
        direction,
        name: given.name.clone(),
        given: format!("{given_element} of rank {given_rank}"),
        expected: format!("{element} of rank {rank}"),
    })
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::check::tests::{demo, texts};

    #[test]
    fn the_demo_models_fit() {
        for (directory, name, interface) in [
            ("sensevoice", "model.onnx", &SENSEVOICE),
            ("paraformer", "model.onnx", &PARAFORMER),
            ("paraformer_online", "model.onnx", &STREAMING_ENCODER),
            ("paraformer_online", "decoder.onnx", &STREAMING_DECODER),
        ] {
            assert_eq!(
                check(&demo(directory, name), interface),
                [],
                "{directory}/{name}"
            );
        }
    }

    #[test]
    fn other_tensors_are_told() {
        let mut onnx = demo("sensevoice", "model.onnx");
        let signature = &mut onnx.content;
        signature.inputs[1].element = Some(Element::INT64);
        signature.inputs[2].dims = Some(vec![None, Some(1)]);
        signature.inputs[3].name = "text_norm".into();
        signature.outputs.remove(1);
        assert_eq!(
            texts(check(&onnx, &SENSEVOICE)),
            [
                "model.onnx: input speech_lengths is INT64 of rank 1, expected INT32 of rank 1",
                "model.onnx: input language is INT32 of rank 2, expected INT32 of rank 1",
                "model.onnx: no input textnorm; it has speech, speech_lengths, language, text_norm",
                "model.onnx: input text_norm is none of SenseVoice's: speech, speech_lengths, language, textnorm",
                "model.onnx: no output encoder_out_lens; it has ctc_logits",
            ]
        );
    }

    #[test]
    fn a_model_for_single_rows_is_told() {
        let mut onnx = demo("paraformer", "model.onnx");
        onnx.content.outputs[0].dims = Some(vec![Some(1), None, Some(124)]);
        assert_eq!(
            texts(check(&onnx, &PARAFORMER)),
            [
                "model.onnx: output logits always has 1 rows: export it with a batch dimension of any size"
            ]
        );
    }

    #[test]
    fn a_model_of_another_kind_is_told() {
        let sensevoice = demo("sensevoice", "model.onnx");
        assert_eq!(
            texts(check(&sensevoice, &PARAFORMER)),
            [
                "model.onnx: input language is none of Paraformer's: speech, speech_lengths",
                "model.onnx: input textnorm is none of Paraformer's: speech, speech_lengths",
                "model.onnx: no output logits; it has ctc_logits, encoder_out_lens",
                "model.onnx: no output token_num; it has ctc_logits, encoder_out_lens",
            ]
        );
        let offline = demo("paraformer", "model.onnx");
        assert_eq!(check(&offline, &STREAMING_ENCODER).len(), 3);
    }

    #[test]
    fn further_outputs_are_nobodys_business() {
        let mut onnx = demo("paraformer", "model.onnx");
        let mut output = onnx.content.outputs[0].clone();
        output.name = "us_alphas".into();
        onnx.content.outputs.push(output);
        assert_eq!(check(&onnx, &PARAFORMER), []);
    }

    #[test]
    fn a_cache_of_another_kind_is_told() {
        let mut onnx = demo("paraformer_online", "decoder.onnx");
        onnx.content.inputs[6].element = Some(Element(10));
        assert_eq!(
            texts(check(&onnx, &STREAMING_DECODER)),
            ["decoder.onnx: input in_cache_2 is FP16 of rank 3, expected FP32 of rank 3"]
        );
    }
}
