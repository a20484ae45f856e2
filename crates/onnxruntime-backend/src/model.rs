//! A model: its file, its config, its sessions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ort::session::Session;
use serde_json::Value;
use triton_backend::{Error, ErrorCode, InstanceContext, InstanceKind, ModelConfig, ModelContext};

use crate::accelerators::Kind;
use crate::arenas::to_shrink;
use crate::check::check;
use crate::complete::{complete, is_complete};
use crate::lengths::LengthInput;
use crate::leniency::Leniency;
use crate::mismatch::Mismatch;
use crate::options::{SessionOptions, unknown_parameters};
use crate::sequence::SequenceTensors;
use crate::session::Runtime;
use crate::signature::Signature;

/// A session as instances use it: `run` wants it for itself.
pub(crate) type SharedSession = Arc<Mutex<Session>>;

type Place = (InstanceKind, i32);

/// A loaded model.
pub(crate) struct OnnxModel {
    pub(crate) name: String,
    pub(crate) config: ModelConfig,
    pub(crate) options: SessionOptions,
    pub(crate) sequence: SequenceTensors,
    pub(crate) lengths: Vec<LengthInput>,
    pub(crate) leniency: Leniency,
    file: PathBuf,
    operators: Vec<PathBuf>,
    runtime: &'static Runtime,
    shared: Mutex<Vec<(Place, Weak<Mutex<Session>>)>>,
}

impl OnnxModel {
    /// Loads a model.
    pub(crate) fn load(runtime: &'static Runtime, context: &ModelContext) -> Result<Self, Error> {
        let config = context.config.clone();
        let named = |error: Error| named(&context.name, error);
        refuse_unsupported(&context.config_json)
            .map_err(|mismatch| named(mismatch_error(&mismatch)))?;
        let unknown = unknown_parameters(&config.parameters);
        if !unknown.is_empty() {
            triton_backend::warn!(
                "model '{}': the backend does not know the parameters {}",
                context.name,
                unknown.join(", ")
            );
        }
        if has_entries(&context.config_json, "cc_model_filenames") {
            triton_backend::warn!(
                "model '{}': cc_model_filenames is not looked at: all instances have the file that default_model_filename names",
                context.name
            );
        }
        Ok(Self {
            name: context.name.clone(),
            options: SessionOptions::from_config(&config).map_err(named)?,
            sequence: SequenceTensors::from_config(&context.config_json),
            lengths: LengthInput::from_config(&config).map_err(named)?,
            leniency: Leniency::from_config(&config).map_err(named)?,
            file: model_file(context).map_err(named)?,
            operators: operator_libraries(context).map_err(named)?,
            runtime,
            shared: Mutex::default(),
            config,
        })
    }

    /// The config with what it leaves out taken from the file; `max_batch_size` is `default_max_batch_size` where the file batches.
    pub(crate) fn complete_config(
        runtime: &Runtime,
        default_max_batch_size: i32,
        context: &ModelContext,
    ) -> Result<Option<Value>, Error> {
        if is_complete(&context.config) {
            return Ok(None);
        }
        let named = |error: Error| named(&context.name, error);
        let file = model_file(context).map_err(named)?;
        let options = SessionOptions::from_config(&context.config).map_err(named)?;
        let operators = operator_libraries(context).map_err(named)?;
        let session = runtime.inspect(&file, &options, &operators);
        let session = session.map_err(named)?;
        let signature = Signature::of(&session);
        let lenient = Leniency::from_config(&context.config)
            .map_err(named)?
            .config;
        let completed = complete(
            &context.config,
            &context.config_json,
            &signature,
            default_max_batch_size,
            lenient,
        )
        .map_err(|mismatch| named(mismatch_error(&mismatch)))?;
        triton_backend::info!(
            "model '{}': config completed from '{}', max_batch_size {}",
            context.name,
            file.display(),
            completed["max_batch_size"]
        );
        Ok(Some(completed))
    }
}

impl OnnxModel {
    /// The session for an instance: its own, or with `share_session` the one of its device.
    pub(crate) fn session_for(&self, context: &InstanceContext) -> Result<SharedSession, Error> {
        let place = (context.kind, context.device_id);
        if !self.options.shared {
            return self.new_session(place);
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let living = shared
            .iter()
            .find(|(present, _)| *present == place)
            .and_then(|(_, session)| session.upgrade());
        if let Some(session) = living {
            return Ok(session);
        }
        let session = self.new_session(place)?;
        shared.retain(|(present, _)| *present != place);
        shared.push((place, Arc::downgrade(&session)));
        Ok(session)
    }

    fn new_session(&self, place: Place) -> Result<SharedSession, Error> {
        let session = self
            .runtime
            .session(
                &self.file,
                (&self.config, &self.sequence),
                &self.options,
                &self.operators,
                place,
            )
            .map_err(|error| named(&self.name, error))?;
        Ok(Arc::new(Mutex::new(session)))
    }

    /// What the model takes and gives, once it is known to fit the config.
    pub(crate) fn signature(&self, session: &Session) -> Result<Signature, Error> {
        let signature = Signature::of(session);
        check(&self.config, &self.sequence, &signature, self.leniency).map_err(|mismatch| {
            let file = self.file.display();
            named(&self.name, Error::invalid(format!("'{file}': {mismatch}")))
        })?;
        Ok(signature)
    }

    /// The arenas that give memory back after each run of an instance.
    pub(crate) fn arenas(&self, context: &InstanceContext) -> Result<Option<String>, Error> {
        let uses_gpu = context.kind == InstanceKind::Gpu && Kind::Cuda.is_available();
        let gpu = uses_gpu.then_some(context.device_id);
        to_shrink(&self.options, gpu).map_err(|error| named(&self.name, error))
    }
}

fn named(model: &str, error: Error) -> Error {
    error.context(format!("model '{model}'"))
}

fn mismatch_error(mismatch: &Mismatch) -> Error {
    Error::invalid(mismatch.to_string())
}

/// Features of a config that would be silently ignored otherwise.
fn refuse_unsupported(config: &Value) -> Result<(), Mismatch> {
    let used = |key: &str| {
        config
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(|entries| !entries.is_empty())
    };
    match (used("batch_input"), used("batch_output")) {
        (true, _) => Err(Mismatch::NotSupported("batch_input")),
        (_, true) => Err(Mismatch::NotSupported("batch_output")),
        _ => Ok(()),
    }
}

/// Whether a config has a map with entries of this name.
fn has_entries(config: &Value, key: &str) -> bool {
    let entries = config.get(key).and_then(Value::as_object);
    entries.is_some_and(|entries| !entries.is_empty())
}

const DEFAULT_FILE: &str = "model.onnx";

/// The ONNX file: `default_model_filename` in the version's directory, or `model.onnx` in the directory of that name.
fn model_file(context: &ModelContext) -> Result<PathBuf, Error> {
    let name = match context.config.default_model_filename.as_str() {
        "" => DEFAULT_FILE,
        name => name,
    };
    let directory = context.version_directory();
    let mut file = directory.join(name);
    if file.is_dir() {
        file.push(DEFAULT_FILE);
    }
    if file.is_file() {
        return Ok(file);
    }
    Err(Error::new(
        ErrorCode::NotFound,
        format!(
            "there is no file '{}'; put the ONNX file there, or name it in default_model_filename ({})",
            file.display(),
            contents(&directory)
        ),
    ))
}

fn contents(directory: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return format!("the directory '{}' is missing", directory.display());
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.truncate(10);
    match names.is_empty() {
        true => "the directory is empty".to_owned(),
        false => format!("the directory holds {}", names.join(", ")),
    }
}

/// `model_operations.op_library_filename`: libraries with operators that ONNX Runtime lacks.
fn operator_libraries(context: &ModelContext) -> Result<Vec<PathBuf>, Error> {
    let names = context
        .config_json
        .get("model_operations")
        .and_then(|operations| operations.get("op_library_filename"))
        .and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|name| context.resolve(name))
        .collect()
}
