//! Silero's voice activity detection, from a directory of the package silero-vad.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

use anyhow::{Context, Result, bail};
use onnx_file::{Edit, Element, Interface, Tensor, name_state_dims, scan_windows};

use super::config;
use super::kind::Beside;
use super::plan::Plan;
use crate::repo::options::Options;

/// The package's model for sequences of windows.
const SEQUENCE: &str = "silero_vad_16k_sequence.onnx";
/// Its model for one window, which all versions have.
const WINDOWS: &str = "silero_vad.onnx";
/// Samples of a window with those before it, and values of the state: the sizes that all of its versions since the fifth have.
const SAMPLES: i64 = 576;
const STATE: i64 = 128;

/// Whether a directory is the package's.
pub(super) fn is_here(directory: &Path) -> bool {
    let there = |name| directory.join(name).is_file();
    !there("model.onnx") && (there(SEQUENCE) || there(WINDOWS))
}

/// Checks the model, and says what becomes of it.
pub(super) fn plan(options: &Options) -> Result<Plan> {
    let directory = options.from.as_path();
    let name = match directory.join(SEQUENCE).is_file() {
        true => SEQUENCE,
        false => WINDOWS,
    };
    let path = directory.join(name);
    if options.common.quantized {
        bail!("{name} has no quantized form: leave out --quantized");
    }
    let Edited {
        edit,
        interface,
        looped,
    } = edited(&path).with_context(|| path.display().to_string())?;
    check(name, &interface).with_context(|| format!("{} cannot be used", path.display()))?;
    let kind = Beside::Silero;
    let inner = kind.models()[2];
    let mut models = Vec::new();
    for model in &kind.models()[..2] {
        let text = kind.template(&format!("{model}/config.pbtxt"))?;
        models.push((*model, text.to_owned()));
    }
    let template = kind.template("silero_vad/config.pbtxt")?;
    models.push((inner, config::with_tensors(template, &interface, false)?));
    let (facts, notes) = match looped {
        false => (format!("{name}, windows of 32 ms"), Vec::new()),
        true => (
            format!("{name} in a loop, windows of 32 ms"),
            vec![format!(
                "{name} takes one window a call, so it was put into a loop; with {SEQUENCE} beside it, which silero-vad has since 6.2.2, that is \
                 taken, which answers the same sooner"
            )],
        ),
    };
    Ok(Plan {
        models,
        files: vec![(path, format!("{inner}/1/model.onnx"))],
        edit,
        notes,
        facts,
    })
}

/// What becomes of a file.
struct Edited {
    edit: Option<Edit>,
    /// As it is with the edit.
    interface: Interface,
    /// It took one window a call.
    looped: bool,
}

/// How a model comes to take many windows a call, and to say what state it has behind them.
fn edited(path: &Path) -> Result<Edited> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let scan = scan_windows(&mut reader, length)?;
    let looped = scan.is_some();
    let edit = match scan {
        Some(edit) => Some(edit),
        None => name_state_dims(&mut reader, length)?,
    };
    let interface = match &edit {
        None => Interface::read(path)?,
        Some(edit) => {
            let mut written = Vec::new();
            edit.write(&mut reader, &mut written)?;
            let length = written.len() as u64;
            Interface::read_from(Cursor::new(written), length)?
        }
    };
    Ok(Edited {
        edit,
        interface,
        looped,
    })
}

/// Whether the tensors are those of the component.
fn check(name: &str, interface: &Interface) -> Result<()> {
    let state = [1, -1, STATE];
    let mut problems = Vec::new();
    for (what, there, wanted) in [
        (
            "input",
            &interface.inputs,
            [("input", &[-1, SAMPLES][..]), ("h", &state), ("c", &state)],
        ),
        (
            "output",
            &interface.outputs,
            [("speech_probs", &[-1][..]), ("hn", &state), ("cn", &state)],
        ),
    ] {
        for (name, dims) in wanted {
            match there.iter().find(|tensor| tensor.name == name) {
                None => problems.push(format!("there is no {what} {name}")),
                Some(tensor) if !fits(tensor, dims) => {
                    let given = tensor.config_dims().unwrap_or_default();
                    problems.push(format!(
                        "{what} {name} has the dimensions {given:?}, expected {dims:?}"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "{name} is not the model of silero-vad 5 or newer:\n  - {}",
        problems.join("\n  - ")
    );
}

/// Whether it is a tensor of floats whose dimensions are these; -1 is any.
fn fits(tensor: &Tensor, dims: &[i64]) -> bool {
    let given = tensor.config_dims().unwrap_or_default();
    let same = |(given, wanted): (&i64, &i64)| given == wanted || *given == -1 || *wanted == -1;
    tensor.element == Some(Element::FP32)
        && given.len() == dims.len()
        && given.iter().zip(dims).all(same)
}
