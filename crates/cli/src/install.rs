//! `triton-funasr install`: the libraries into a Triton's backend directory, after a look at what that would do.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::programs::{FUNASR, ONNXRUNTIME, cache, library};
use crate::wheels::Wheels;
use crate::{console, files};

/// What to install where.
#[derive(Debug, clap::Args)]
pub struct Install {
    /// Triton's backend directory
    #[arg(long, value_name = "DIR", default_value = "/opt/tritonserver/backends")]
    to: PathBuf,
    /// Also install this project's ONNX Runtime backend, for a Triton that has none
    #[arg(long)]
    onnxruntime: bool,
    /// The ONNX Runtime library it uses, 1.20 or newer [default: a pinned one for CPUs, fetched once]
    #[arg(long, value_name = "FILE", requires = "onnxruntime")]
    onnxruntime_library: Option<PathBuf>,
    /// Do it; without this, only say what would be done
    #[arg(long)]
    yes: bool,
}

/// A file on its way to its place.
struct Step {
    from: PathBuf,
    to: PathBuf,
}

/// What a step changes.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    New,
    Replaced,
    Same,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::New => "new",
            Self::Replaced => "replaces another version",
            Self::Same => "is there already",
        })
    }
}

impl Step {
    fn change(&self) -> Result<Change> {
        if !self.to.exists() {
            return Ok(Change::New);
        }
        let same = fs::read(&self.from)? == fs::read(&self.to)?;
        Ok(if same { Change::Same } else { Change::Replaced })
    }
}

/// Says what an installation would do, and does it where that is asked for.
pub fn install(options: &Install) -> Result<()> {
    if !options.to.is_dir() {
        bail!(
            "{} is no directory; --to names the backend directory of your Triton",
            options.to.display()
        );
    }
    let steps = steps(options)?;
    for step in &steps {
        let change = step.change()?;
        anstream::println!(
            "{} -> {} ({change})",
            step.from.display(),
            step.to.display()
        );
    }
    if !options.yes {
        anstream::println!("Nothing was changed; with --yes it is done.");
        return Ok(());
    }
    for step in &steps {
        if step.change()? != Change::Same {
            files::install(&step.from, &step.to)?;
        }
    }
    console::step("Installed", options.to.display());
    Ok(())
}

fn steps(options: &Install) -> Result<Vec<Step>> {
    let mut steps = vec![Step {
        from: library(FUNASR)?,
        to: options.to.join("funasr").join(FUNASR),
    }];
    let directory = options.to.join("onnxruntime");
    let theirs = directory.join(ONNXRUNTIME);
    if !options.onnxruntime {
        if !theirs.exists() {
            console::warn(format!(
                "{} has no ONNX Runtime backend: encoders and decoders will not load. --onnxruntime installs ours",
                options.to.display()
            ));
        }
        return Ok(steps);
    }
    let ours = library(ONNXRUNTIME)?;
    if theirs.exists() && !is_ours(&theirs)? {
        bail!(
            "{} is another ONNX Runtime backend, such as NVIDIA's: keep it, a server can have one only, and leave \
             --onnxruntime away",
            theirs.display()
        );
    }
    let runtime = match &options.onnxruntime_library {
        Some(file) => file.clone(),
        None => Wheels::get(&cache()?)?.onnxruntime()?,
    };
    steps.push(Step {
        from: ours,
        to: theirs,
    });
    steps.push(Step {
        from: runtime,
        to: directory.join("libonnxruntime.so.1"),
    });
    Ok(steps)
}

/// Whether a library is some version of this project's ONNX Runtime backend: only that looks for ONNX Runtime by itself.
fn is_ours(library: &Path) -> Result<bool> {
    let mark = b"ORT_DYLIB_PATH";
    Ok(fs::read(library)?
        .windows(mark.len())
        .any(|window| window == mark))
}
