//! What a Paraformer hands out that tells when words were said, and how configurations name it.

use super::assembly::parameter;
use super::outputs::{next, tensor};
use super::search::Onnx;

/// The outputs of the ONNX file.
const OUTPUTS: [&str; 2] = ["us_alphas", "us_cif_peak"];

/// Why it cannot be told when words were said, if it cannot.
pub(super) fn missing(onnx: &Onnx) -> Option<String> {
    let given = &onnx.content.outputs;
    let missing = OUTPUTS
        .into_iter()
        .find(|name| given.iter().all(|output| output.name != *name))?;
    Some(format!(
        "{} has no output {missing}, from which times are computed; the exports of Paraformers with time stamps have it (BiCif, as in \
         FunASR's paraformer-large with vad and punc)",
        onnx.name()
    ))
}

/// How the templates write the number of tokens, which stands beside these outputs, and how they are to write both.
pub(super) fn replacements() -> Vec<(String, String)> {
    let number = |comment: &str| {
        let tensor = tensor("token_num", "INT32", 1);
        format!("    # {comment}\n{tensor}    reshape: {{ shape: [ ] }}\n")
    };
    let ragged =
        "    # Requests of different lengths share a batch.\n    allow_ragged_batch: true\n";
    let tensors = |more: &str| {
        let tensors = OUTPUTS.map(|name| next(&(tensor(name, "FP32", -1) + more)));
        tensors.concat()
    };
    let lengths = next(&(tensor("speech_lengths", "INT32", 1) + "    reshape: { shape: [ ] }\n"));
    let given = number("How many tokens there are.");
    let taken = number("How many of them are tokens.");
    let map = |direction: &str, key: &str, value: &str| {
        format!("{direction}_map {{ key: \"{key}\" value: \"{value}\" }}")
    };
    let maps = |direction: &str| -> String {
        let names = OUTPUTS
            .into_iter()
            .chain((direction == "input").then_some("speech_lengths"));
        names
            .map(|name| format!("\n      {}", map(direction, name, &name.to_uppercase())))
            .collect()
    };
    let counted = |direction: &str| {
        let from = map(direction, "token_num", "TOKEN_NUM");
        (from.clone(), from + &maps(direction))
    };
    vec![
        (given.clone(), given + &tensors("")),
        (taken.clone(), taken + &tensors(ragged) + &lengths),
        counted("input"),
        counted("output"),
        parameter("encoder_times", "false", "true"),
    ]
}
