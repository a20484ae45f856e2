//! API keys, from a file that is read again when it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::log;

/// How often the file's date is looked at. It is read when it has stayed the same from one look to the next: one that is being written is half there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What stands in front of a key's SHA-256 in hexadecimal, in place of the key itself.
const HASHED: &str = "sha256:";

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It cannot be read.
    #[error("cannot read the keys in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is something else. The line itself is not told: it may be a key.
    #[error("{}, line {line}: a name, a blank, and a key of at least 16 characters, or sha256: and its hash in hexadecimal", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// A key, by its hash: all have one length, so that a comparison tells nothing by its time.
struct Key {
    name: Arc<str>,
    hash: [u8; 32],
}

/// The keys.
pub(crate) struct Keys {
    path: PathBuf,
    table: RwLock<Vec<Key>>,
}

impl Keys {
    /// # Errors
    /// If the file cannot be read, or is no file of keys.
    pub(crate) fn read(path: &Path) -> Result<Self, KeysError> {
        Ok(Self {
            path: path.to_owned(),
            table: RwLock::new(read(path)?),
        })
    }

    /// Whose key this is.
    pub(crate) fn owner(&self, given: &[u8]) -> Option<Arc<str>> {
        let hash: [u8; 32] = Sha256::digest(given).into();
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut owner = None;
        // To the end, wherever it is found.
        for key in table.iter() {
            if bool::from(key.hash.ct_eq(&hash)) {
                owner = Some(Arc::clone(&key.name));
            }
        }
        owner
    }

    /// Reads the file again whenever it changes, for ever. One that is wrong changes nothing.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut read_last = stamp(&self.path);
        let mut seen = read_last;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamp(&self.path);
            let is_changing = std::mem::replace(&mut seen, now) != now;
            if is_changing || now == read_last {
                continue;
            }
            read_last = now;
            match read(&self.path) {
                Ok(table) => {
                    log::info(format_args!("{} keys read again", table.len()));
                    *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
                }
                Err(error) => log::warn(format_args!("{error}; the former keys go on")),
            }
        }
    }
}

/// What changes when the file does.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> Result<Vec<Key>, KeysError> {
    let text = fs::read_to_string(path).map_err(|source| KeysError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut keys = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        keys.push(key(line).ok_or_else(|| KeysError::Line {
            path: path.to_owned(),
            line: number,
        })?);
    }
    Ok(keys)
}

fn key(line: &str) -> Option<Key> {
    let (name, key) = line.split_once(char::is_whitespace)?;
    let key = key.trim();
    if key.contains(char::is_whitespace) {
        return None;
    }
    let hash = match key.strip_prefix(HASHED) {
        Some(hexadecimal) => hash_of(hexadecimal)?,
        // One that can be guessed is none.
        None if key.len() < 16 => return None,
        None => Sha256::digest(key.as_bytes()).into(),
    };
    let name = name.into();
    Some(Key { name, hash })
}

fn hash_of(hexadecimal: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u32>> = hexadecimal
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + *digit as u8))
        .collect();
    (hexadecimal.len() == 64)
        .then(|| bytes.try_into().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<Keys, KeysError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, text).unwrap();
        Keys::read(&path)
    }

    #[test]
    fn a_key_has_an_owner_and_others_have_none() {
        let hash = format!("{:x}", Hex(&Sha256::digest(b"0123456789abcdefgh")));
        let keys = keys(&format!(
            "# ours\nalice  sk-0123456789abcdef\n\nbob sha256:{hash}\n"
        ))
        .unwrap();
        assert_eq!(keys.owner(b"sk-0123456789abcdef").as_deref(), Some("alice"));
        assert_eq!(keys.owner(b"0123456789abcdefgh").as_deref(), Some("bob"));
        for wrong in [
            "",
            "alice",
            "sk-0123456789abcdeg",
            "sk-0123456789abcdef ",
            &hash,
        ] {
            assert_eq!(keys.owner(wrong.as_bytes()), None, "{wrong}");
        }
    }

    struct Hex<'a>(&'a [u8]);

    impl std::fmt::LowerHex for Hex<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }

    #[test]
    fn a_wrong_line_is_named_and_not_told() {
        for line in [
            "sk-0123456789abcdef",
            "alice short",
            "alice sk-0123456789abcdef more words",
            "alice sha256:0g",
        ] {
            let error = keys(&format!("bob sk-0123456789abcdef\n{line}\n"))
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains("line 2: a name") && !error.contains(line),
                "{error}"
            );
        }
    }
}
