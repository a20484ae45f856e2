//! Giving memory back after a run.
//!
//! ONNX Runtime keeps what a run took in arenas, for the runs to come. A single long request would so hold its gigabytes for
//! ever.

use triton_backend::Error;

use crate::options::{SHRINK_ARENAS, SessionOptions};

/// The arenas that give memory back after each run of an instance, as ONNX Runtime takes them; `None` if none does.
///
/// Those that the config names, or all that the session has: the CPU's unless the config takes it away, and that of the GPU
/// it uses. One that it lacks would fail every request.
pub(crate) fn to_shrink(
    options: &SessionOptions,
    gpu: Option<i32>,
) -> Result<Option<String>, Error> {
    let cpu = (options.memory_arena != Some(false)).then(|| "cpu:0".to_owned());
    let gpu = gpu.map(|device| format!("gpu:{device}"));
    let present: Vec<String> = cpu.into_iter().chain(gpu).collect();
    let Some(named) = &options.shrink_arenas else {
        return Ok((!present.is_empty()).then(|| present.join(";")));
    };
    let lacking = named
        .split(';')
        .filter(|name| !name.is_empty())
        .find(|name| {
            let is = |arena: &String| arena == name || arena.strip_suffix(":0") == Some(name);
            !present.iter().any(is)
        });
    match lacking {
        None => Ok((!named.is_empty()).then(|| named.clone())),
        Some(lacking) => {
            let present = match present.is_empty() {
                true => "has no arena".to_owned(),
                false => format!("has the arenas {}", present.join(";")),
            };
            Err(Error::parameter(
                SHRINK_ARENAS,
                format!(
                    "'{lacking}' is no arena of this instance, which {present}; every request would fail. Write those, or leave \
                     the parameter out"
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(memory_arena: Option<bool>, named: Option<&str>) -> SessionOptions {
        SessionOptions {
            memory_arena,
            shrink_arenas: named.map(str::to_owned),
            ..SessionOptions::default()
        }
    }

    #[test]
    fn all_arenas_that_there_are_is_the_default() {
        let default = |arena, gpu| to_shrink(&options(arena, None), gpu).unwrap();
        assert_eq!(default(None, None).as_deref(), Some("cpu:0"));
        assert_eq!(default(Some(true), Some(2)).as_deref(), Some("cpu:0;gpu:2"));
        assert_eq!(default(Some(false), Some(0)).as_deref(), Some("gpu:0"));
        assert_eq!(default(Some(false), None), None);
    }

    #[test]
    fn the_config_may_name_some_or_none() {
        let named = |text, gpu| to_shrink(&options(None, Some(text)), gpu).unwrap();
        assert_eq!(named("", Some(0)), None);
        for text in ["cpu", "cpu:0", "cpu:0;", "gpu:1;cpu:0"] {
            assert_eq!(named(text, Some(1)).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_would_fail_every_request_is_refused() {
        let refused = |arena, text, gpu| {
            to_shrink(&options(arena, Some(text)), gpu)
                .unwrap_err()
                .to_string()
        };
        for (text, part) in [
            ("cpu:0;gpu:0", "'gpu:0'"),
            ("cpu:1", "'cpu:1'"),
            ("CPU:0", "'CPU:0'"),
            ("cpu:0; cpu:0", "' cpu:0'"),
            ("cpu:0,gpu:0", "'cpu:0,gpu:0'"),
        ] {
            let message = refused(None, text, None);
            assert!(
                message.contains(SHRINK_ARENAS) && message.contains(part),
                "{message}"
            );
            assert!(message.contains("has the arenas cpu:0;"), "{message}");
        }
        assert!(refused(None, "gpu:0", Some(1)).contains("has the arenas cpu:0;gpu:1;"));
        assert!(refused(Some(false), "cpu:0", None).contains("has no arena;"));
    }
}
