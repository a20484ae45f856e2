//! ONNX Runtime in this process, and sessions made with it.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use onnx_file::{keep_outputs, output_names};
use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use triton_backend::{BackendContext, Error, ErrorCode, InstanceKind, ModelConfig, log};

use crate::accelerators::{self, Kind};
use crate::library::{candidates, not_found, reason};
use crate::options::{SessionOptions, flag_from, threads_from};
use crate::sequence::SequenceTensors;

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

    /// A session to ask what the file takes and gives: made as those are that run, since optimisations find sizes that the file
    /// leaves open.
    pub(crate) fn inspect(
        &self,
        file: &Path,
        options: &SessionOptions,
        operators: &[PathBuf],
    ) -> Result<Session, Error> {
        let options = SessionOptions {
            intra_threads: Some(1),
            ..options.clone()
        };
        self.builder_with(&options, operators)?
            .commit_from_file(file)
            .map_err(|error| cannot_load(file, &error))
    }

    /// A session for an instance.
    pub(crate) fn session(
        &self,
        file: &Path,
        (config, sequence): (&ModelConfig, &SequenceTensors),
        options: &SessionOptions,
        operators: &[PathBuf],
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
        let mut builder = self.builder_with(options, operators)?;
        for (kind, dispatch) in providers {
            builder = builder
                .with_execution_providers([dispatch])
                .map_err(|error| refused(kind, device, &error.into()))?;
        }
        if let Some((model, dropped)) = pruned(file, config, sequence) {
            builder = builder
                .with_config_entry(EXTERNAL_DATA, directory_of(file))
                .map_err(|error| cannot_load(file, &error.into()))?;
            match builder.commit_from_memory(&model) {
                Ok(session) => {
                    triton_backend::info!(
                        "model '{}': outputs that the config does not list are not computed: {dropped}",
                        config.name
                    );
                    return Ok(session);
                }
                // Versions before 1.21 find no external weights this way; and what is wrong with a file is better said of
                // the file itself.
                Err(error) => triton_backend::info!(
                    "model '{}': all outputs are computed, because without {dropped} it does not load: {}",
                    config.name,
                    one_line(&error)
                ),
            }
        }
        builder
            .commit_from_file(file)
            .map_err(|error| cannot_load(file, &error))
    }

    fn builder_with(
        &self,
        options: &SessionOptions,
        operators: &[PathBuf],
    ) -> Result<SessionBuilder, Error> {
        let mut builder = self
            .builder(options)
            .map_err(|error| Error::Config(format!("ONNX Runtime refuses the options: {error}")))?;
        for library in operators {
            builder = builder
                .with_operator_library(library)
                .map_err(|error| cannot_load(library, &error.into()))?;
        }
        Ok(builder)
    }

    fn builder(&self, options: &SessionOptions) -> ort::Result<SessionBuilder> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(options.level.into())?
            .with_parallel_execution(options.parallel)?;
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

/// The model without the outputs that neither clients nor sequences can get, and their names, if there are such.
fn pruned(
    file: &Path,
    config: &ModelConfig,
    sequence: &SequenceTensors,
) -> Option<(Vec<u8>, String)> {
    let keep = |name: &str| config.output(name).is_ok() || sequence.keeps(name);
    let mut source = BufReader::new(File::open(file).ok()?);
    let length = source.get_ref().metadata().ok()?.len();
    let outputs = output_names(&mut source, length).ok()?;
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
    let edit = keep_outputs(&mut source, length, keep).ok()?;
    let mut model = Vec::with_capacity(usize::try_from(length).ok()?);
    edit.write(source, &mut model).ok()?;
    Some((model, dropped.join(", ")))
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
            "ONNX Runtime cannot use {name} (device {device}): {}. It needs libonnxruntime_providers_shared.so and the provider's own library beside \
             libonnxruntime.so.1, and what these are linked with where the loader finds it; or set instance_group [{{ kind: KIND_CPU }}]",
            one_line(error)
        ),
    )
}

/// ONNX Runtime's message without its line breaks.
pub(crate) fn one_line(error: &ort::Error) -> String {
    let lines: Vec<&str> = error.message().lines().map(str::trim).collect();
    lines.join(" ")
}

/// `enable-global-threadpool=1` in the server's settings: one pool for all sessions.
fn global_threads(context: &BackendContext) -> Result<Option<GlobalThreadPoolOptions>, Error> {
    let key = "enable-global-threadpool";
    if flag_from(key, context.setting(key))? != Some(true) {
        return Ok(None);
    }
    let count = |key: &str| threads_from(key, context.setting(key));
    let build = || -> ort::Result<_> {
        let mut pool = GlobalThreadPoolOptions::default();
        if let Ok(Some(count)) = count("intra_op_thread_count") {
            pool = pool.with_intra_threads(count)?;
        }
        if let Ok(Some(count)) = count("inter_op_thread_count") {
            pool = pool.with_inter_threads(count)?;
        }
        Ok(pool)
    };
    count("intra_op_thread_count")?;
    count("inter_op_thread_count")?;
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
