//! What lies beside the program.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::options::{DOCUMENT, Options};
use crate::files;
use crate::golden;
use crate::recording::Recording;
use crate::repo::{self, Kind};
use crate::server::{Plan, PortOptions, Server};

const DEMO: [(Kind, &str); 3] = [
    (Kind::Sensevoice, "sensevoice"),
    (Kind::Paraformer, "paraformer"),
    (Kind::ParaformerOnline, "paraformer_online"),
];

/// A directory with everything that the check needs.
#[derive(Debug)]
pub(super) struct Kit {
    root: PathBuf,
}

impl Kit {
    /// The one that this program is in.
    pub(super) fn find() -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let root = program.parent().unwrap_or(Path::new(".")).to_owned();
        let kit = Self { root };
        for part in [kit.tritonserver(), kit.backends(), kit.demo()] {
            if !part.exists() {
                bail!(
                    "{} is missing: this program belongs into a kit, which `cargo xtask gpu-check --kit DIR` makes",
                    part.display()
                );
            }
        }
        Ok(kit)
    }

    pub(super) fn tritonserver(&self) -> PathBuf {
        self.root
            .join("server/pytriton/tritonserver/bin/tritonserver")
    }

    pub(super) fn backends(&self) -> PathBuf {
        self.root.join("backends")
    }

    pub(super) fn onnxruntime(&self) -> PathBuf {
        self.backends().join("onnxruntime/libonnxruntime.so.1")
    }

    /// What the kit was made of.
    pub(super) fn versions(&self) -> String {
        std::fs::read_to_string(self.root.join("versions"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn demo(&self) -> PathBuf {
        self.root.join("demo")
    }

    /// The demo's exports.
    pub(super) fn exports(&self) -> Vec<(Kind, PathBuf)> {
        let of = |(kind, name)| (kind, self.demo().join(name));
        DEMO.map(of).to_vec()
    }

    /// The export of a Paraformer that collects its tokens in loops.
    pub(super) fn looping(&self) -> PathBuf {
        self.demo().join("paraformer_bicif")
    }

    /// A model of a published size, if the kit has it.
    pub(super) fn real_size(&self, name: &str) -> Option<PathBuf> {
        let directory = self.root.join("real-size").join(name);
        directory.join("model.onnx").exists().then_some(directory)
    }

    /// The demo's recordings with their names.
    pub(super) fn recordings(&self) -> Result<Vec<(String, Vec<f32>)>> {
        let golden = golden::read(&self.demo().join("sensevoice/golden.tsv"))?;
        let read = |golden: golden::Golden| {
            let path = self.demo().join("recordings").join(&golden.recording);
            Ok((golden.recording, Recording::read(&path)?.samples))
        };
        golden.into_iter().map(read).collect()
    }

    /// A new repository within the report's directory.
    pub(super) fn repository(
        options: &Options,
        name: &str,
        make: impl FnOnce(PathBuf) -> Result<String>,
    ) -> Result<PathBuf> {
        let path = std::path::absolute(&options.out)?
            .join("gpu_check_repositories")
            .join(name);
        files::remove(&path)?;
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        make(path.clone())?;
        Ok(path)
    }

    /// One of a single model.
    pub(super) fn of_one(
        options: &Options,
        name: &str,
        kind: Kind,
        from: PathBuf,
        edit: impl FnOnce(&mut repo::Common),
    ) -> Result<PathBuf> {
        Self::repository(options, name, |to| {
            let mut common = repo::Common::new(to);
            edit(&mut common);
            repo::assemble(kind, &repo::Options { from, common })
        })
    }

    /// Serves a repository, as pipelines or as ensembles.
    pub(super) fn serve(
        &self,
        options: &Options,
        repository: &Path,
        pipelines: bool,
    ) -> Result<Server> {
        let mut extra = vec!["--exit-timeout-secs=5".into()];
        if pipelines {
            extra.push("--model-config-name=pipeline".into());
        }
        let name = repository.file_name().unwrap_or_default().to_string_lossy();
        Server::start(&Plan {
            tritonserver: self.tritonserver(),
            backends: self.backends(),
            repositories: vec![repository.to_owned()],
            extra,
            environment: Vec::new(),
            ports: PortOptions::default(),
            log: Some(options.out.join(format!("gpu_check_{name}.log"))),
            detached: false,
            patient: false,
        })
        .with_context(|| format!("{DOCUMENT}: {name}"))
    }
}
