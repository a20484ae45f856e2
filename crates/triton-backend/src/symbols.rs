//! The server's functions, found in the process by their names.
//!
//! A tritonserver that was started as a program has them among the process's globals. Where the server runs inside another program, such as a
//! Python interpreter, its library was opened for whoever opened it alone (`RTLD_LOCAL`), often under a name with a checksum in it;
//! then the library is sought among all that are loaded.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_NOW};

/// A function that every server has, and no backend.
const MARK: &str = "TRITONBACKEND_ApiVersion";

/// The function called `name`: a global of the process, or of the library that has the server.
///
/// # Safety
/// `F` is the C signature of the function called `name`.
pub(crate) unsafe fn find<F: Copy>(name: &str) -> Option<F> {
    let is_pointer = const { size_of::<F>() == size_of::<*mut c_void>() };
    debug_assert!(is_pointer, "{name} is no function");
    // SAFETY: the caller vouches for the signature, which is that of a pointer to a function.
    address(name).map(|address| unsafe { std::mem::transmute_copy::<*mut c_void, F>(&address) })
}

/// Where the function called `name` is; never null.
pub(crate) fn address(name: &str) -> Option<*mut c_void> {
    let of_process = address_in(&Library::this(), name);
    of_process.or_else(|| address_in(server()?, name))
}

fn address_in(library: &Library, name: &str) -> Option<*mut c_void> {
    // SAFETY: only the address is taken. What is found stays: the process is never unloaded, and the server not before its backends.
    let symbol = unsafe { library.get::<*mut c_void>(name) }.ok()?;
    let address = symbol.into_raw();
    (!address.is_null()).then_some(address)
}

/// The library with the server, where its functions are no globals.
fn server() -> Option<&'static Library> {
    static SERVER: OnceLock<Option<Library>> = OnceLock::new();
    let sought = || {
        let libraries = loaded().into_iter().filter_map(|path| opened(&path));
        let is_server = |library: &Library| address_in(library, MARK).is_some();
        libraries.into_iter().find(is_server)
    };
    SERVER.get_or_init(sought).as_ref()
}

/// A library that is loaded already.
fn opened(path: &OsStr) -> Option<Library> {
    // SAFETY: RTLD_NOLOAD opens nothing anew, so runs no code of the library's.
    unsafe { Library::open(Some(path), RTLD_NOW | libc::RTLD_NOLOAD) }.ok()
}

/// The paths of the libraries of this process.
fn loaded() -> Vec<OsString> {
    /// Adds the path of one.
    unsafe extern "C" fn add(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        paths: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader passes a live description, and what it was given.
        let (name, paths) = unsafe { ((*info).dlpi_name, &mut *paths.cast::<Vec<OsString>>()) };
        if let Some(path) = path(name) {
            paths.push(path);
        }
        0
    }

    let mut paths = Vec::<OsString>::new();
    // SAFETY: `add` is called before this returns, with the vector and nothing else.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut paths).cast()) };
    paths
}

/// The path that the loader names a library by. The program itself has none.
fn path(name: *const c_char) -> Option<OsString> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the loader's names end with NUL, and stay while it goes through its list.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    (!name.is_empty()).then(|| OsStr::from_bytes(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_process_are_found_and_others_are_not() {
        assert_eq!(address("malloc"), Some(libc::malloc as *mut c_void));
        assert_eq!(address("TRITONSERVER_NoSuchFunction"), None);
    }

    #[test]
    fn the_loader_names_the_c_library_and_nothing_without_a_name() {
        let paths = loaded();
        let is_c = |path: &OsString| path.to_string_lossy().contains("libc.so");
        assert_eq!(paths.iter().filter(|path| is_c(path)).count(), 1);
        assert!(paths.iter().all(|path| !path.is_empty()));
    }
}
