//! The configuration of a model of an ONNX file: the template's, with the file's tensors.

use anyhow::{Context, Result, bail};
use onnx_file::{Interface, Tensor};

/// The template with inputs and outputs as the file has them; `batched` where the first dimension is that of the batch.
pub(super) fn with_tensors(template: &str, interface: &Interface, batched: bool) -> Result<String> {
    let (head, rest) = template.split_once("input [\n").context("no inputs")?;
    let (_, rest) = rest.split_once("\noutput [\n").context("no outputs")?;
    let (_, tail) = rest.split_once("\n]\n").context("no end")?;
    let inputs = block("input", &interface.inputs, batched, Tensor::config_dims)?;
    let outputs = block(
        "output",
        &interface.outputs,
        batched,
        |output| match batched {
            true => output.config_dims(),
            false => interface.unbatched_dims(output),
        },
    )?;
    Ok(format!("{head}{inputs}\n{outputs}{tail}"))
}

fn block(
    kind: &str,
    tensors: &[Tensor],
    batched: bool,
    dims: impl Fn(&Tensor) -> Option<Vec<i64>>,
) -> Result<String> {
    let entries: Vec<String> = tensors
        .iter()
        .map(|tensor| entry(tensor, batched, dims(tensor)))
        .collect::<Result<_>>()?;
    Ok(format!("{kind} [\n{}\n]\n", entries.join(",\n")))
}

fn entry(tensor: &Tensor, batched: bool, dims: Option<Vec<i64>>) -> Result<String> {
    let name = &tensor.name;
    let (Some(element), Some(mut dims)) = (tensor.element, dims) else {
        bail!("{name} has no type or no rank");
    };
    let mut reshape = "";
    if batched {
        if dims.is_empty() {
            bail!("{name} has no dimension of the batch");
        }
        dims.remove(0);
        if dims.is_empty() {
            // Triton has no tensors of one dimension beside that of the batch.
            dims.push(1);
            reshape = "    reshape: { shape: [ ] }\n";
        }
    }
    let dims: Vec<String> = dims.iter().map(i64::to_string).collect();
    let dims = dims.join(", ");
    Ok(format!(
        "  {{\n    name: \"{name}\"\n    data_type: TYPE_{element}\n    dims: [ {dims} ]\n{reshape}  }}"
    ))
}
