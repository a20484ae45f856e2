//! ONNX Runtime in this process, and sessions made with it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use onnx_file::{Edit, keep_outputs, output_names, refer_to_weights};
use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use triton_backend::{BackendContext, Error, ErrorCode, InstanceKind, ModelConfig, log};

use crate::accelerators::{self, Kind};
use crate::library::{candidates, not_found, reason};
use crate::options::{Level, SessionOptions, flag_from, threads_from};
use crate::sequence::SequenceTensors;
use crate::threads::processors;
use crate::weights::SharedWeights;

/// The ONNX Runtime of this process: loaded once and kept for good, since a process can have but one environment.
pub(crate) struct Runtime {
    environment: Environment,
    /// The library's path.
    pub(crate) library: String,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// The process's runtime; the first call loads it.
    pub(crate) fn get(context: &BackendContext) -> Result<&'static Self, Error> {
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = RUNTIME.get() {
            return Ok(runtime);
        }
        let runtime = Self::load(context)?;
        Ok(RUNTIME.get_or_init(|| runtime))
    }

    fn load(context: &BackendContext) -> Result<Self, Error> {
        let variable = std::env::var_os("ORT_DYLIB_PATH");
        let setting = context.setting("library-path");
        let mut tried = Vec::new();
        for candidate in candidates(setting, &context.directory, variable.as_deref()) {
            match ort::init_from(&candidate.path) {
                Ok(builder) => {
                    let library = candidate.path.display().to_string();
                    let mut builder = builder
                        .with_name("triton")
                        .with_telemetry(false)
                        .with_logger(Arc::new(forward));
                    if let Some(pool) = global_threads(context)? {
                        builder = builder.with_global_thread_pool(pool);
                    }
                    let environment = builder.build().map_err(|error| {
                        Error::internal(format!("{library}: no environment: {error}"))
                    })?;
                    environment.set_log_level(log_level());
                    triton_backend::info!("ONNX Runtime: {library} ({})", ort::info());
                    return Ok(Self {
                        environment,
                        library,
                    });
                }
                Err(error) => tried.push((candidate, reason(&error))),
            }
        }
        let message = not_found(&context.directory, &tried);
        Err(Error::new(ErrorCode::Unavailable, message))
    }

    /// A session with no optimisation, to ask what the file takes and gives.
    pub(crate) fn inspect(&self, file: &Path) -> Result<Session, Error> {
        let options = SessionOptions {
            intra_threads: Some(1),
            level: Level::Disabled,
            ..SessionOptions::default()
        };
        self.builder(&options)
            .and_then(|mut builder| builder.commit_from_file(file))
            .map_err(|error| cannot_load(file, &error))
    }

    /// A session for an instance.
    pub(crate) fn session(
        &self,
        file: &Path,
        (config, sequence): (&ModelConfig, &SequenceTensors),
        options: &SessionOptions,
        (operators, weights): (&[std::path::PathBuf], Option<&SharedWeights>),
        (kind, device): (InstanceKind, i32),
    ) -> Result<Session, Error> {
        let mut providers = Vec::new();
        for provider in accelerators::providers(config, kind, device)? {
            match provider.resolve(&self.library)? {
                Some(dispatch) => providers.push((provider.kind, dispatch)),
                None => triton_backend::warn!(
                    "model '{}' has an instance on GPU {device}, but {} was built without {}: it runs on the CPU. \
                     Use a library that has it (the Python wheel onnxruntime-gpu), or set instance_group [{{ kind: KIND_CPU }}]",
                    config.name,
                    self.library,
                    provider.kind.name()
                ),
            }
        }
        let mut builder = self
            .builder(options)
            .map_err(|error| Error::Config(format!("ONNX Runtime refuses the options: {error}")))?;
        for library in operators {
            builder = builder
                .with_operator_library(library)
                .map_err(|error| cannot_load(library, &error.into()))?;
        }
        // What other providers make of weights is theirs to say.
        let weights = weights.filter(|_| providers.is_empty());
        if let Some(weights) = weights {
            builder = weights
                .give(builder)
                .map_err(|error| cannot_load(file, &error))?;
        }
        for (kind, dispatch) in providers {
            builder = builder
                .with_execution_providers([dispatch])
                .map_err(|error| refused(kind, device, &error.into()))?;
        }
        if let Some(model) = edited(file, config, sequence, weights) {
            builder = builder
                .with_config_entry(EXTERNAL_DATA, directory_of(file))
                .map_err(|error| cannot_load(file, &error.into()))?;
            match builder.commit_from_memory(&model) {
                Ok(session) => return Ok(session),
                // Versions before 1.21 find no external weights this way; and what is wrong with a file is better said of
                // the file itself.
                Err(error) => triton_backend::verbose!(
                    "model '{}': the file is taken as it is, with all outputs, because it does not load otherwise: {}",
                    config.name,
                    one_line(&error)
                ),
            }
        }
        builder
            .commit_from_file(file)
            .map_err(|error| cannot_load(file, &error))
    }

    fn builder(&self, options: &SessionOptions) -> ort::Result<SessionBuilder> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(options.level.into())?
            .with_parallel_execution(options.parallel)?;
        if options.own_threads() {
            builder = builder.with_independent_thread_pool()?;
        }
        if let Some(count) = options.intra_threads {
            builder = builder.with_intra_threads(count)?;
        }
        if let Some(count) = options.inter_threads {
            builder = builder.with_inter_threads(count)?;
        }
        if let Some(enable) = options.memory_pattern {
            builder = builder.with_memory_pattern(enable)?;
        }
        if let Some(enable) = options.memory_arena {
            let cpu = ep::CPU::default().with_arena_allocator(enable).build();
            builder = builder.with_execution_providers([cpu.error_on_failure()])?;
        }
        for (key, value) in &options.entries {
            builder = builder.with_config_entry(key, value)?;
        }
        Ok(builder)
    }
}

/// Where ONNX Runtime looks for a model's external weights if it gets the model itself from memory.
const EXTERNAL_DATA: &str = "session.model_external_initializers_file_folder_path";

fn directory_of(file: &Path) -> std::borrow::Cow<'_, str> {
    file.parent().unwrap_or(file).to_string_lossy()
}

/// The model as it is given to ONNX Runtime, if that is not the file: without outputs that nobody can get, and without weights that
/// ONNX Runtime is given anyway, which it would else keep a copy of.
fn edited(
    file: &Path,
    config: &ModelConfig,
    sequence: &SequenceTensors,
    weights: Option<&SharedWeights>,
) -> Option<Vec<u8>> {
    let mut source = BufReader::new(File::open(file).ok()?);
    let length = source.get_ref().metadata().ok()?.len();
    let pruned = pruned(&mut source, length, config, sequence);
    let referring = weights.and_then(|weights| {
        let name = file.file_name()?.to_str()?;
        let edit = refer_to_weights(&mut source, length, name, |weight| weights.holds(weight));
        edit.ok().filter(|edit| !edit.is_empty())
    });
    // Nearly all of a file is weights.
    let size = match referring {
        Some(_) => 0,
        None => usize::try_from(length).ok()?,
    };
    let edit = match (pruned, referring) {
        (Some(pruned), Some(referring)) => pruned.and(referring).ok()?,
        (one, other) => one.or(other)?,
    };
    let mut model = Vec::with_capacity(size);
    edit.write(source, &mut model).ok()?;
    Some(model)
}

/// How to take outputs out that neither clients nor sequences can get, if there are such.
fn pruned(
    source: &mut BufReader<File>,
    length: u64,
    config: &ModelConfig,
    sequence: &SequenceTensors,
) -> Option<Edit> {
    let keep = |name: &str| config.output(name).is_ok() || sequence.keeps(name);
    let outputs = output_names(&mut *source, length).ok()?;
    let dropped: Vec<&str> = outputs
        .iter()
        .map(String::as_str)
        .filter(|name| !keep(name))
        .collect();
    // If the config wants what is not there, the whole file is the better thing to complain about.
    let complete = config
        .output
        .iter()
        .all(|output| outputs.contains(&output.name));
    if dropped.is_empty() || dropped.len() == outputs.len() || !complete {
        return None;
    }
    triton_backend::info!(
        "model '{}': outputs that the config does not list are not computed: {}",
        config.name,
        dropped.join(", ")
    );
    keep_outputs(source, length, keep).ok()
}

fn cannot_load(file: &Path, error: &ort::Error) -> Error {
    Error::invalid(format!(
        "ONNX Runtime cannot load '{}': {}",
        file.display(),
        one_line(error)
    ))
}

fn refused(kind: Kind, device: i32, error: &ort::Error) -> Error {
    let name = kind.name();
    Error::new(
        ErrorCode::Unavailable,
        format!(
            "ONNX Runtime cannot use {name} (device {device}): {}",
            one_line(error)
        ),
    )
}

/// ONNX Runtime's message without its line breaks.
pub(crate) fn one_line(error: &ort::Error) -> String {
    let lines: Vec<&str> = error.message().lines().map(str::trim).collect();
    lines.join(" ")
}

/// One pool for all sessions whose config does not say how many threads they have, unless the server's settings have
/// `enable-global-threadpool=0`: then each has its own, of ONNX Runtime's default size.
fn global_threads(context: &BackendContext) -> Result<Option<GlobalThreadPoolOptions>, Error> {
    let key = "enable-global-threadpool";
    if flag_from(key, context.setting(key))? == Some(false) {
        return Ok(None);
    }
    let count = |key: &str| threads_from(key, context.setting(key));
    let intra = count("intra_op_thread_count")?.unwrap_or_else(processors);
    let inter = count("inter_op_thread_count")?.unwrap_or(1);
    let build = || -> ort::Result<_> {
        GlobalThreadPoolOptions::default()
            .with_intra_threads(intra)?
            // Sessions that run operators in parallel have pools of their own.
            .with_inter_threads(inter)
    };
    build()
        .map(Some)
        .map_err(|error| Error::Config(format!("enable-global-threadpool: {error}")))
}

/// How much ONNX Runtime says: its warnings are for those who look for something.
fn log_level() -> LogLevel {
    match log::enabled(log::Level::Verbose) {
        true => LogLevel::Warning,
        false => LogLevel::Error,
    }
}

/// ONNX Runtime's log goes into the server's.
fn forward(level: LogLevel, category: &str, _id: &str, location: &str, message: &str) {
    let level = match level {
        LogLevel::Error | LogLevel::Fatal => log::Level::Warn,
        _ => log::Level::Verbose,
    };
    if log::enabled(level) {
        let (file, line) = location
            .split_once(' ')
            .and_then(|(place, _)| place.rsplit_once(':'))
            .unwrap_or((location, "0"));
        let text = format!("[{category}] {message}");
        log::write(level, file, line.parse().unwrap_or(0), &text);
    }
}
