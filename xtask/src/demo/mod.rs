//! `cargo xtask demo`: the demo recordings through a real tritonserver.

mod conversation;
mod keep;
mod paraformer;
mod samples;
mod sensevoice;
mod streaming;
mod table;
mod web;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::samples::{Form, Samples, Score, export};
use crate::console;
use crate::http::Client;
use crate::layout::Layout;
use crate::repo::{self, Kind};
use crate::server::{Plan, PortOptions, Server};
use crate::wheels::Wheels;
use crate::{backends, prerequisites, python};

/// How to run the demo.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Serve and try these models alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MODELS")]
    only: Vec<Kind>,
    /// Serve the whole pipelines in place of the ensembles, in one repository
    #[arg(long)]
    pipeline: bool,
    /// Transcribe a recording of two minutes into sentences with their times, in place of the short recordings
    #[arg(long, conflicts_with = "only")]
    long: bool,
    /// Serve all that the web page of the gateway can do, until Ctrl-C, in place of trying recordings
    #[arg(long, conflicts_with_all = ["only", "pipeline", "long", "keep"])]
    web: bool,
    /// Where the page is [default: 127.0.0.1:8080, or another port where that one is taken]
    #[arg(long, value_name = "ADDRESS", requires = "web")]
    listen: Option<SocketAddr>,
    /// Leave the server running, and print how to reach and how to stop it
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    ports: PortOptions,
}

impl Demo {
    fn kinds(&self) -> Vec<Kind> {
        if self.long {
            return vec![Kind::Sensevoice];
        }
        Kind::ALL
            .into_iter()
            .filter(|kind| self.only.is_empty() || self.only.contains(kind))
            .collect()
    }

    fn form(&self) -> Form {
        match self.pipeline || self.long {
            true => Form::Pipeline,
            false => Form::Ensemble,
        }
    }
}

/// Builds, fetches, serves, asks, compares.
pub fn demo(layout: &Layout, options: &Demo) -> Result<()> {
    if options.web {
        return web::serve(layout, options.listen, options.ports);
    }
    let kinds = options.kinds();
    prerequisites::check_server()?;
    let wheels = Wheels::get(&layout.work)?;
    let told = options.keep && options.long;
    let (backends, tool) = match told {
        false => (backends::build(layout, &wheels)?, None),
        true => {
            let installed = backends::build_all(layout, &wheels)?;
            (installed.backends, Some(installed.tool))
        }
    };
    let packages = options.keep.then(|| python::packages(layout)).transpose()?;
    let form = options.form();
    let (repositories, extra) = match form {
        // Each repository has an encoder of its own; a namespace of its own lets it keep the name.
        Form::Ensemble => (
            kinds
                .iter()
                .map(|&kind| repository(layout, kind))
                .collect::<Result<Vec<_>>>()?,
            format!("--model-namespacing={}", kinds.len() > 1),
        ),
        // A call inside the server cannot say which namespace it means: here each encoder has a name of its own.
        Form::Pipeline if options.long => (
            vec![long_repository(layout)?],
            "--model-config-name=pipeline".to_owned(),
        ),
        Form::Pipeline => (
            vec![common_repository(layout, &kinds)?],
            "--model-config-name=pipeline".to_owned(),
        ),
    };
    let work = layout.work_directory("demo")?;
    let places: Vec<_> = repositories
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    console::step("Starting", format!("tritonserver on {}", places.join(", ")));
    let server = Server::start(&Plan {
        tritonserver: wheels.tritonserver(),
        backends,
        extra: vec![extra.into()],
        repositories,
        environment: Vec::new(),
        ports: options.ports,
        log: Some(work.join("tritonserver.log")),
        detached: options.keep,
        patient: false,
    })?;
    server.ports().announce();
    let client = Client::new(&server.ports().http_url());
    let address = server.ports().http_url();
    let mut wrong = Vec::new();
    if options.long {
        let score = conversation::try_out(layout, &client)?;
        wrong.extend(score.told("sentences", conversation::SENTENCES));
    } else {
        for &kind in &kinds {
            let score = try_out(layout, &client, kind, form)?;
            wrong.extend(score.told("texts", &format!("{}/golden.tsv", export(kind))));
        }
    }
    if !wrong.is_empty() {
        bail!(wrong.join(", "));
    }
    match packages {
        Some(packages) => {
            keep::keep(layout, &kinds, form, server, &work, &packages)?;
            if let Some(tool) = tool {
                keep::long(layout, &tool, &address);
            }
            Ok(())
        }
        None => {
            console::step("Stopping", "tritonserver");
            Ok(())
        }
    }
}

fn try_out(layout: &Layout, client: &Client, kind: Kind, form: Form) -> Result<Score> {
    let samples = Samples::read(layout, kind)?;
    match kind {
        Kind::Sensevoice => sensevoice::try_out(client, &samples),
        Kind::Paraformer => paraformer::try_out(client, &samples),
        Kind::ParaformerOnline => streaming::try_out(client, &samples, form),
    }
}

/// Sends the demo recordings to a server of one kind's ensemble, and returns how many texts are wrong.
pub fn wrong_texts(layout: &Layout, client: &Client, kind: Kind) -> Result<usize> {
    Ok(try_out(layout, client, kind, Form::Ensemble)?.wrong)
}

/// Assembles a model repository of the demo under `target/xtask` and returns its path.
pub fn repository(layout: &Layout, kind: Kind) -> Result<PathBuf> {
    let export = export(kind);
    let target = layout
        .work_directory("demo")?
        .join(Path::new(export).file_name().unwrap_or_default());
    repo::assemble(
        kind,
        &repo::Options {
            from: layout.project.join(export),
            common: replacing(&target),
        },
    )
    .with_context(|| format!("{export} does not become a repository"))?;
    Ok(target)
}

/// Assembles one repository of several of the demo's models under `target/xtask` and returns its path.
pub fn common_repository(layout: &Layout, kinds: &[Kind]) -> Result<PathBuf> {
    let target = layout.work_directory("demo")?.join("all");
    assemble_common(layout, kinds, &target)?;
    Ok(target)
}

/// Assembles the repository for long recordings: SenseVoice, voice activity detection and punctuation, and what calls them.
pub fn long_repository(layout: &Layout) -> Result<PathBuf> {
    let target = layout.work_directory("demo")?.join("long");
    repo::assemble_all(&repo::AllOptions {
        vad: Some(layout.project.join("demo/vad")),
        punc: Some(layout.project.join("demo/punc")),
        from: vec![(
            Kind::Sensevoice,
            layout.project.join(export(Kind::Sensevoice)),
        )],
        common: replacing(&target),
    })
    .context("the demo's models do not become a repository")?;
    Ok(target)
}

/// The same with models that hand out scores, as they were exported.
pub fn common_repository_of_scores(layout: &Layout, kinds: &[Kind]) -> Result<PathBuf> {
    let target = layout.work_directory("demo")?.join("all_scores");
    let options = repo::Common {
        keep_logits: true,
        ..replacing(&target)
    };
    assemble_all(layout, kinds, options)?;
    Ok(target)
}

/// Assembles one repository of several of the demo's models, in place of what is there.
pub fn assemble_common(layout: &Layout, kinds: &[Kind], target: &Path) -> Result<()> {
    assemble_all(layout, kinds, replacing(target))
}

/// The same with models that tell all that they can beside the text.
pub fn assemble_telling(layout: &Layout, kinds: &[Kind], target: &Path) -> Result<()> {
    let options = repo::Common {
        outputs: vec!["all".to_owned()],
        ..replacing(target)
    };
    assemble_all(layout, kinds, options)
}

fn assemble_all(layout: &Layout, kinds: &[Kind], common: repo::Common) -> Result<()> {
    repo::assemble_all(&repo::AllOptions {
        vad: None,
        punc: None,
        from: kinds
            .iter()
            .map(|&kind| (kind, layout.project.join(export(kind))))
            .collect(),
        common,
    })
    .map(drop)
}

/// A repository in place of what is there.
fn replacing(target: &Path) -> repo::Common {
    repo::Common {
        force: true,
        ..repo::Common::new(target.to_owned())
    }
}
