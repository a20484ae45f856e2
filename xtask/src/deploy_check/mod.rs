//! `cargo xtask deploy-check`: deploy/docker/Dockerfile.debian built and run without a container engine.
//!
//! buildah builds it, each RUN in a chroot, on a base that mmdebstrap makes of Debian's packages; so no registry of images is needed. Then
//! server and gateway run from their images, as the user and with the health check that these name, and a recording becomes its text.

mod base;
mod buildah;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::geteuid;

use self::buildah::{Buildah, Container};
use crate::dist::{self, Dist};
use crate::layout::Layout;
use crate::process::Running;
use crate::repo::{self, Kind};
use crate::server::{PortOptions, Ports};
use crate::{console, files, process};

const DOCKERFILE: &str = "deploy/docker/Dockerfile.debian";
const RECORDING: &str = "00_zh.wav";
const TEXT: &str = "红色空调晚上朋友。";
/// The small models are loaded within a second or two.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct DeployCheck {
    /// What `cargo xtask dist` has made [default: made now, by this machine's own toolchain]
    #[arg(long, value_name = "DIR")]
    dist: Option<PathBuf>,
    /// Leave the images in target/xtask/deploy/storage
    #[arg(long)]
    keep: bool,
}

/// Builds the images and runs them.
pub(crate) fn deploy_check(layout: &Layout, options: &DeployCheck) -> Result<()> {
    prerequisites()?;
    let work = layout.work_directory("deploy")?;
    let context = match &options.dist {
        Some(dist) => dist.clone(),
        None => {
            let out = work.join("dist");
            files::remove(&out)?;
            dist::dist(layout, &Dist::native(out.clone()))?;
            out
        }
    };
    let buildah = Buildah::new(&work.join("storage"))?;
    let outcome = check(layout, &work, &context, &buildah);
    if !options.keep {
        buildah.clear()?;
    }
    outcome
}

fn check(layout: &Layout, work: &Path, context: &Path, buildah: &Buildah) -> Result<()> {
    let base = buildah.import(&base::archive(work)?)?;
    let dockerfile = layout.project.join(DOCKERFILE);
    let server = buildah.build(&dockerfile, context, "server", &base)?;
    let gateway = buildah.build(&dockerfile, context, "gateway", &base)?;
    for image in [&server, &gateway] {
        ensure!(
            image.user == "1000:1000",
            "{} is run by {:?}, not by 1000:1000",
            image.name,
            image.user
        );
    }
    let recordings = layout.project.join("demo/recordings");
    let server = buildah.container(&server, &[(&repository(layout, work)?, "/models")])?;
    let gateway = buildah.container(&gateway, &[(&recordings, "/recordings")])?;
    let ports = Ports::choose(PortOptions::default())?;
    let mut running = server.start(&server.image.command, &ports.arguments())?;
    wait(&server, &mut running, 8000, &ports.http_address())?;
    ensure!(
        owner(&running)? != 0,
        "the server runs as root, whatever its image says"
    );

    // The image's own command, with the addresses that there are here.
    let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let command = with(&gateway.image.command, "--listen", &front.to_string());
    let command = with(&command, "--triton", &ports.grpc_address());
    let mut in_front = gateway.start(&command, &[])?;
    wait(&gateway, &mut in_front, 8080, &front.to_string())?;
    let text = gateway.run(&[
        "curl".into(),
        "--silent".into(),
        "--show-error".into(),
        "--fail".into(),
        format!("http://{front}/v1/audio/transcriptions"),
        "--form".into(),
        "response_format=text".into(),
        "--form".into(),
        format!("file=@/recordings/{RECORDING}"),
    ])?;
    ensure!(
        text.trim() == TEXT,
        "{RECORDING} became {:?}, not {TEXT:?}",
        text.trim()
    );
    console::step(
        "Well",
        format!("{DOCKERFILE}: built, healthy, not root; {RECORDING} is {TEXT}"),
    );
    stop(in_front)?;
    stop(running)
}

fn prerequisites() -> Result<()> {
    for program in ["buildah", "mmdebstrap"] {
        let mut command = Command::new(program);
        if process::output_of(command.arg("--version")).is_err() {
            bail!(
                "{program} does not run; on Debian and Ubuntu: apt-get install --no-install-recommends buildah mmdebstrap"
            );
        }
    }
    ensure!(
        geteuid().is_root(),
        "images are built in chroots, which takes root"
    );
    Ok(())
}

/// A repository of the demo's SenseVoice that takes whole files.
fn repository(layout: &Layout, work: &Path) -> Result<PathBuf> {
    let target = work.join("models");
    repo::assemble(
        Kind::Sensevoice,
        &repo::Options {
            from: layout.project.join("demo/sensevoice"),
            common: repo::Common {
                audio: true,
                force: true,
                ..repo::Common::new(target.clone())
            },
        },
    )?;
    Ok(target)
}

/// Waits until the image's own health check, run within the container at another address than the port it names, says yes.
fn wait(container: &Container<'_>, running: &mut Running, named: u16, address: &str) -> Result<()> {
    let check: Vec<_> = container
        .image
        .health
        .iter()
        .map(|word| word.replace(&format!("127.0.0.1:{named}/"), &format!("{address}/")))
        .collect();
    ensure!(
        !check.is_empty(),
        "{} has no health check",
        container.image.name
    );
    let started = Instant::now();
    while container.run(&check).is_err() {
        if let Some(status) = running.poll()? {
            bail!(
                "{} ended with {status}; its words are above",
                container.image.name
            );
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "{} is not healthy",
            container.image.name
        );
        sleep(Duration::from_millis(500));
    }
    console::step(
        "Healthy",
        format!(
            "{} after {:.1} s",
            container.image.name,
            started.elapsed().as_secs_f64()
        ),
    );
    Ok(())
}

/// Who runs the last of the processes that a container's command has started: the program itself.
fn owner(running: &Running) -> Result<u32> {
    use std::os::unix::fs::MetadataExt;
    let pid = buildah::innermost(running.id())?;
    let process = format!("/proc/{pid}");
    let metadata =
        std::fs::metadata(&process).with_context(|| format!("cannot look at {process}"))?;
    Ok(metadata.uid())
}

/// Ends a program in a container as an engine does, by SIGTERM to the program itself.
fn stop(running: Running) -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let pid = buildah::innermost(running.id())?;
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM)?;
    running.wait()?;
    Ok(())
}

/// A command with the word behind `option` exchanged.
fn with(command: &[String], option: &str, value: &str) -> Vec<String> {
    let mut command = command.to_vec();
    if let Some(at) = command.iter().position(|word| word == option)
        && let Some(word) = command.get_mut(at + 1)
    {
        value.clone_into(word);
    }
    command
}
