//! Debian's package: the tool on the path, and the libraries where it finds them and `triton-funasr install` takes them from.

use std::io::Write;

use anyhow::Result;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::architecture::Architecture;
use super::compile::GLIBC;
use super::payload::{Item, Payload};

const DOCUMENTS: &str = "usr/share/doc/triton-funasr";

/// A package by deb(5): three members of an `ar` archive, all of the time `made`.
pub(super) fn write(
    payload: &Payload,
    architecture: Architecture,
    native: bool,
    made: u64,
) -> Result<(String, Vec<u8>)> {
    let debian = match architecture {
        Architecture::X86_64 => "amd64",
        Architecture::Aarch64 => "arm64",
    };
    let files: Vec<(String, &Item)> = files(payload);
    let size = files
        .iter()
        .map(|(_, item)| item.bytes.len())
        .sum::<usize>();
    let control = control(&payload.version, debian, native, size.div_ceil(1024));
    let mut description = Packed::new(made);
    description.add("./control", control.as_bytes(), false)?;
    let mut data = Packed::new(made);
    for (path, item) in &files {
        data.add(&format!("./{path}"), &item.bytes, item.executable)?;
    }
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", description.finish()?),
        ("data.tar.gz", data.finish()?),
    ];
    let mut package = ar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(made);
        package.append(&header, &*bytes)?;
    }
    let name = format!("triton-funasr_{}_{debian}.deb", payload.version);
    Ok((name, package.into_inner()?))
}

/// Where each file goes, from the root.
fn files(payload: &Payload) -> Vec<(String, &Item)> {
    let programs = std::iter::once(&payload.tool).chain(&payload.libraries);
    let programs = programs.map(|item| (format!("usr/{}", item.path), item));
    let texts = payload.documents.iter().chain([&payload.sbom]);
    let texts = texts.chain(&payload.legal).map(|item| {
        // Where Debian's users look for it.
        let path = match item.path.as_str() {
            "LICENSE" => "copyright",
            path => path,
        };
        (format!("{DOCUMENTS}/{path}"), item)
    });
    let repositories = payload.repositories.iter();
    let repositories =
        repositories.map(|item| (format!("usr/share/triton-funasr/{}", item.path), item));
    programs.chain(texts).chain(repositories).collect()
}

/// What dpkg reads. `size` is in KiB.
fn control(version: &str, architecture: &str, native: bool, size: usize) -> String {
    let libc = match native {
        // As new as this machine's, whatever that is.
        true => "libc6".to_owned(),
        false => format!("libc6 (>= {GLIBC})"),
    };
    format!(
        "Package: triton-funasr\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The authors of triton-funasr\n\
         Installed-Size: {size}\nDepends: {libc}, libgcc-s1 | libgcc1\nRecommends: python3, python3-pip\nSection: sound\nPriority: optional\n\
         Description: FunASR's speech models on NVIDIA Triton Inference Server\n \
         The command triton-funasr assembles model repositories from exported SenseVoice and\n \
         Paraformer models, serves them, checks configs, installs the backend into a Triton\n \
         that is there, and transcribes recordings.\n"
    )
}

/// A tar.gz in which each file has its directories before it, as dpkg wants it.
struct Packed {
    archive: Builder<GzEncoder<Vec<u8>>>,
    directories: Vec<String>,
    made: u64,
}

impl Packed {
    fn new(made: u64) -> Self {
        let packed = GzBuilder::new()
            .operating_system(255)
            .write(Vec::new(), Compression::default());
        Self {
            archive: Builder::new(packed),
            directories: Vec::new(),
            made,
        }
    }

    fn add(&mut self, path: &str, bytes: &[u8], executable: bool) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            let directory = &path[..=end];
            if !self.directories.iter().any(|there| there == directory) {
                let header = self.header(0, 0o755, EntryType::Directory);
                self.append(header, directory, &[])?;
                self.directories.push(directory.to_owned());
            }
        }
        let mode = if executable { 0o755 } else { 0o644 };
        let header = self.header(bytes.len() as u64, mode, EntryType::Regular);
        self.append(header, path, bytes)
    }

    fn append(&mut self, mut header: Header, path: &str, bytes: &[u8]) -> Result<()> {
        Ok(self.archive.append_data(&mut header, path, bytes)?)
    }

    fn header(&self, size: u64, mode: u32, kind: EntryType) -> Header {
        let mut header = Header::new_gnu();
        header.set_size(size);
        header.set_mode(mode);
        header.set_mtime(self.made);
        header.set_entry_type(kind);
        header
    }

    fn finish(self) -> Result<Vec<u8>> {
        let mut packed = self.archive.into_inner()?;
        packed.flush()?;
        Ok(packed.finish()?)
    }
}
