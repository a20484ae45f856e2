//! What a Paraformer hands out that tells when words were said, and how configurations name it.

use super::assembly::parameter;
use super::outputs::{next, tensor};
use super::search::Onnx;

/// The output of the ONNX file. Its `us_cif_peak` is not asked for: that is a loop over the weights in the file, and a sum here.
const OUTPUT: &str = "us_alphas";

/// Why it cannot be told when words were said, if it cannot.
pub(super) fn missing(onnx: &Onnx) -> Option<String> {
    let given = &onnx.content.outputs;
    let lacks = given.iter().all(|output| output.name != OUTPUT);
    lacks.then(|| {
        format!(
            "{} has no output {OUTPUT}, from which times are computed; the exports of Paraformers with time stamps have it (BiCif, as in \
             FunASR's paraformer-large with vad and punc)",
            onnx.name()
        )
    })
}

/// How the templates write the number of tokens, which stands beside this output, and how they are to write both.
pub(super) fn replacements() -> Vec<(String, String)> {
    let number = |comment: &str| {
        let tensor = tensor("token_num", "INT32", 1);
        format!("    # {comment}\n{tensor}    reshape: {{ shape: [ ] }}\n")
    };
    let ragged =
        "    # Requests of different lengths share a batch.\n    allow_ragged_batch: true\n";
    let weights = |more: &str| next(&(tensor(OUTPUT, "FP32", -1) + more));
    let lengths = next(&(tensor("speech_lengths", "INT32", 1) + "    reshape: { shape: [ ] }\n"));
    let given = number("How many tokens there are.");
    let taken = number("How many of them are tokens.");
    let map = |direction: &str, key: &str, value: &str| {
        format!("{direction}_map {{ key: \"{key}\" value: \"{value}\" }}")
    };
    let maps = |direction: &str| -> String {
        let lengths = (direction == "input").then_some("speech_lengths");
        let names = [OUTPUT].into_iter().chain(lengths);
        names
            .map(|name| format!("\n      {}", map(direction, name, &name.to_uppercase())))
            .collect()
    };
    let counted = |direction: &str| {
        let from = map(direction, "token_num", "TOKEN_NUM");
        (from.clone(), from + &maps(direction))
    };
    vec![
        (given.clone(), given + &weights("")),
        (taken.clone(), taken + &weights(ragged) + &lengths),
        counted("input"),
        counted("output"),
        parameter("encoder_times", "false", "true"),
    ]
}
