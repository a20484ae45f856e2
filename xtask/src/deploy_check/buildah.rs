//! buildah, with storage of its own and no isolation but a chroot: it needs neither a daemon nor namespaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::process::{self, Running};
use crate::{console, files};

pub(super) struct Buildah {
    storage: PathBuf,
}

/// An image, and what its Dockerfile says of it.
pub(super) struct Image {
    pub(super) name: String,
    pub(super) user: String,
    pub(super) command: Vec<String>,
    /// The command of its health check.
    pub(super) health: Vec<String>,
}

/// A container of an image.
pub(super) struct Container<'a> {
    buildah: &'a Buildah,
    pub(super) image: &'a Image,
    name: String,
    /// As `--volume` wants them.
    volumes: Vec<String>,
}

impl Buildah {
    /// With nothing in it.
    pub(super) fn new(storage: &Path) -> Result<Self> {
        let buildah = Self {
            storage: storage.to_owned(),
        };
        buildah.clear()?;
        Ok(buildah)
    }

    /// Takes everything away, if it is there.
    pub(super) fn clear(&self) -> Result<()> {
        if self.storage.is_dir() {
            self.said(&["rm", "--all"])?;
        }
        files::remove(&self.storage)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("buildah");
        // Plain directories: slower, and on every file system.
        command
            .arg("--root")
            .arg(self.storage.join("root"))
            .arg("--runroot")
            .arg(self.storage.join("run"))
            .args(["--storage-driver", "vfs"]);
        command
    }

    /// What it prints, in one line.
    fn said(&self, words: &[&str]) -> Result<String> {
        let said = process::output_of(self.command().args(words))
            .with_context(|| format!("buildah {}", words.join(" ")))?;
        Ok(said.trim().to_owned())
    }

    /// An image of nothing but a file system; its name.
    pub(super) fn import(&self, archive: &Path) -> Result<String> {
        console::step("Importing", archive.display());
        let name = "localhost/debian-of-packages";
        let container = self.said(&["from", "scratch"])?;
        let archive = archive.to_string_lossy();
        self.said(&["add", "--quiet", &container, &archive, "/"])?;
        self.said(&["commit", "--quiet", &container, name])?;
        self.said(&["rm", &container])?;
        Ok(name.to_owned())
    }

    /// Builds a stage of a Dockerfile on this base.
    pub(super) fn build(
        &self,
        dockerfile: &Path,
        context: &Path,
        stage: &str,
        base: &str,
    ) -> Result<Image> {
        console::step("Building", format!("{stage} of {}", dockerfile.display()));
        let name = format!("localhost/triton-funasr:{stage}");
        let mut command = self.command();
        command
            .args(["build", "--isolation", "chroot", "--pull-never"])
            // The other format has no health checks.
            .args(["--format", "docker"])
            .args([
                "--build-arg",
                &format!("DEBIAN={base}"),
                "--target",
                stage,
                "--tag",
                &name,
            ])
            .arg("--file")
            .arg(dockerfile)
            .arg(context);
        let status = process::run(&mut command)?;
        ensure!(
            status.success(),
            "{stage} could not be built ({status}); its words are above"
        );
        let told: serde_json::Value =
            serde_json::from_str(&self.said(&["inspect", "--type", "image", &name])?)?;
        let config = &told["Docker"]["config"];
        let words = |value: &serde_json::Value| -> Vec<String> {
            let words = value.as_array().into_iter().flatten();
            words
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        let mut health = words(&config["Healthcheck"]["Test"]);
        // CMD: no shell.
        ensure!(
            health.first().is_some_and(|how| how == "CMD"),
            "{name} has no health check by a command of its own: {health:?}"
        );
        health.remove(0);
        Ok(Image {
            name,
            user: config["User"].as_str().unwrap_or_default().to_owned(),
            command: words(&config["Cmd"]),
            health,
        })
    }

    /// A container of an image, with directories of this machine's where it can read them.
    pub(super) fn container<'a>(
        &'a self,
        image: &'a Image,
        volumes: &[(&Path, &str)],
    ) -> Result<Container<'a>> {
        Ok(Container {
            buildah: self,
            image,
            name: self.said(&["from", "--pull-never", &image.name])?,
            volumes: volumes
                .iter()
                .map(|(here, there)| format!("{}:{there}:ro", here.display()))
                .collect(),
        })
    }
}

impl Container<'_> {
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = ["run", "--isolation", "chroot"].map(str::to_owned).into();
        for volume in &self.volumes {
            words.extend(["--volume".to_owned(), volume.clone()]);
        }
        words.extend([self.name.clone(), "--".to_owned()]);
        words
    }

    /// Runs a command in it; what it printed.
    pub(super) fn run(&self, command: &[String]) -> Result<String> {
        let mut run = self.buildah.command();
        run.args(self.words())
            .args(command)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        process::output_of(&mut run)
    }

    /// Starts a command in it, which ends with this program.
    pub(super) fn start(&self, command: &[String], more: &[String]) -> Result<Running> {
        let shell = self.buildah.command();
        let mut tied = process::tied(shell.get_program(), Signal::SIGTERM);
        tied.args(shell.get_args())
            .args(self.words())
            .args(command)
            .args(more)
            .stdin(Stdio::null());
        Running::start_apart(&mut tied, Signal::SIGTERM)
    }
}

/// The process at the end of a line of only children: buildah starts itself in the chroot, and that the program.
pub(super) fn innermost(pid: u32) -> Result<u32> {
    // buildah is Go: any of its threads may be the one that started the next.
    let threads = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&threads).with_context(|| format!("cannot read {threads}"))?;
    for thread in threads {
        let children = thread?.path().join("children");
        // A thread may end in between.
        let children = fs::read_to_string(children).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next() {
            return innermost(child.parse()?);
        }
    }
    Ok(pid)
}
