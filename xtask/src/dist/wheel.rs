//! The wheel: `pip install` puts the tool on the path and the libraries where it finds them. There is no Python in it.

use std::io::{Cursor, Write};

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::architecture::Architecture;
use super::compile::GLIBC;
use super::payload::Payload;

/// A wheel by the rules of Python's packaging: its name has the glibc that it needs.
pub(super) fn write(
    payload: &Payload,
    architecture: Architecture,
    native: bool,
) -> Result<(String, Vec<u8>)> {
    let platform = match native {
        true => format!("linux_{}", architecture.name()),
        false => format!(
            "manylinux_{}_{}",
            GLIBC.replace('.', "_"),
            architecture.name()
        ),
    };
    let base = format!("triton_funasr-{}", payload.version);
    let tag = format!("py3-none-{platform}");
    let mut wheel = Wheel {
        zip: ZipWriter::new(Cursor::new(Vec::new())),
        record: String::new(),
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    wheel.add(
        &format!("{base}.data/scripts/{}", name(&payload.tool.path)),
        &payload.tool.bytes,
        true,
    )?;
    for library in &payload.libraries {
        wheel.add(
            &format!("{base}.data/data/{}", library.path),
            &library.bytes,
            true,
        )?;
    }
    let information = format!("{base}.dist-info");
    wheel.add(
        &format!("{information}/METADATA"),
        metadata(payload).as_bytes(),
        false,
    )?;
    let kind = format!(
        "Wheel-Version: 1.0\nGenerator: cargo xtask dist\nRoot-Is-Purelib: false\nTag: {tag}\n"
    );
    wheel.add(&format!("{information}/WHEEL"), kind.as_bytes(), false)?;
    for file in &payload.legal {
        wheel.add(
            &format!("{information}/licenses/{}", file.path),
            &file.bytes,
            false,
        )?;
    }
    let sbom = &payload.sbom;
    wheel.add(
        &format!("{information}/sboms/{}", sbom.path),
        &sbom.bytes,
        false,
    )?;
    Ok((format!("{base}-{tag}.whl"), wheel.finish(&information)?))
}

/// What the package index shows.
fn metadata(payload: &Payload) -> String {
    let legal = payload.legal.iter();
    let licences = legal
        .map(|file| format!("License-File: {}\n", file.path))
        .collect::<String>();
    format!(
        "Metadata-Version: 2.4\nName: triton-funasr\nVersion: {}\nSummary: SenseVoice, Paraformer and streaming Paraformer on NVIDIA \
         Triton Inference Server, without Python in the server\nLicense-Expression: Apache-2.0\n{licences}Requires-Python: >=3.10\n\
         Requires-Dist: pip\nClassifier: Operating System :: POSIX :: Linux\nClassifier: Topic :: Multimedia :: Sound/Audio :: Speech\n\
         Description-Content-Type: text/plain\n\n\
         The command triton-funasr assembles model repositories from exported FunASR models, serves them, checks configs, installs the\n\
         backend into a Triton that is there, and transcribes recordings. `triton-funasr --help` lists what it does.\n",
        payload.version
    )
}

struct Wheel {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    record: String,
}

impl Wheel {
    fn add(&mut self, path: &str, bytes: &[u8], executable: bool) -> Result<()> {
        let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
        self.record
            .push_str(&format!("{path},sha256={sum},{}\n", bytes.len()));
        self.put(path, bytes, executable)
    }

    fn put(&mut self, path: &str, bytes: &[u8], executable: bool) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if executable { 0o755 } else { 0o644 });
        self.zip.start_file(path, options)?;
        Ok(self.zip.write_all(bytes)?)
    }

    /// The list of all files comes last, and does not say its own sum.
    fn finish(mut self, information: &str) -> Result<Vec<u8>> {
        let path = format!("{information}/RECORD");
        let record = format!("{}{path},,\n", self.record);
        self.put(&path, record.as_bytes(), false)?;
        Ok(self.zip.finish()?.into_inner())
    }
}
