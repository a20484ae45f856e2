//! Whether the pieces of an export fit each other.

use std::path::{Component, Path};

use wav_frontend::Cmvn;

use super::search::{ModelConfig, Onnx, Piece};
use onnx_file::Tensor;

/// A piece that does not fit the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Mismatch {
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
    /// The front end does not make the windows that the streaming chain takes.
    #[error("config.yaml: {reason}")]
    Chunk {
        /// What it makes.
        reason: String,
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
    /// The ONNX file has another hidden size.
    #[error("{file}: {direction} {name} is {given} wide, {reason} {expected}")]
    HiddenSize {
        /// The ONNX file.
        file: String,
        /// `input` or `output`.
        direction: &'static str,
        /// The tensor's name.
        name: &'static str,
        /// Its last dimension.
        given: i64,
        /// Where `expected` is from.
        reason: &'static str,
        /// The encoder's output size.
        expected: usize,
    },
    /// The vocabulary belongs to another model.
    #[error("{file}: output {output} scores {given} {units}, {vocabulary} has {expected}")]
    Vocabulary {
        /// The ONNX file.
        file: String,
        /// The tensor with the scores.
        output: &'static str,
        /// What the file scores.
        given: i64,
        /// Pieces or tokens.
        units: &'static str,
        /// The vocabulary.
        vocabulary: String,
        /// Its size.
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
    #[error("{file}: input {name} is none of {owner}'s: {known}")]
    UnknownInput {
        /// The ONNX file.
        file: String,
        /// The tensor's name.
        name: String,
        /// Whose tensors are known.
        owner: &'static str,
        /// The tensors that are filled.
        known: String,
    },
    /// A tensor has other elements or another rank.
    #[error("{file}: {direction} {name} is {given}, expected {expected}")]
    TensorKind {
        /// The ONNX file.
        file: String,
        /// `input` or `output`.
        direction: &'static str,
        /// The tensor's name.
        name: String,
        /// What the file has.
        given: String,
        /// What the model has.
        expected: String,
    },
    /// A tensor that always has the same number of rows.
    #[error(
        "{file}: {direction} {name} always has {rows} rows: export it with a batch dimension of any size"
    )]
    FixedBatch {
        /// The ONNX file.
        file: String,
        /// `input` or `output`.
        direction: &'static str,
        /// The tensor's name.
        name: String,
        /// Its first dimension.
        rows: i64,
    },
    /// A decoder that keeps nothing of a stream.
    #[error("{file}: no inputs in_cache_0, in_cache_1, …: it is no decoder for streams")]
    NoCaches {
        /// The ONNX file.
        file: String,
    },
    /// A cache that nothing comes out for.
    #[error("{file}: input {input} has no output {output}")]
    CacheOutput {
        /// The ONNX file.
        file: String,
        /// The cache.
        input: String,
        /// What it becomes.
        output: String,
    },
    /// A cache of unknown size.
    #[error(
        "{file}: the size of input {name} is left open, so that no state can be declared for it"
    )]
    CacheSize {
        /// The ONNX file.
        file: String,
        /// The cache.
        name: String,
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

/// am.mvn against config.yaml.
pub(super) fn cmvn(
    cmvn: Option<&Piece<Cmvn>>,
    config: Option<&Piece<ModelConfig>>,
) -> Option<Mismatch> {
    let (given, options) = (cmvn?.content.dim(), &config?.content.frontend);
    let expected = options.feature_dim();
    (given != expected).then_some(Mismatch::CmvnWidth {
        given,
        expected,
        num_mel_bins: options.num_mel_bins,
        lfr_m: options.lfr_m,
    })
}

/// The ONNX file's features against config.yaml; a width the file leaves open fits.
pub(super) fn speech(onnx: &Onnx, config: Option<&Piece<ModelConfig>>) -> Option<Mismatch> {
    let expected = config?.content.frontend.feature_dim();
    let given = other_width(&onnx.content.inputs, "speech", expected)?;
    Some(Mismatch::SpeechWidth {
        file: onnx.name(),
        given,
        expected,
    })
}

/// A hidden size, and the words that say where it is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hidden {
    pub(super) size: usize,
    pub(super) reason: &'static str,
}

/// The named tensors against the hidden size; a width the file leaves open fits.
pub(super) fn hidden(
    onnx: &Onnx,
    names: &[&'static str],
    hidden: Option<&Hidden>,
) -> Vec<Mismatch> {
    let Some(&Hidden { size, reason }) = hidden else {
        return Vec::new();
    };
    let signature = &onnx.content;
    let find = |direction, tensors: &[Tensor], name| {
        other_width(tensors, name, size).map(|given| Mismatch::HiddenSize {
            file: onnx.name(),
            direction,
            name,
            given,
            reason,
            expected: size,
        })
    };
    names
        .iter()
        .flat_map(|name| {
            [
                find("input", &signature.inputs, name),
                find("output", &signature.outputs, name),
            ]
        })
        .flatten()
        .collect()
}

/// What a tensor of scores must fit.
#[derive(Debug)]
pub(super) struct Scores {
    /// The tensor's name.
    pub(super) output: &'static str,
    /// What a vocabulary consists of.
    pub(super) units: &'static str,
    /// The vocabulary's name.
    pub(super) vocabulary: String,
    /// Its size.
    pub(super) expected: usize,
}

/// The ONNX file's scores against the vocabulary; a width the file leaves open fits.
pub(super) fn scores(onnx: &Onnx, scores: &Scores) -> Option<Mismatch> {
    let given = other_width(&onnx.content.outputs, scores.output, scores.expected)?;
    Some(Mismatch::Vocabulary {
        file: onnx.name(),
        output: scores.output,
        given,
        units: scores.units,
        vocabulary: scores.vocabulary.clone(),
        expected: scores.expected,
    })
}

/// The last dimension of a tensor, if the file fixes it to anything else.
fn other_width(tensors: &[Tensor], name: &str, expected: usize) -> Option<i64> {
    let tensor = tensors.iter().find(|tensor| tensor.name == name)?;
    let width = (*tensor.dims.as_ref()?.last()?)?;
    (usize::try_from(width) != Ok(expected)).then_some(width)
}

/// The files of weights that the ONNX file names.
pub(super) fn weights(onnx: &Onnx) -> Vec<Mismatch> {
    let problem = |location: &String| {
        let (file, path) = (onnx.name(), Path::new(location));
        let location = location.clone();
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            Some(Mismatch::WeightsElsewhere { file, location })
        } else if !onnx.path.with_file_name(path).is_file() {
            Some(Mismatch::MissingWeights { file, location })
        } else {
            None
        }
    };
    onnx.content
        .external_files
        .iter()
        .filter_map(problem)
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use onnx_file::Interface;
    use std::collections::BTreeSet;

    /// An ONNX file of the demo.
    pub(crate) fn demo(directory: &str, name: &str) -> Onnx {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../demo")
            .join(directory)
            .join(name);
        Piece {
            content: Interface::read(&path).unwrap(),
            path,
        }
    }

    pub(crate) fn texts(problems: impl IntoIterator<Item = Mismatch>) -> Vec<String> {
        problems
            .into_iter()
            .map(|problem| problem.to_string())
            .collect()
    }

    fn vocabulary(expected: usize) -> Scores {
        Scores {
            output: "ctc_logits",
            units: "pieces",
            vocabulary: "x.bpe.model".into(),
            expected,
        }
    }

    #[test]
    fn a_width_left_open_fits() {
        let mut onnx = demo("sensevoice", "model.onnx");
        assert_eq!(
            texts(scores(&onnx, &vocabulary(25055))),
            ["model.onnx: output ctc_logits scores 178 pieces, x.bpe.model has 25055"]
        );
        assert_eq!(scores(&onnx, &vocabulary(178)), None);
        onnx.content.outputs[0].dims = Some(vec![None, None, None]);
        assert_eq!(scores(&onnx, &vocabulary(25055)), None);
        onnx.content.outputs[0].dims = None;
        assert_eq!(scores(&onnx, &vocabulary(25055)), None);
    }

    #[test]
    fn another_hidden_size_is_told_for_every_tensor() {
        let decoder = demo("paraformer_online", "decoder.onnx");
        let size = Hidden {
            size: 512,
            reason: "encoder_conf.output_size is",
        };
        assert_eq!(
            texts(hidden(&decoder, &["enc", "acoustic_embeds"], Some(&size))),
            [
                "decoder.onnx: input enc is 128 wide, encoder_conf.output_size is 512",
                "decoder.onnx: input acoustic_embeds is 128 wide, encoder_conf.output_size is 512",
            ]
        );
        assert_eq!(
            hidden(&decoder, &["enc"], Some(&Hidden { size: 128, ..size })),
            []
        );
    }

    #[test]
    fn weights_must_be_there_and_within_reach() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("there.data"), "").unwrap();
        let files = ["there.data", "gone.data", "../out.data", "/etc/out.data"];
        let onnx = Piece {
            path: directory.path().join("m.onnx"),
            content: Interface {
                external_files: BTreeSet::from(files.map(String::from)),
                ..Interface::default()
            },
        };
        assert_eq!(
            texts(weights(&onnx)),
            [
                "m.onnx keeps weights in ../out.data: only files beside it or below can be taken along",
                "m.onnx keeps weights in /etc/out.data: only files beside it or below can be taken along",
                "m.onnx keeps weights in gone.data, which is not beside it",
            ]
        );
    }
}
