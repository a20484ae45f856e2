//! Reading files that may be anything: a model's directory is filled by people.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The content of a regular file of up to `limit` bytes.
///
/// Pipes and devices are refused: they can keep a reader waiting for ever, or never end.
///
/// # Errors
/// When there is no such file, it cannot be read, is no regular file, or is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = path.metadata()?;
    let wrong = |kind, what: String| Err(io::Error::new(kind, what));
    if metadata.is_dir() {
        return wrong(
            io::ErrorKind::IsADirectory,
            "it is a directory, expected a file".to_owned(),
        );
    }
    if !metadata.is_file() {
        return wrong(
            io::ErrorKind::InvalidInput,
            "it is a pipe or a device, expected a file".to_owned(),
        );
    }
    let mut bytes = Vec::new();
    if metadata.len() <= limit {
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    }
    // What grows meanwhile, or has no size, such as a file of /proc, is read up to the limit.
    if metadata.len().max(bytes.len() as u64) > limit {
        return wrong(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {} MB, expected no more", limit >> 20),
        );
    }
    Ok(bytes)
}
