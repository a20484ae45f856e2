//! The stand-in for the CUDA runtime (cudart.c), and tests in a process that finds it.
#![allow(
    dead_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    unreachable_pub
)]

use std::ffi::{CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_NOW};

/// CUDA's `cudaErrorMemoryAllocation`.
pub const OUT_OF_MEMORY: c_int = 2;
/// CUDA's `cudaErrorIllegalAddress`.
pub const ILLEGAL_ADDRESS: c_int = 700;

const NAME: &str = "libcudart.so.12";

/// Builds the stand-in, once, and says where it is.
fn directory() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        // Another test process may be reading the one that is there.
        let new = directory.join(format!("{NAME}-{}", std::process::id()));
        let built = crate::compiler::cc()
            .args(["-shared", "-fPIC", "-pthread", "-Wall", "-Werror", "-o"])
            .arg(&new)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cudart/cudart.c"))
            .status()
            .unwrap();
        assert!(built.success());
        std::fs::rename(new, directory.join(NAME)).unwrap();
        directory
    })
}

/// Runs the ignored tests of a module in a process that has the stand-in in its library path.
pub fn run_with_it(module: &str, variables: &[(&str, &str)]) {
    let output = crate::compiler::this_program()
        .args([module, "--ignored", "--test-threads=1"])
        .env("LD_LIBRARY_PATH", directory())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !text.contains("running 0 tests"),
        "{}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The stand-in in this process: what it counts, and what it is told to do.
pub struct Cudart(Library);

impl Cudart {
    pub fn loaded() -> Self {
        Self(unsafe { Library::open(Some(NAME), RTLD_NOW) }.unwrap())
    }

    fn number(&self, function: &str) -> usize {
        let count = unsafe { self.0.get::<extern "C" fn() -> c_int>(function).unwrap()() };
        usize::try_from(count).unwrap()
    }

    /// Lets a function, or a "copy", fail so many times.
    pub fn fail(&self, function: &str, status: c_int, times: c_int) {
        type Fail = extern "C" fn(*const c_char, c_int, c_int);
        let function = CString::new(function).unwrap();
        let fail = unsafe { self.0.get::<Fail>("standin_fail").unwrap() };
        fail(function.as_ptr(), status, times);
    }

    /// Copies asked for on a device.
    pub fn copies(&self, device: c_int) -> usize {
        let copies = unsafe {
            self.0
                .get::<extern "C" fn(c_int) -> c_int>("standin_copies")
                .unwrap()
        };
        usize::try_from(copies(device)).unwrap()
    }

    /// Uses of the legacy default stream.
    pub fn legacy(&self) -> usize {
        self.number("standin_legacy")
    }

    /// Streams that exist.
    pub fn streams(&self) -> usize {
        self.number("standin_streams")
    }

    /// How often page-locked memory was made.
    pub fn allocations(&self) -> usize {
        self.number("standin_allocations")
    }

    /// Bytes of page-locked memory.
    pub fn pinned(&self) -> usize {
        self.number("standin_pinned")
    }

    /// Bytes of GPU memory.
    pub fn on_gpu(&self) -> usize {
        self.number("standin_on_gpu")
    }

    /// The device that is current in this thread.
    pub fn device(&self) -> c_int {
        let mut device = -1;
        let get = unsafe {
            self.0
                .get::<unsafe extern "C" fn(*mut c_int) -> c_int>("cudaGetDevice")
                .unwrap()
        };
        assert_eq!(unsafe { get(&mut device) }, 0);
        device
    }

    pub fn set_device(&self, device: c_int) {
        let set = unsafe {
            self.0
                .get::<extern "C" fn(c_int) -> c_int>("cudaSetDevice")
                .unwrap()
        };
        assert_eq!(set(device), 0);
    }

    /// What this thread would be told that went wrong last.
    pub fn last_error(&self) -> usize {
        self.number("cudaPeekAtLastError")
    }
}
