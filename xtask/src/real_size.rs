//! `cargo xtask real-size`: models of the published sizes with random weights.
//!
//! What a model says does not matter where it is measured how fast it is served. `benches/real_size` makes them, in Python; here its
//! packages are fetched, and the Python found that they are for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::sys::signal::Signal;

use crate::layout::Layout;
use crate::process::{self, Running};
use crate::repo::Kind;
use crate::{console, python};

/// The only Python for which all packages are published: torch after 1.12 needs gigabytes of packages for GPUs to be imported.
const VERSION: &str = "3.10";
/// The statistics of features that the models are given. The demo's front end is the published one.
const CMVN: &str = "demo/sensevoice/am.mvn";

/// What to make.
#[derive(Debug, clap::Args)]
pub struct RealSize {
    /// Make these models alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MODELS")]
    only: Vec<Kind>,
    /// Make them in these precisions alone: int8 is model_quant.onnx beside model.onnx, fp16 a directory of its own
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PRECISIONS")]
    precision: Vec<Precision>,
    /// Where they go, a directory for each model [default: target/xtask/real-size]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the random weights come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// A Python 3.10 with pip [default: python3.10 or python3 of the path]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<String>,
}

/// How numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// Single precision, as FunASR exports it
    Fp32,
    /// Weights as 8-bit numbers, by onnxruntime.quantization as FunASR has it
    Int8,
    /// Half precision, by onnxruntime.transformers
    Fp16,
}

impl RealSize {
    /// What a bench needs: these models, in single precision, in the usual place.
    pub fn of(kinds: &[Kind]) -> Self {
        Self::in_precisions(kinds, &[Precision::Fp32])
    }

    /// The same in these precisions.
    pub fn in_precisions(kinds: &[Kind], precisions: &[Precision]) -> Self {
        Self {
            only: kinds.to_vec(),
            precision: precisions.to_vec(),
            out: None,
            seed: 1,
            python: None,
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Kind::ALL.to_vec();
        kinds.retain(|kind| self.only.is_empty() || self.only.contains(kind));
        kinds
    }

    fn precisions(&self) -> Vec<Precision> {
        let all = Precision::value_variants().iter().copied();
        // The others are made from single precision.
        all.filter(|each| {
            *each == Precision::Fp32 || self.precision.is_empty() || self.precision.contains(each)
        })
        .collect()
    }
}

/// Makes the models, but for those that are there already, and returns the directory that holds them.
pub fn real_size(layout: &Layout, options: &RealSize) -> Result<PathBuf> {
    let out = match &options.out {
        Some(out) => out.clone(),
        None => layout.work_directory("real-size")?,
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let (kinds, precisions) = (options.kinds(), options.precisions());
    if !is_made(&out, &kinds, &precisions, options.seed) {
        make(layout, options, &out)?;
    }
    console::step(
        "Ready",
        format!(
            "{} in {}; `triton-funasr repo {} --from {} --to REPO` makes a repository of one",
            names(&kinds).join(", "),
            out.display(),
            names(&kinds[..1]).concat(),
            out.join(names(&kinds[..1]).concat()).display(),
        ),
    );
    Ok(out)
}

fn make(layout: &Layout, options: &RealSize, out: &Path) -> Result<()> {
    let program = interpreter(options.python.as_deref())?;
    let packages = python::real_size_packages(layout, &program)?;
    let mut maker = process::tied(&program, Signal::SIGTERM);
    maker
        .arg(layout.project.join("benches/real_size/make.py"))
        .arg("--out")
        .arg(out)
        .arg("--cmvn")
        .arg(layout.project.join(CMVN))
        .args(["--seed", &options.seed.to_string()])
        .arg("--only")
        .args(names(&options.kinds()))
        .arg("--precisions")
        .args(names(&options.precisions()))
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let status = Running::start(&mut maker)?.wait()?;
    if !status.success() {
        bail!("the models could not be made ({status}); the reason is above");
    }
    look(layout, options, out)
}

/// Runs each file once, with the ONNX Runtime of the tests.
fn look(layout: &Layout, options: &RealSize, out: &Path) -> Result<()> {
    let packages = python::packages(layout)?;
    let mut command = process::tied("python3", Signal::SIGTERM);
    command
        .arg(layout.project.join("benches/real_size/answers.py"))
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    for kind in names(&options.kinds()) {
        command.arg(out.join(&kind));
        if options.precisions().contains(&Precision::Fp16) {
            command.arg(out.join(format!("{kind}-fp16")));
        }
    }
    let status = Running::start(&mut command)?.wait()?;
    if !status.success() {
        bail!("what was made does not work ({status}); the reason is above");
    }
    Ok(())
}

/// As people type them.
fn names<T: ValueEnum>(values: &[T]) -> Vec<String> {
    let values = values.iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

/// Whether all of it is there, by what make.py writes when a model is whole.
fn is_made(out: &Path, kinds: &[Kind], precisions: &[Precision], seed: u32) -> bool {
    names(kinds).iter().all(|kind| {
        let text = fs::read(out.join(kind).join("made.json")).unwrap_or_default();
        let made: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let has = |precision: &String| {
            made["precisions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|each| each == precision.as_str()))
        };
        made["seed"] == seed && made["blocks"].is_null() && names(precisions).iter().all(has)
    })
}

/// A Python of the one version that will do.
fn interpreter(named: Option<&str>) -> Result<String> {
    let candidates = match named {
        Some(program) => vec![program],
        None => vec!["python3.10", "python3"],
    };
    let fits = |program: &&str| version(program).as_deref() == Some(VERSION);
    match candidates.iter().find(|program| fits(program)) {
        Some(program) => Ok((*program).to_owned()),
        None => bail!(
            "the packages that make these models are for Python {VERSION}, and {} is none; install one, as with `uv python install {VERSION}` \
             or `pyenv install {VERSION}`, and name it with --python",
            candidates.join(" or "),
        ),
    }
}

/// `3.10` of a Python that runs.
fn version(program: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &[Kind], precision: &[Precision]) -> RealSize {
        RealSize {
            precision: precision.to_vec(),
            ..RealSize::of(only)
        }
    }

    #[test]
    fn nothing_named_is_everything_and_single_precision_is_always_made() {
        assert_eq!(options(&[], &[]).kinds(), Kind::ALL);
        assert_eq!(
            names(&options(&[], &[]).precisions()),
            ["fp32", "int8", "fp16"]
        );
        let few = options(&[Kind::ParaformerOnline], &[Precision::Fp16]);
        assert_eq!(names(&few.kinds()), ["paraformer-online"]);
        assert_eq!(names(&few.precisions()), ["fp32", "fp16"]);
    }

    #[test]
    fn what_is_there_whole_is_not_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let made = directory.path().join("paraformer");
        fs::create_dir(&made).unwrap();
        let is_made = |precisions: &[Precision], seed| {
            super::is_made(directory.path(), &[Kind::Paraformer], precisions, seed)
        };
        assert!(!is_made(&[Precision::Fp32], 1));
        let text = r#"{"seed": 1, "precisions": ["fp32", "int8"], "parameters": 7}"#;
        fs::write(made.join("made.json"), text).unwrap();
        assert!(is_made(&[Precision::Fp32, Precision::Int8], 1));
        assert!(!is_made(&[Precision::Fp32, Precision::Fp16], 1));
        assert!(!is_made(&[Precision::Fp32], 2));
        let both = [Kind::Paraformer, Kind::Sensevoice];
        assert!(!super::is_made(
            directory.path(),
            &both,
            &[Precision::Fp32],
            1
        ));
    }

    #[test]
    fn another_python_is_refused_with_a_remedy() {
        let error = interpreter(Some("no-such-python")).unwrap_err().to_string();
        assert!(
            error.contains("no-such-python is none") && error.contains("--python"),
            "{error}"
        );
    }
}
