//! Whether the pieces of an export fit each other.

use std::path::{Component, Path};

use wav_frontend::FrontendOptions;

use super::onnx::{Element, Signature, Tensor};

/// A piece that does not fit the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mismatch {
    /// am.mvn belongs to another front end.
    #[error(
        "am.mvn has {given} values per frame, config.yaml makes {expected} (n_mels {num_mel_bins} x lfr_m {lfr_m})"
    )]
    CmvnWidth {
        /// Values in am.mvn.
        given: usize,
        /// Values per frame.
        expected: usize,
        /// Mel bins.
        num_mel_bins: usize,
        /// Frames stacked into one.
        lfr_m: usize,
    },
    /// The ONNX file was made for other features.
    #[error("{file}: input speech takes {given} values per frame, config.yaml makes {expected}")]
    SpeechWidth {
        /// The ONNX file.
        file: String,
        /// Values the file takes.
        given: i64,
        /// Values per frame.
        expected: usize,
    },
    /// The tokenizer belongs to another vocabulary.
    #[error(
        "{file}: output ctc_logits scores {given} pieces, the tokenizer {tokenizer} has {expected}"
    )]
    Vocabulary {
        /// The ONNX file.
        file: String,
        /// Pieces the file scores.
        given: i64,
        /// The sentencepiece model.
        tokenizer: String,
        /// Its pieces.
        expected: usize,
    },
    /// The ONNX file lacks a tensor.
    #[error("{file}: no {direction} {name}; it has {present}")]
    MissingTensor {
        /// The ONNX file.
        file: String,
        /// `input` or `output`.
        direction: &'static str,
        /// The tensor's name.
        name: &'static str,
        /// The tensors it has instead.
        present: String,
    },
    /// The ONNX file demands a tensor that nobody fills.
    #[error(
        "{file}: input {name} is none of SenseVoice's: speech, speech_lengths, language, textnorm"
    )]
    UnknownInput {
        /// The ONNX file.
        file: String,
        /// The tensor's name.
        name: String,
    },
    /// A tensor has other elements or another rank.
    #[error("{file}: {direction} {name} is {given}, expected {expected}")]
    TensorKind {
        /// The ONNX file.
        file: String,
        /// `input` or `output`.
        direction: &'static str,
        /// The tensor's name.
        name: &'static str,
        /// What the file has.
        given: String,
        /// What SenseVoice has.
        expected: String,
    },
    /// Weights beside the ONNX file are not there.
    #[error("{file} keeps weights in {location}, which is not beside it")]
    MissingWeights {
        /// The ONNX file.
        file: String,
        /// The file of weights.
        location: String,
    },
    /// Weights are somewhere else than beside the ONNX file.
    #[error("{file} keeps weights in {location}: only files beside it or below can be taken along")]
    WeightsElsewhere {
        /// The ONNX file.
        file: String,
        /// The file of weights.
        location: String,
    },
}

struct Expected {
    name: &'static str,
    element: Element,
    rank: usize,
}

const INPUTS: [Expected; 4] = [
    Expected {
        name: "speech",
        element: Element::FP32,
        rank: 3,
    },
    Expected {
        name: "speech_lengths",
        element: Element::INT32,
        rank: 1,
    },
    Expected {
        name: "language",
        element: Element::INT32,
        rank: 1,
    },
    Expected {
        name: "textnorm",
        element: Element::INT32,
        rank: 1,
    },
];

const OUTPUTS: [Expected; 2] = [
    Expected {
        name: "ctc_logits",
        element: Element::FP32,
        rank: 3,
    },
    Expected {
        name: "encoder_out_lens",
        element: Element::INT32,
        rank: 1,
    },
];

/// am.mvn against config.yaml.
pub(crate) fn cmvn(given: usize, options: &FrontendOptions) -> Option<Mismatch> {
    let expected = options.feature_dim();
    (given != expected).then_some(Mismatch::CmvnWidth {
        given,
        expected,
        num_mel_bins: options.num_mel_bins,
        lfr_m: options.lfr_m,
    })
}

/// The ONNX file's tensors by themselves.
pub(crate) fn tensors(file: &str, signature: &Signature) -> Vec<Mismatch> {
    let of = |direction, expected: &'static [Expected], tensors| {
        expected
            .iter()
            .filter_map(move |expected| tensor(file, direction, expected, tensors))
    };
    let unknown = signature
        .inputs
        .iter()
        .filter(|input| INPUTS.iter().all(|expected| expected.name != input.name))
        .map(|input| Mismatch::UnknownInput {
            file: file.to_owned(),
            name: input.name.clone(),
        });
    of("input", &INPUTS, &signature.inputs)
        .chain(unknown)
        .chain(of("output", &OUTPUTS, &signature.outputs))
        .collect()
}

fn tensor(
    file: &str,
    direction: &'static str,
    expected: &Expected,
    tensors: &[Tensor],
) -> Option<Mismatch> {
    let file = file.to_owned();
    let Some(given) = tensors.iter().find(|tensor| tensor.name == expected.name) else {
        let names: Vec<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let present = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Some(Mismatch::MissingTensor {
            file,
            direction,
            name: expected.name,
            present,
        });
    };
    let rank = given.dims.as_ref().map_or(expected.rank, Vec::len);
    if given.element == Some(expected.element) && rank == expected.rank {
        return None;
    }
    let element = given
        .element
        .map_or("no tensor".to_owned(), |element| element.to_string());
    Some(Mismatch::TensorKind {
        file,
        direction,
        name: expected.name,
        given: format!("{element} of rank {rank}"),
        expected: format!("{} of rank {}", expected.element, expected.rank),
    })
}

/// The ONNX file's features against config.yaml; a width the file leaves open fits.
pub(crate) fn speech(
    file: &str,
    signature: &Signature,
    options: &FrontendOptions,
) -> Option<Mismatch> {
    let expected = options.feature_dim();
    width(&signature.inputs, "speech")
        .filter(|&given| usize::try_from(given) != Ok(expected))
        .map(|given| Mismatch::SpeechWidth {
            file: file.to_owned(),
            given,
            expected,
        })
}

/// The ONNX file's scores against the tokenizer of `expected` pieces; a width the file leaves open fits.
pub(crate) fn vocabulary(
    file: &str,
    signature: &Signature,
    tokenizer: &str,
    expected: usize,
) -> Option<Mismatch> {
    width(&signature.outputs, "ctc_logits")
        .filter(|&given| usize::try_from(given) != Ok(expected))
        .map(|given| Mismatch::Vocabulary {
            file: file.to_owned(),
            given,
            tokenizer: tokenizer.to_owned(),
            expected,
        })
}

/// The last dimension of a tensor, if the file fixes it.
fn width(tensors: &[Tensor], name: &str) -> Option<i64> {
    let tensor = tensors.iter().find(|tensor| tensor.name == name)?;
    *tensor.dims.as_ref()?.last()?
}

/// The files of weights that the ONNX file in `directory` names.
pub(crate) fn weights(file: &str, signature: &Signature, directory: &Path) -> Vec<Mismatch> {
    let problem = |location: &String| {
        let (file, path) = (file.to_owned(), Path::new(location));
        let location = location.clone();
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            Some(Mismatch::WeightsElsewhere { file, location })
        } else if !directory.join(path).is_file() {
            Some(Mismatch::MissingWeights { file, location })
        } else {
            None
        }
    };
    signature
        .external_files
        .iter()
        .filter_map(problem)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::onnx;
    use std::collections::BTreeSet;

    fn demo() -> Signature {
        onnx::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/sensevoice/model.onnx"))
            .unwrap()
    }

    fn all(
        signature: &Signature,
        options: &FrontendOptions,
        cmvn_width: usize,
        pieces: usize,
    ) -> Vec<String> {
        let mut found = tensors("model.onnx", signature);
        found.extend(cmvn(cmvn_width, options));
        found.extend(speech("model.onnx", signature, options));
        found.extend(vocabulary("model.onnx", signature, "x.bpe.model", pieces));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_demo_fits() {
        assert!(all(&demo(), &FrontendOptions::default(), 560, 178).is_empty());
    }

    #[test]
    fn every_width_that_differs_is_told() {
        let options = FrontendOptions {
            num_mel_bins: 40,
            ..FrontendOptions::default()
        };
        assert_eq!(
            all(&demo(), &options, 560, 25055),
            [
                "am.mvn has 560 values per frame, config.yaml makes 280 (n_mels 40 x lfr_m 7)",
                "model.onnx: input speech takes 560 values per frame, config.yaml makes 280",
                "model.onnx: output ctc_logits scores 178 pieces, the tokenizer x.bpe.model has 25055",
            ]
        );
    }

    #[test]
    fn a_width_left_open_fits() {
        let mut signature = demo();
        signature.outputs[0].dims = Some(vec![None, None, None]);
        signature.inputs[0].dims = None;
        assert!(all(&signature, &FrontendOptions::default(), 560, 25055).is_empty());
    }

    #[test]
    fn other_tensors_are_told() {
        let mut signature = demo();
        signature.inputs[1].element = Some(Element(7));
        signature.inputs[2].dims = Some(vec![None, Some(1)]);
        signature.inputs[3].name = "text_norm".into();
        signature.outputs.remove(1);
        assert_eq!(
            all(&signature, &FrontendOptions::default(), 560, 178),
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
    fn weights_must_be_there_and_within_reach() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("there.data"), "").unwrap();
        let files = ["there.data", "gone.data", "../out.data", "/etc/out.data"];
        let signature = Signature {
            external_files: BTreeSet::from(files.map(String::from)),
            ..Signature::default()
        };
        let found: Vec<_> = weights("m.onnx", &signature, directory.path())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "m.onnx keeps weights in ../out.data: only files beside it or below can be taken along",
                "m.onnx keeps weights in /etc/out.data: only files beside it or below can be taken along",
                "m.onnx keeps weights in gone.data, which is not beside it",
            ]
        );
    }
}
