//! What is read from, and changed in, the graphs of the export.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context, Result};
use onnx_file::{Edit, Silence, guard_silence, table_rows};

use super::device::Device;
use super::options::Options;
use super::search::Onnx;

/// How a Paraformer comes to serve recordings without words.
pub(super) struct Guarded {
    /// It does, with the edit if there is one.
    pub(super) serves_silence: bool,
    pub(super) edit: Option<Edit>,
    /// Why it does not.
    pub(super) note: Option<String>,
}

/// Puts the guard of silence into a Paraformer.
pub(super) fn guard(onnx: &Onnx) -> Result<Guarded> {
    let (reader, length) = open(onnx)?;
    let silence = guard_silence(reader, length).with_context(|| onnx.name())?;
    let (serves_silence, edit, note) = match silence {
        Silence::Guard(edit) => (true, Some(edit), None),
        Silence::Guarded => (true, None, None),
        Silence::Unknown(reason) => {
            let mut note = format!(
                "{} is taken as it is: {reason}. It fails on recordings without words: in the ensemble their requests are errors, and \
                 spoil those that share a batch with them; the pipeline gives each recording a call of its own",
                onnx.name()
            );
            if loops(onnx) {
                note += ". It collects tokens in loops, which take seconds on a GPU. A file in half precision has none if it is converted \
                         from the file of a repository, and not from the export";
            }
            (false, None, Some(note))
        }
    };
    Ok(Guarded {
        serves_silence,
        edit,
        note,
    })
}

/// Whether an export has times or takes hot words: all of these collect tokens in loops.
fn loops(onnx: &Onnx) -> bool {
    let outputs = onnx.content.outputs.iter();
    let inputs = onnx.content.inputs.iter();
    let mut names = outputs.chain(inputs).map(|tensor| tensor.name.as_str());
    names.any(|name| matches!(name, "us_cif_peak" | "bias_embed"))
}

/// Lets a Paraformer collect its tokens at once, if it does so in loops.
pub(super) fn collect_at_once(onnx: &Onnx) -> Result<Option<Edit>> {
    let (reader, length) = open(onnx)?;
    onnx_file::collect_at_once(reader, length).with_context(|| onnx.name())
}

/// All that is changed in a file: these edits, and those for the device that it is to run on.
pub(super) fn edited(
    onnx: &Onnx,
    options: &Options,
    edits: impl IntoIterator<Item = Option<Edit>>,
) -> Result<Option<(PathBuf, Edit)>> {
    let mut all: Vec<Edit> = edits.into_iter().flatten().collect();
    if options.common.device == Some(Device::Cuda) {
        let (reader, length) = open(onnx)?;
        all.extend(onnx_file::unroll_convolutions(reader, length).with_context(|| onnx.name())?);
    }
    let mut all = all.into_iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let edit = all
        .try_fold(first, Edit::and)
        .with_context(|| onnx.name())?;
    Ok(Some((onnx.path.clone(), edit)))
}

/// How many ids a model knows for each of these inputs.
pub(super) fn ids(onnx: &Onnx, inputs: &[&str]) -> Result<Option<u64>> {
    let mut fewest = None;
    for input in inputs {
        let (reader, length) = open(onnx)?;
        let rows = table_rows(reader, length, input).with_context(|| onnx.name())?;
        let Some(rows) = rows else { return Ok(None) };
        fewest = Some(fewest.map_or(rows, |fewest: u64| fewest.min(rows)));
    }
    Ok(fewest)
}

pub(super) fn open(onnx: &Onnx) -> Result<(BufReader<File>, u64)> {
    let file = File::open(&onnx.path)?;
    let length = file.metadata()?.len();
    Ok((BufReader::new(file), length))
}
