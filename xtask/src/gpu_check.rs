//! `cargo xtask gpu-check`: a kit that checks and measures the models on a machine's GPU, made here and run here or there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::files::{install, remove};
use crate::layout::Layout;
use crate::real_size::{self, Precision, RealSize};
use crate::repo::Kind;
use crate::wheels::{self, Wheels};
use crate::{backends, console, process};

const PINS: &str = include_str!("../gpu-wheels.txt");
/// What is kept of the wheel.
const LIBRARIES: &str = "onnxruntime/capi/lib";
/// The demo's models and what they are asked.
const DEMO: [&str; 5] = [
    "sensevoice",
    "paraformer",
    "paraformer_online",
    "paraformer_bicif",
    "recordings",
];

/// What to check, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct GpuCheck {
    /// Make the kit there and do not run it: it runs on a machine without cargo and network, as DIR/gpu-check
    #[arg(long, value_name = "DIR")]
    kit: Option<PathBuf>,
    /// Where the models run that are checked: the processor, to try the tool itself
    #[arg(long, value_enum, default_value_t = Device::Cuda)]
    device: Device,
    /// Fewer numbers of requests and rounds
    #[arg(long)]
    quick: bool,
    /// Leave out the models of the published sizes, which take gigabytes and, the first time, minutes to make
    #[arg(long)]
    demo_only: bool,
    /// Where the report goes [default: target/xtask/gpu-check]
    #[arg(long, value_name = "DIR", conflicts_with = "kit")]
    out: Option<PathBuf>,
}

/// What models run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    /// The processor
    Cpu,
    /// The GPU, by CUDA
    Cuda,
}

/// Makes the kit, and runs it unless it is for another machine.
pub(crate) fn gpu_check(layout: &Layout, options: &GpuCheck) -> Result<()> {
    let work = layout.work_directory("gpu-check")?;
    let kit = options.kit.clone().unwrap_or_else(|| work.join("kit"));
    make(layout, options, &kit)?;
    let program = kit.join("gpu-check");
    if options.kit.is_some() {
        console::step(
            "Made",
            format!(
                "{}: copy it to the machine with the GPU, and run {} there",
                kit.display(),
                program.display()
            ),
        );
        return Ok(());
    }
    let device = options.device.to_possible_value();
    let device = device.as_ref().map_or("cuda", |value| value.get_name());
    let mut command = process::tied(&program, nix::sys::signal::Signal::SIGINT);
    command
        .args(["--device", device])
        .arg("--out")
        .arg(options.out.as_ref().unwrap_or(&work));
    if options.quick {
        command.arg("--quick");
    }
    if options.demo_only {
        command.args(["--only", "texts"]);
    }
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("gpu-check ended with {status}");
    }
    Ok(())
}

/// Lays everything out that the program needs.
fn make(layout: &Layout, options: &GpuCheck, kit: &Path) -> Result<()> {
    let wheels = Wheels::get(&layout.work)?;
    let built = backends::build(layout, &wheels)?;
    console::step("Building", "the program of the kit");
    let programs = backends::artifacts(layout, ["--package=side-by-side", "--bins"])?;
    let program = backends::named(&programs, "gpu-check")?;
    let exports = match options.demo_only {
        true => None,
        false => Some(real_size::real_size(layout, &real_sizes())?),
    };
    console::step("Laying out", kit.display());
    remove(kit)?;
    install(program, &kit.join("gpu-check"))?;
    copy(
        &wheels.directory().join("pytriton"),
        &kit.join("server/pytriton"),
    )?;
    let libraries = "nvidia_pytriton.libs";
    copy(
        &wheels.directory().join(libraries),
        &kit.join("server").join(libraries),
    )?;
    copy(&built, &kit.join("backends"))?;
    let mut versions = vec![pin(wheels::PINS, "nvidia-pytriton")];
    if options.device == Device::Cuda {
        let place = kit.join("backends/onnxruntime");
        remove(&place.join("libonnxruntime.so.1"))?;
        let unpacked = wheels::unpacked(&layout.work, "onnxruntime-gpu", PINS, &[LIBRARIES])?;
        for library in fs::read_dir(unpacked.join("onnxruntime/capi"))? {
            let library = library?;
            let name = library.file_name().to_string_lossy().into_owned();
            let name = match name.starts_with("libonnxruntime.so.") {
                true => "libonnxruntime.so.1".to_owned(),
                false => name,
            };
            install(&library.path(), &place.join(name))?;
        }
        versions.push(pin(PINS, "onnxruntime-gpu"));
    } else {
        versions.push(pin(wheels::PINS, "onnxruntime"));
    }
    fs::write(kit.join("versions"), versions.join(", "))?;
    for name in DEMO {
        let from = layout.project.join("demo").join(name);
        copy(&from, &kit.join("demo").join(name))?;
    }
    if let Some(exports) = exports {
        copy(&exports, &kit.join("real-size"))?;
    }
    Ok(())
}

/// The models that are measured.
fn real_sizes() -> RealSize {
    RealSize::in_precisions(&Kind::ALL, &[Precision::Fp32, Precision::Fp16])
}

/// A package with its version, as the pins have it.
fn pin(pins: &str, package: &str) -> String {
    let version = pins
        .lines()
        .find_map(|line| line.strip_prefix(package)?.strip_prefix("=="))
        .and_then(|rest| rest.split_whitespace().next());
    format!("{package} {}", version.unwrap_or("–"))
}

/// Copies a directory; large files become links where they can.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else if fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_pins() {
        assert_eq!(pin(PINS, "onnxruntime-gpu"), "onnxruntime-gpu 1.31.1");
        assert!(pin(wheels::PINS, "nvidia-pytriton").starts_with("nvidia-pytriton 0."));
        assert_eq!(pin(PINS, "another"), "another –");
        assert!(!PINS.contains("://") && PINS.matches("--hash=sha256:").count() == 1);
    }
}
