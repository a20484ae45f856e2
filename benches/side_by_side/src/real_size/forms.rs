//! Who is asked for whole recordings, and how it went.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Result, bail};
use serde_json::json;

use super::compared::{Compared, Form, Forms};
use super::model::Model;
use super::recordings::{seconds, turn};
use super::repository::{self, SCORES_PIPELINE};
use crate::Pace;
use crate::bare;
use crate::ensembles::executions;
use crate::load::Connection;
use crate::message::Message;
use crate::partner::Partner;
use crate::python;
use crate::speech::{request, transcript};
use crate::tools::{Tools, address_of};

/// So many recordings sherpa-onnx decodes in one call, where they wait.
pub(super) const TOGETHER: usize = 4;

pub(super) const FORMS: Forms<'_> = &[
    (Form::Alone, "ONNX Runtime alone"),
    (Form::Served(""), "ensemble"),
    (Form::Served(repository::PIPELINE), "pipeline"),
    (Form::Served(SCORES_PIPELINE), "pipeline, scores"),
    (Form::Served(repository::PYTHON), "ensemble of Python steps"),
    (Form::Sherpa(1), "sherpa-onnx, a call each"),
    (Form::Sherpa(TOGETHER), "sherpa-onnx, up to 4 a call"),
];

/// What came of a model.
pub(super) struct Measured {
    /// The model's name.
    pub(super) top: &'static str,
    /// Of ONNX Runtime alone and of sherpa-onnx.
    pub(super) versions: [String; 2],
    pub(super) compared: Compared,
    /// Bytes that the encoder hands over for a second of audio: ids, and scores.
    pub(super) handed_over: [f64; 2],
}

/// What the served forms are asked, by the beginnings of their names.
type Asked = BTreeMap<&'static str, Vec<Message>>;

/// Measures a model in all forms.
pub(super) fn measure(
    tools: &Tools,
    exports: &Path,
    model: &Model,
    recordings: &[Vec<f32>],
    pace: Pace<'_>,
) -> Result<Measured> {
    pace.tell(&format!("{}: the repository", model.export));
    let repository = repository::assemble(tools, exports, model)?;
    pace.tell(&format!("{}: loading", model.export));
    let features = tools.directory.join("features");
    let width = bare::write_features(&repository.join("feature_extractor"), recordings, &features)?;
    let packages = python::packages(&tools.layout)?;
    let alone = |name: &str| {
        let file = repository.join(name).join("1/model.onnx");
        let (features, width) = (features.display().to_string(), width.to_string());
        let arguments = [
            file.display().to_string(),
            features,
            "--width".to_owned(),
            width,
        ];
        Partner::start(
            &tools.layout,
            "ONNX Runtime by itself",
            &[&packages],
            "bare.py",
            arguments,
        )
    };
    let mut onnx_runtime = alone(repository::ENCODER)?;
    let mut sherpa = sherpa(tools, exports, model, recordings)?;
    let server = tools.serve(&repository, &[])?;
    let address = address_of(&server)?;
    let messages = |form: &Form| match form {
        Form::Served(prefix) => {
            let name = format!("{prefix}{}", model.top);
            let requests = recordings.iter();
            let requests = requests.map(|each| request(model.kind, &name, each));
            Some((*prefix, requests.collect()))
        }
        _ => None,
    };
    let asked: Asked = FORMS
        .iter()
        .filter_map(|(form, _)| messages(form))
        .collect();
    check(address, model, &asked)?;
    let compared = Compared::by_turns(
        model.export,
        seconds(recordings),
        FORMS,
        pace,
        |form| counts(address, form),
        |form, at_a_time| match form {
            Form::Alone => onnx_runtime.turn(&json!({ "at_a_time": at_a_time })),
            Form::Sherpa(rows) => sherpa.turn(&json!({ "at_a_time": at_a_time, "rows": rows })),
            Form::Served(prefix) => turn(address, &asked[prefix], at_a_time),
        },
    )?;
    drop(server);
    let Compared { audio, rows } = &compared;
    let ids = rows.iter().find_map(|row| row.turns.first()?.bytes);
    let scores = alone(&format!("{SCORES_PIPELINE}{}", repository::ENCODER))?
        .turn(&json!({ "at_a_time": 1 }))?
        .bytes;
    Ok(Measured {
        top: model.top,
        versions: [onnx_runtime.version.clone(), sherpa.version.clone()],
        handed_over: [ids, scores].map(|bytes| bytes.unwrap_or(f64::NAN) / audio),
        compared,
    })
}

/// sherpa-onnx with the file as it was exported.
pub(super) fn sherpa(
    tools: &Tools,
    exports: &Path,
    model: &Model,
    recordings: &[Vec<f32>],
) -> Result<Partner> {
    let audio = tools.directory.join("recordings");
    bare::write(recordings, &audio)?;
    let packages = python::sherpa_packages(&tools.layout)?;
    let numpy = python::packages(&tools.layout)?;
    let text = |path: &Path| path.display().to_string();
    let work = tools.directory.join("sherpa").join(model.export);
    let arguments = [
        model.export.to_owned(),
        text(&exports.join(model.export)),
        text(&audio),
        "--work".to_owned(),
        text(&work),
        "--threads".to_owned(),
        available_parallelism()?.to_string(),
    ];
    Partner::start(
        &tools.layout,
        "sherpa-onnx",
        &[&packages, &numpy],
        "sherpa.py",
        arguments,
    )
}

/// Rows and calls of a form's encoder so far.
pub(super) fn counts(address: SocketAddr, form: Form) -> Result<Option<(f64, f64)>> {
    match form {
        Form::Served(prefix) => {
            executions(address, &format!("{prefix}{}", repository::ENCODER)).map(Some)
        }
        _ => Ok(None),
    }
}

/// The native forms say the same, before they are timed.
fn check(address: SocketAddr, model: &Model, asked: &Asked) -> Result<()> {
    let mut connection = Connection::open(address)?;
    let mut texts = |prefix: &str| -> Result<Vec<String>> {
        let first = asked[prefix].iter().take(4);
        first
            .map(|each| transcript(&mut connection, each))
            .collect()
    };
    let ensemble = texts("")?;
    for prefix in [repository::PIPELINE, SCORES_PIPELINE] {
        let other = texts(prefix)?;
        if ensemble != other {
            bail!(
                "{}: the ensemble says {ensemble:?}, {prefix} {other:?}",
                model.export
            );
        }
    }
    if texts(repository::PYTHON)?.iter().all(String::is_empty) {
        bail!("{}: the Python steps say nothing", model.export);
    }
    Ok(())
}
