//! Putting files into a repository.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use onnx_file::Edit;

use super::options::Large;
use crate::console;

/// From this size on a file is linked where that works, and its copying shown where not.
const LARGE: u64 = 64 << 20;

/// Puts a copy of `from` at `to`; a large file becomes a hard link to the same data where that is wanted and the file system can do it.
pub(super) fn place(from: &Path, to: &Path, large: Large) -> Result<()> {
    // A model cache often holds links to its files; what is wanted is the file.
    let place = || -> Result<()> {
        let from = from.canonicalize()?;
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let size = from.metadata()?.len();
        if size < LARGE {
            fs::copy(&from, to)?;
        } else if large == Large::Copied || fs::hard_link(&from, to).is_err() {
            copy_shown(&from, to, size)?;
        }
        Ok(())
    };
    place().with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Puts an edited copy of the ONNX file `from` at `to`.
pub(crate) fn edited(from: &Path, to: &Path, edit: &Edit) -> Result<()> {
    let place = || -> Result<()> {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let source = File::open(from)?;
        let bar = console::bytes_bar("Copying", source.metadata()?.len()).with_message(name_of(to));
        let mut target = BufWriter::new(bar.wrap_write(File::create(to)?));
        edit.write(source, &mut target)?;
        target.flush()?;
        bar.finish_and_clear();
        Ok(())
    };
    place().with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn copy_shown(from: &Path, to: &Path, size: u64) -> io::Result<()> {
    let bar = console::bytes_bar("Copying", size).with_message(name_of(to));
    let mut target = File::create(to)?;
    io::copy(&mut bar.wrap_read(File::open(from)?), &mut target)?;
    target.flush()?;
    bar.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn small_files_are_copied_and_links_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link, to) = ("file", "link", "sub/to").map_into(directory.path());
        fs::write(&file, "content").unwrap();
        symlink(&file, &link).unwrap();
        place(&link, &to, Large::Linked).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "content");
        assert!(!to.is_symlink());
        assert_ne!(
            fs::metadata(&file).unwrap().ino(),
            fs::metadata(&to).unwrap().ino()
        );
    }

    #[test]
    fn large_files_share_their_data() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link, to) = ("file", "link", "to").map_into(directory.path());
        File::create(&file).unwrap().set_len(LARGE).unwrap();
        symlink(&file, &link).unwrap();
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        place(&link, &to, Large::Linked).unwrap();
        assert_eq!(inode(&file), inode(&to));
        fs::remove_file(&to).unwrap();
        place(&link, &to, Large::Copied).unwrap();
        assert_ne!(inode(&file), inode(&to));
        assert_eq!(fs::metadata(&to).unwrap().len(), LARGE);
    }

    #[test]
    fn copying_copies_all() {
        let directory = tempfile::tempdir().unwrap();
        let (file, _, to) = ("file", "", "to").map_into(directory.path());
        fs::write(&file, vec![7; 300_000]).unwrap();
        copy_shown(&file, &to, 300_000).unwrap();
        assert_eq!(fs::read(&to).unwrap(), vec![7; 300_000]);
    }

    trait MapInto {
        fn map_into(
            self,
            directory: &Path,
        ) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf);
    }

    impl MapInto for (&str, &str, &str) {
        fn map_into(
            self,
            directory: &Path,
        ) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf) {
            (
                directory.join(self.0),
                directory.join(self.1),
                directory.join(self.2),
            )
        }
    }
}
