//! The archive: everything, for whoever unpacks it somewhere.

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use tar::{Builder, Header};

use super::architecture::Architecture;
use super::payload::{Item, Payload};

/// `triton-funasr-VERSION-ARCH-linux.tar.gz`, all files in one directory of that name, of the time `made`.
pub(super) fn write(
    payload: &Payload,
    architecture: Architecture,
    made: u64,
) -> Result<(String, Vec<u8>)> {
    let name = format!(
        "triton-funasr-{}-{}-linux",
        payload.version,
        architecture.name()
    );
    // Without a time of its own, and always the same system.
    let packed = GzBuilder::new()
        .operating_system(255)
        .write(Vec::new(), Compression::default());
    let mut archive = Builder::new(packed);
    let programs = std::iter::once(&payload.tool).chain(&payload.libraries);
    let texts = payload
        .legal
        .iter()
        .chain([&payload.sbom])
        .chain(&payload.documents);
    for item in programs.chain(texts).chain(&payload.repositories) {
        archive.append_data(
            &mut header(item, made),
            format!("{name}/{}", item.path),
            &*item.bytes,
        )?;
    }
    Ok((format!("{name}.tar.gz"), archive.into_inner()?.finish()?))
}

fn header(item: &Item, made: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(item.bytes.len() as u64);
    header.set_mode(if item.executable { 0o755 } else { 0o644 });
    header.set_mtime(made);
    header
}
