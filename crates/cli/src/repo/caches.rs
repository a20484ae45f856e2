//! The caches of a streaming decoder, which its configurations must declare one by one.

use super::check::Mismatch;
use super::interface::{IN_CACHE, OUT_CACHE};
use super::search::Onnx;
use onnx_file::Tensor;

/// The input `in_cache_N`, which becomes the output `out_cache_N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cache {
    /// N
    number: usize,
    /// Values per frame, and frames.
    dims: [i64; 2],
}

impl Cache {
    /// The published model's, as the template has them.
    pub(super) fn published() -> Vec<Self> {
        (0..16)
            .map(|number| Self {
                number,
                dims: [512, 10],
            })
            .collect()
    }
}

/// The decoder's caches by number, and what is wrong with them.
pub(super) fn read(decoder: &Onnx) -> (Vec<Cache>, Vec<Mismatch>) {
    let file = decoder.name();
    let signature = &decoder.content;
    let (mut caches, mut problems) = (Vec::new(), Vec::new());
    for tensor in &signature.inputs {
        let Some(number) = number_of(&tensor.name, IN_CACHE) else {
            continue;
        };
        match dims_of(tensor) {
            Some(dims) => caches.push(Cache { number, dims }),
            None => problems.push(Mismatch::CacheSize {
                file: file.clone(),
                name: tensor.name.clone(),
            }),
        }
        let output = format!("{OUT_CACHE}{number}");
        if signature.outputs.iter().all(|tensor| tensor.name != output) {
            problems.push(Mismatch::CacheOutput {
                file: file.clone(),
                input: tensor.name.clone(),
                output,
            });
        }
    }
    if caches.is_empty() && problems.is_empty() {
        problems.push(Mismatch::NoCaches { file });
    }
    caches.sort_by_key(|cache| cache.number);
    (caches, problems)
}

fn number_of(name: &str, prefix: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// The size of a cache, batch dimension left out, if the file fixes it.
fn dims_of(tensor: &Tensor) -> Option<[i64; 2]> {
    match tensor.dims.as_deref()? {
        &[_, Some(values), Some(frames)] => Some([values, frames]),
        _ => None,
    }
}

/// The caches in a few words.
pub(super) fn facts(caches: &[Cache]) -> String {
    let size = caches.first().map(|cache| cache.dims);
    match size {
        Some([values, frames]) if caches.iter().all(|cache| Some(cache.dims) == size) => {
            format!("{} caches of {values} x {frames}", caches.len())
        }
        _ => format!("{} caches", caches.len()),
    }
}

/// The entries of the configuration's `state` list.
pub(super) fn states(caches: &[Cache]) -> String {
    let entries = caches.iter().map(|cache| {
        let Cache {
            number,
            dims: [values, frames],
        } = cache;
        let dims = format!("dims: [ {values}, {frames} ]");
        format!(
            r#"    {{
      input_name: "{IN_CACHE}{number}"
      output_name: "{OUT_CACHE}{number}"
      data_type: TYPE_FP32
      {dims}
      initial_state: {{ name: "start" data_type: TYPE_FP32 {dims} zero_data: true }}
    }}"#
        )
    });
    entries.collect::<Vec<_>>().join(",\n")
}

/// The caches as entries of a configuration's `input` list, for a caller that keeps them itself.
pub(super) fn inputs(caches: &[Cache]) -> String {
    let dims = |cache: &Cache| cache.dims;
    tensors(IN_CACHE, caches, dims)
}

/// What they become, as entries of its `output` list. Exports leave open how many frames that are.
pub(super) fn outputs(caches: &[Cache]) -> String {
    let dims = |cache: &Cache| [cache.dims[0], -1];
    tensors(OUT_CACHE, caches, dims)
}

fn tensors(prefix: &str, caches: &[Cache], dims: impl Fn(&Cache) -> [i64; 2]) -> String {
    let entries = caches.iter().map(|cache| {
        let (number, [values, frames]) = (cache.number, dims(cache));
        format!(
            r#"  {{
    name: "{prefix}{number}"
    data_type: TYPE_FP32
    dims: [ {values}, {frames} ]
  }}"#
        )
    });
    entries.collect::<Vec<_>>().join(",\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::check::tests::{demo, texts};

    fn decoder() -> Onnx {
        demo("paraformer_online", "decoder.onnx")
    }

    #[test]
    fn the_demos_caches_are_read() {
        let (caches, problems) = read(&decoder());
        assert_eq!(problems, []);
        let expected = [0, 1, 2, 3].map(|number| Cache {
            number,
            dims: [128, 10],
        });
        assert_eq!(caches, expected);
        assert_eq!(facts(&caches), "4 caches of 128 x 10");
    }

    #[test]
    fn caches_are_declared_in_order_of_their_numbers() {
        let mut onnx = decoder();
        onnx.content.inputs.reverse();
        onnx.content.inputs[0].name = "in_cache_10".into();
        onnx.content.outputs[5].name = "out_cache_10".into();
        onnx.content.inputs[0].dims = Some(vec![None, Some(64), Some(5)]);
        let (caches, problems) = read(&onnx);
        assert_eq!(problems, []);
        let numbers: Vec<_> = caches.iter().map(|cache| cache.number).collect();
        assert_eq!(numbers, [0, 1, 2, 10]);
        assert_eq!(facts(&caches), "4 caches");
        let text = states(&caches);
        assert!(
            text.ends_with("      input_name: \"in_cache_10\"\n      output_name: \"out_cache_10\"\n      data_type: TYPE_FP32\n      dims: [ 64, 5 ]\n      initial_state: { name: \"start\" data_type: TYPE_FP32 dims: [ 64, 5 ] zero_data: true }\n    }"),
            "{text}"
        );
    }

    #[test]
    fn caches_that_cannot_be_kept_are_told() {
        let mut onnx = decoder();
        onnx.content.inputs[4].dims = Some(vec![None, Some(128), None]);
        onnx.content.outputs.remove(3);
        assert_eq!(
            texts(read(&onnx).1),
            [
                "decoder.onnx: the size of input in_cache_0 is left open, so that no state can be declared for it",
                "decoder.onnx: input in_cache_1 has no output out_cache_1",
            ]
        );
        onnx.content.inputs.truncate(4);
        assert_eq!(
            texts(read(&onnx).1),
            ["decoder.onnx: no inputs in_cache_0, in_cache_1, …: it is no decoder for streams"]
        );
    }
}
