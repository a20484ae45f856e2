//! How many threads ONNX Runtime gets where nobody says.
//!
//! One pool for all sessions, and with whoever runs a session it has as many threads as there are processors for this process. A
//! pool for each session, which is what ONNX Runtime does by itself, is as many times that as there are instances and models; and
//! it counts the machine's processors, also where a container may use but some of them.

use std::collections::HashSet;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

/// The threads that compute at a time: as many as the process has processors by its affinity and its control group's quota, but
/// not more than the machine has cores, since two threads of one core share what multiplies.
pub(crate) fn processors() -> usize {
    let allowed = available_parallelism().map_or(1, NonZero::get);
    match cores(Path::new("/sys/devices/system/cpu")) {
        0 => allowed,
        cores => allowed.min(cores),
    }
}

/// The cores that are listed in `directory`, by the threads that share one; 0 if it does not tell.
fn cores(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    let siblings = entries.flatten().filter_map(|entry| {
        let path = entry.path().join("topology/thread_siblings_list");
        std::fs::read_to_string(path).ok()
    });
    siblings.collect::<HashSet<String>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: &str, siblings: &[&str]) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        for (number, siblings) in siblings.iter().enumerate() {
            let topology = directory.join(format!("cpu{number}/topology"));
            std::fs::create_dir_all(&topology).unwrap();
            std::fs::write(topology.join("thread_siblings_list"), siblings).unwrap();
        }
        std::fs::create_dir_all(directory.join("cpuidle")).unwrap();
        directory
    }

    #[test]
    fn threads_of_one_core_count_once() {
        let with = machine("cores-with-threads", &["0,2\n", "1,3\n", "0,2\n", "1,3\n"]);
        assert_eq!(cores(&with), 2);
        let without = machine("cores", &["0\n", "1\n", "2\n"]);
        assert_eq!(cores(&without), 3);
        for directory in [with, without] {
            std::fs::remove_dir_all(directory).unwrap();
        }
    }

    #[test]
    fn a_machine_that_does_not_tell_has_what_the_process_may_use() {
        assert_eq!(cores(Path::new("/no/such/directory")), 0);
        let allowed = available_parallelism().unwrap().get();
        assert!((1..=allowed).contains(&processors()));
    }
}
