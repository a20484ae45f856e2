//! Where the ONNX Runtime library is looked for.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use ort::LoadDynamicError;

/// A library to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// A path, or a bare name for the system's loader.
    pub(crate) path: PathBuf,
    /// Who named it.
    pub(crate) source: Source,
}

/// Who named a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `--backend-config=onnxruntime,library-path=…`
    Setting,
    /// The directory of the backend.
    Beside,
    /// `ORT_DYLIB_PATH`
    Environment,
    /// The system's loader.
    System,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setting => "library-path",
            Self::Beside => "beside the backend",
            Self::Environment => "ORT_DYLIB_PATH",
            Self::System => "system loader",
        })
    }
}

const PLAIN: &str = "libonnxruntime.so";

/// The libraries to try, in order. A setting stands alone: whoever names a library wants that one and no other.
pub(crate) fn candidates(
    setting: Option<&str>,
    directory: &Path,
    environment: Option<&OsStr>,
) -> Vec<Candidate> {
    if let Some(setting) = setting.filter(|setting| !setting.is_empty()) {
        return from_setting(Path::new(setting));
    }
    let mut found = in_directory(directory, Source::Beside);
    if let Some(path) = environment.filter(|path| !path.is_empty()) {
        found.push(Candidate {
            path: absolute(Path::new(path)),
            source: Source::Environment,
        });
    }
    for name in ["libonnxruntime.so.1", PLAIN] {
        found.push(Candidate {
            path: PathBuf::from(name),
            source: Source::System,
        });
    }
    found
}

fn from_setting(path: &Path) -> Vec<Candidate> {
    let path = absolute(path);
    if path.is_dir() {
        let found = in_directory(&path, Source::Setting);
        if !found.is_empty() {
            return found;
        }
    }
    vec![Candidate {
        path,
        source: Source::Setting,
    }]
}

/// The libraries in a directory: the plain name first, then the newest version.
fn in_directory(directory: &Path, source: Source) -> Vec<Candidate> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name == PLAIN || version(name).is_some())
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse((name == PLAIN, version(name))));
    names
        .into_iter()
        .map(|name| Candidate {
            path: directory.join(name),
            source,
        })
        .collect()
}

/// `[1, 22, 0]` of `libonnxruntime.so.1.22.0`.
fn version(name: &str) -> Option<Vec<u32>> {
    name.strip_prefix(PLAIN)?
        .strip_prefix('.')?
        .split('.')
        .map(|part| part.parse().ok())
        .collect()
}

/// A path that means the same whatever directory the loader takes relative paths from. Bare names stay bare.
fn absolute(path: &Path) -> PathBuf {
    if path.components().count() == 1 && !path.exists() {
        return path.to_path_buf();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// What to tell an operator when none of the candidates could be loaded.
pub(crate) fn not_found(directory: &Path, tried: &[(Candidate, String)]) -> String {
    let list: Vec<String> = tried
        .iter()
        .map(|(candidate, problem)| {
            format!(
                "{} ({}): {problem}",
                candidate.path.display(),
                candidate.source
            )
        })
        .collect();
    format!(
        "no usable ONNX Runtime library (version 1.{} or newer). Tried {}. \
         Put libonnxruntime.so.1 (from a release of ONNX Runtime, or from the Python wheel onnxruntime, onnxruntime/capi/) into {}, \
         or start the server with --backend-config=onnxruntime,library-path=FILE, or set ORT_DYLIB_PATH",
        ort::MINOR_VERSION,
        list.join("; "),
        directory.display()
    )
}

/// Why a library could not be loaded, in the loader's words.
pub(crate) fn reason(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            let causes = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| {
                error.source()
            });
            let texts: Vec<String> = causes.map(ToString::to_string).collect();
            texts.join(": ")
        }
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!("is version {version_str}, which is too old")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[Candidate]) -> Vec<String> {
        found
            .iter()
            .map(|candidate| {
                let name = candidate.path.file_name().unwrap();
                name.to_string_lossy().into_owned()
            })
            .collect()
    }

    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn prefers_the_plain_name_and_then_the_newest_version() {
        let directory = scratch("onnx-library-order");
        for name in [
            "libonnxruntime.so.1.9.1",
            "libonnxruntime.so.1.22.0",
            "libonnxruntime.so.1",
            "libonnxruntime.so",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.bak",
        ] {
            std::fs::write(directory.join(name), b"").unwrap();
        }
        let found = candidates(None, &directory, Some(OsStr::new("/opt/elsewhere/ort.so")));
        assert_eq!(
            names(&found),
            [
                "libonnxruntime.so",
                "libonnxruntime.so.1.22.0",
                "libonnxruntime.so.1.9.1",
                "libonnxruntime.so.1",
                "ort.so",
                "libonnxruntime.so.1",
                "libonnxruntime.so"
            ]
        );
        assert_eq!(found[0].source, Source::Beside);
        assert_eq!(found[4].source, Source::Environment);
        assert_eq!(found[5].path, Path::new("libonnxruntime.so.1"));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_setting_stands_alone() {
        let found = candidates(
            Some("/no/such/library.so"),
            Path::new("/"),
            Some(OsStr::new("/x.so")),
        );
        assert_eq!(
            found,
            [Candidate {
                path: PathBuf::from("/no/such/library.so"),
                source: Source::Setting
            }]
        );
    }

    #[test]
    fn a_setting_may_name_a_directory() {
        let directory = scratch("onnx-library-setting");
        std::fs::write(directory.join("libonnxruntime.so.1.25.0"), b"").unwrap();
        let found = candidates(directory.to_str(), Path::new("/"), None);
        assert_eq!(names(&found), ["libonnxruntime.so.1.25.0"]);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn versions_are_told() {
        let error = LoadDynamicError::BadVersion {
            version_str: "1.19.2".to_owned(),
            path: PathBuf::new(),
        };
        assert_eq!(reason(&error), "is version 1.19.2, which is too old");
    }

    #[test]
    fn the_message_names_every_place_and_the_ways_out() {
        let tried = [(
            Candidate {
                path: PathBuf::from("/b/libonnxruntime.so.1"),
                source: Source::Beside,
            },
            "too old".to_owned(),
        )];
        let message = not_found(Path::new("/b"), &tried);
        for part in [
            "1.20 or newer",
            "/b/libonnxruntime.so.1 (beside the backend): too old",
            "library-path=",
            "ORT_DYLIB_PATH",
        ] {
            assert!(message.contains(part), "{part} not in {message}");
        }
    }
}
