//! The dimensions that a configuration declares for an ONNX file's tensors.
//!
//! The official ONNX Runtime backend takes a configuration only when an input's dimension is the file's where the file fixes it, and
//! an output's is the file's everywhere, -1 where the file leaves it open. So all of them are written as the file has them.

use onnx_file::{Interface, Tensor, config_fits};

/// The dimensions of one tensor in a configuration's text.
struct Declared<'a> {
    /// The number of their line.
    line: usize,
    tensor: &'a Tensor,
    is_output: bool,
    /// What the backend sees: those of `reshape`, if there are.
    dims: &'a str,
    reshaped: bool,
}

/// The tensors of the file that the text declares. The templates have one key a line.
fn declared<'a>(text: &'a str, interface: &'a Interface) -> Vec<Declared<'a>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let find = |name: &str| {
        let of = |tensors: &'a [Tensor]| tensors.iter().find(|tensor| tensor.name == name);
        let input = of(&interface.inputs).map(|tensor| (tensor, false));
        input.or_else(|| of(&interface.outputs).map(|tensor| (tensor, true)))
    };
    let mut current = None;
    let mut found = Vec::new();
    for (line, text) in lines.iter().enumerate() {
        if let Some(name) = text.strip_prefix("name: ") {
            current = find(name.trim_matches('"'));
        } else if let (Some(dims), Some((tensor, is_output))) = (text.strip_prefix(DIMS), current) {
            let reshape = lines
                .get(line + 1)
                .and_then(|next| next.strip_prefix("reshape: { shape: ["));
            found.push(Declared {
                line,
                tensor,
                is_output,
                dims: reshape.unwrap_or(dims).trim_end_matches([' ', '}', ']']),
                reshaped: reshape.is_some(),
            });
        }
    }
    found
}

const DIMS: &str = "dims: [";

/// The file's dimensions as a configuration has them: without that of the batch, if the server batches.
fn of_file(text: &str, tensor: &Tensor) -> Option<Vec<i64>> {
    let mut dims = tensor.config_dims()?;
    let batches = !text.contains("\nmax_batch_size: 0\n");
    (!dims.is_empty()).then(|| dims.split_off(usize::from(batches)))
}

/// The configuration with all dimensions of the file's inputs and outputs as the file has them.
pub(super) fn write(text: &str, interface: &Interface) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for declared in declared(text, interface) {
        let dims = of_file(text, declared.tensor).filter(|_| !declared.reshaped);
        if let (Some(line), Some(dims)) = (lines.get_mut(declared.line), dims) {
            let indent = line.len() - line.trim_start().len();
            let dims: Vec<_> = dims.iter().map(i64::to_string).collect();
            *line = format!("{}{DIMS} {} ]", " ".repeat(indent), dims.join(", "));
        }
    }
    lines.join("\n") + "\n"
}

/// A dimension that the official backend would refuse.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tensor} has the dimensions [{declared}] in the configuration, {file:?} in the file")]
pub(super) struct Refused {
    tensor: String,
    declared: String,
    file: Vec<i64>,
}

/// What the official backend would refuse in a configuration.
pub(super) fn check(text: &str, interface: &Interface) -> Vec<Refused> {
    let refused = |declared: Declared| {
        let file = of_file(text, declared.tensor)?;
        let given: Vec<_> = declared
            .dims
            .split(',')
            .map(str::trim)
            .filter(|dim| !dim.is_empty())
            .collect();
        let given: Option<Vec<i64>> = given.iter().map(|dim| dim.parse().ok()).collect();
        let fits = given.is_some_and(|given| config_fits(&given, &file, declared.is_output));
        (!fits).then(|| Refused {
            tensor: declared.tensor.name.clone(),
            declared: declared.dims.trim().to_owned(),
            file,
        })
    };
    declared(text, interface)
        .into_iter()
        .filter_map(refused)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::check::tests::demo;

    const CONFIG: &str = r#"
name: "decoder"
input [
  {
    # [tokens, encoder size]
    name: "acoustic_embeds"
    data_type: TYPE_FP32
    dims: [ -1, 512 ]
  },
  {
    name: "enc_len"
    dims: [ 1 ]
    reshape: { shape: [ ] }
  }
]
output [
  {
    name: "logits"
    dims: [ -1, -1 ]
  },
  {
    name: "out_cache_0"
    dims: [ 128, 10 ]
  },
  {
    name: "other"
    dims: [ 7 ]
  }
]
"#;

    #[test]
    fn every_dimension_is_the_files() {
        let decoder = demo("paraformer_online", "decoder.onnx").content;
        let refused = |text: &str| {
            let refused = check(text, &decoder);
            refused.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            refused(CONFIG),
            [
                "acoustic_embeds has the dimensions [-1, 512] in the configuration, [-1, 128] in the file",
                "logits has the dimensions [-1, -1] in the configuration, [-1, 124] in the file",
                "out_cache_0 has the dimensions [128, 10] in the configuration, [128, -1] in the file",
            ]
        );
        let written = write(CONFIG, &decoder);
        let expected = CONFIG
            .replace("[ -1, 512 ]", "[ -1, 128 ]")
            .replace("[ -1, -1 ]", "[ -1, 124 ]")
            .replace("[ 128, 10 ]", "[ 128, -1 ]");
        assert_eq!(written, expected);
        assert_eq!(check(&written, &decoder), []);
    }

    #[test]
    fn an_input_may_be_narrower_than_the_file_an_output_may_not() {
        let mut decoder = demo("paraformer_online", "decoder.onnx").content;
        for tensor in decoder.inputs.iter_mut().chain(&mut decoder.outputs) {
            if let Some(dims) = &mut tensor.dims {
                dims.fill(None);
            }
        }
        let refused = check(CONFIG, &decoder);
        let names: Vec<_> = refused
            .iter()
            .map(|refused| refused.tensor.as_str())
            .collect();
        assert_eq!(names, ["out_cache_0"]);
        let reshaped = CONFIG.replace("shape: [ ]", "shape: [ 1 ]");
        assert_eq!(check(&reshaped, &decoder).len(), 2);
    }
}
