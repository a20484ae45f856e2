//! What the server tells a backend, a model and an instance about themselves.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::path::{Component, Path, PathBuf};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{Error, check};
use crate::metrics::Families;
use crate::{ModelConfig, cuda, sys};

/// Where an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceKind {
    /// The server left it open.
    Auto,
    /// On the CPU.
    Cpu,
    /// On the GPU whose number is the context's `device_id`.
    Gpu,
    /// The model decides.
    Model,
}

impl InstanceKind {
    fn from_raw(raw: c_int) -> Self {
        match raw {
            1 => Self::Cpu,
            2 => Self::Gpu,
            3 => Self::Model,
            _ => Self::Auto,
        }
    }

    pub(crate) fn to_raw(self) -> c_int {
        match self {
            Self::Auto => 0,
            Self::Cpu => 1,
            Self::Gpu => 2,
            Self::Model => 3,
        }
    }
}

/// A backend's surroundings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendContext {
    /// The name it is loaded under.
    pub name: String,
    /// The directory of the library.
    pub directory: PathBuf,
    /// The server's `--backend-config` for it, as JSON (`cmdline` holds the pairs given).
    pub config: serde_json::Value,
}

impl BackendContext {
    /// # Safety
    /// `backend` is live.
    pub(crate) unsafe fn new(backend: *mut sys::TRITONBACKEND_Backend) -> Result<Self, Error> {
        let mut kind = 0;
        let mut location = ptr::null();
        let mut message = ptr::null_mut();
        // SAFETY: a live backend, valid out pointers; the strings live as long as the backend, the message's is the
        // backend's.
        unsafe {
            let name = text(|name| sys::TRITONBACKEND_BackendName(backend, name))?;
            check(sys::TRITONBACKEND_BackendArtifacts(
                backend,
                &mut kind,
                &mut location,
            ))?;
            check(sys::TRITONBACKEND_BackendConfig(backend, &mut message))?;
            Ok(Self {
                name,
                directory: absolute(location),
                config: json_value(message)?,
            })
        }
    }

    /// A `--backend-config=NAME,key=value` of the server's command line.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.config.get("cmdline")?.get(key)?.as_str()
    }

    /// Sets how many bytes may be held for tensors in GPU memory, as far as the server was told.
    pub(crate) fn limit_memory(&self) -> Result<(), Error> {
        for (key, kind) in [
            ("pinned-memory-pool-byte-size", cuda::Kind::PageLocked),
            ("gpu-cache-byte-size", cuda::Kind::Gpu),
        ] {
            kind.set_limit(match self.setting(key) {
                None => kind.default_limit(),
                Some(text) => text.parse().map_err(|_| {
                    let message =
                        format!("'{text}' is not a number of bytes; 0 turns the pool off");
                    Error::parameter(key, message)
                })?,
            });
        }
        Ok(())
    }
}

/// A model's surroundings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelContext {
    /// The model's name.
    pub name: String,
    /// The version being loaded.
    pub version: u64,
    /// The model's directory, absolute: the one with the config and the version directories.
    pub directory: PathBuf,
    /// The model's config.
    pub config: ModelConfig,
    /// The same config as the server wrote it.
    pub config_json: serde_json::Value,
    /// For calls to other models.
    pub(crate) server: NonNull<sys::TRITONSERVER_Server>,
    /// Of the backend.
    pub(crate) families: Arc<Families>,
    kept: Rc<RefCell<Kept>>,
}

/// What goes with a model.
pub(crate) type Kept = Vec<Box<dyn Any + Send>>;

impl ModelContext {
    /// # Safety
    /// `model` is live.
    pub(crate) unsafe fn new(
        model: *mut sys::TRITONBACKEND_Model,
        families: &Arc<Families>,
    ) -> Result<Self, Error> {
        let mut version = 0_u64;
        let mut kind = 0;
        let mut location = ptr::null();
        let mut message = ptr::null_mut();
        let mut server = ptr::null_mut();
        // SAFETY: a live model, valid out pointers; the strings live as long as the model, and the message is ours.
        unsafe {
            let name = text(|name| sys::TRITONBACKEND_ModelName(model, name))?;
            check(sys::TRITONBACKEND_ModelVersion(model, &mut version))?;
            check(sys::TRITONBACKEND_ModelRepository(
                model,
                &mut kind,
                &mut location,
            ))?;
            check(sys::TRITONBACKEND_ModelServer(model, &mut server))?;
            let server =
                NonNull::new(server).ok_or_else(|| Error::internal("the model has no server"))?;
            check(sys::TRITONBACKEND_ModelConfig(model, 1, &mut message))?;
            let config_json = take_json(message)?;
            Ok(Self {
                name,
                version,
                directory: absolute(location),
                config: ModelConfig::from_json(&config_json.to_string())?,
                config_json,
                server,
                families: Arc::clone(families),
                kept: Rc::default(),
            })
        }
    }

    /// Keeps a value until the server finalises the model, and drops it before the model: a thread that asks the server, and
    /// that the drop ends. Whatever shares the model's parts may be dropped later, when the server is gone.
    ///
    /// Only while the model is loaded. If that fails, the value is dropped then.
    pub fn keep(&self, value: impl Any + Send) {
        self.kept.borrow_mut().push(Box::new(value));
    }

    pub(crate) fn take_kept(&self) -> Kept {
        self.kept.take()
    }

    /// The directory of the version being loaded.
    pub fn version_directory(&self) -> PathBuf {
        self.directory.join(self.version.to_string())
    }

    /// The file or directory that a config means by `path`: as it stands (relative to the server's working directory), else
    /// relative to the model's directory, the version's, the repository, or the directory above it, so that a path
    /// written for one working directory goes on working from every other. Before that directory the path is looked for in the
    /// repository without its first name, which is that of the repository where it was written: the files of one that
    /// is called otherwise now are its own, and not those of another one beside it.
    ///
    /// # Errors
    /// If nothing is there; the message lists the places looked at.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, Error> {
        let mut tried = vec![
            PathBuf::from(path),
            self.directory.join(path),
            self.version_directory().join(path),
        ];
        if let Some(repository) = self.directory.parent() {
            tried.push(repository.join(path));
            tried.extend(below_first(path).map(|rest| repository.join(rest)));
            tried.extend(repository.parent().map(|above| above.join(path)));
        }
        tried.dedup();
        if let Some(found) = tried.iter().find(|candidate| candidate.exists()) {
            return Ok(found.clone());
        }
        let places: Vec<String> = tried
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        Err(Error::Config(format!(
            "no file '{path}'; looked for {}",
            places.join(", ")
        )))
    }

    /// The file that the parameter `key` names, resolved.
    ///
    /// # Errors
    /// If the parameter is missing or the file is.
    pub fn file(&self, key: &str) -> Result<PathBuf, Error> {
        let path = self.config.parameters.require(key)?;
        self.resolve(path).map_err(|error| match error {
            Error::Config(message) => Error::parameter(key, message),
            other => other,
        })
    }
}

/// A relative path without its first name; `None` if nothing is left.
fn below_first(path: &str) -> Option<&Path> {
    let mut names = Path::new(path.trim_start_matches("./")).components();
    let first = names.next()?;
    let rest = names.as_path();
    (matches!(first, Component::Normal(_)) && rest.file_name().is_some()).then_some(rest)
}

/// An instance's surroundings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InstanceContext {
    /// The instance's name.
    pub name: String,
    /// Where it runs.
    pub kind: InstanceKind,
    /// The GPU's number, if it runs on one.
    pub device_id: i32,
}

impl InstanceContext {
    /// # Safety
    /// `instance` is live.
    pub(crate) unsafe fn new(
        instance: *mut sys::TRITONBACKEND_ModelInstance,
    ) -> Result<Self, Error> {
        let mut kind = 0;
        let mut device_id = 0_i32;
        // SAFETY: a live instance, valid out pointers; the name lives as long as the instance.
        unsafe {
            let name = text(|name| sys::TRITONBACKEND_ModelInstanceName(instance, name))?;
            check(sys::TRITONBACKEND_ModelInstanceKind(instance, &mut kind))?;
            check(sys::TRITONBACKEND_ModelInstanceDeviceId(
                instance,
                &mut device_id,
            ))?;
            Ok(Self {
                name,
                kind: InstanceKind::from_raw(kind),
                device_id,
            })
        }
    }
}

/// # Safety
/// `get` stores a NUL-terminated string that lives at least until this function returns.
unsafe fn text(get: impl FnOnce(*mut *const c_char) -> sys::ErrorPtr) -> Result<String, Error> {
    let mut text = ptr::null();
    // SAFETY: the caller's promise.
    unsafe {
        check(get(&mut text))?;
        Ok(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// # Safety
/// `location` is NUL-terminated.
unsafe fn absolute(location: *const c_char) -> PathBuf {
    // SAFETY: the caller's promise.
    let location = unsafe { CStr::from_ptr(location) }
        .to_string_lossy()
        .into_owned();
    let path = Path::new(&location);
    // The server hands out relative paths if it was given them; its working directory may change later.
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// Reads a message that the server made for us.
///
/// # Safety
/// `message` is live and ours; it is deleted.
pub(crate) unsafe fn take_json(
    message: *mut sys::TRITONSERVER_Message,
) -> Result<serde_json::Value, Error> {
    // SAFETY: the caller's promise; not used after the delete.
    unsafe {
        let json = json_value(message);
        check(sys::TRITONSERVER_MessageDelete(message))?;
        json
    }
}

/// # Safety
/// `message` is live.
unsafe fn json_value(message: *mut sys::TRITONSERVER_Message) -> Result<serde_json::Value, Error> {
    let mut base = ptr::null();
    let mut size = 0_usize;
    // SAFETY: a live message and valid out pointers; the text lives as long as the message.
    unsafe {
        check(sys::TRITONSERVER_MessageSerializeToJson(
            message, &mut base, &mut size,
        ))?;
        let text = match size {
            0 => &[][..],
            _ => std::slice::from_raw_parts(base.cast::<u8>(), size),
        };
        serde_json::from_slice(text)
            .map_err(|error| Error::internal(format!("the server's JSON cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::below_first;
    use std::path::Path;

    #[test]
    fn a_path_without_its_first_name_is_what_is_left() {
        for (path, rest) in [
            ("./model_repo/encoder/am.mvn", Some("encoder/am.mvn")),
            ("model_repo//am.mvn", Some("am.mvn")),
            ("am.mvn", None),
            ("./am.mvn", None),
            ("", None),
            ("../encoder/am.mvn", None),
            ("/models/am.mvn", None),
        ] {
            assert_eq!(below_first(path), rest.map(Path::new), "{path}");
        }
    }
}
