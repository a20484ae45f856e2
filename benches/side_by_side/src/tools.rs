//! What the bench runs: programs, packages, and a server with all backends.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layout::Layout;
use crate::server::{Plan, PortOptions, Server};
use crate::wheels::Wheels;
use crate::{backends, console, prerequisites, process, python};

/// The backend that measures the transport, and the programs that time kernels.
const TRANSPORT: [&str; 1] = ["--package=transport-backend"];
const KERNELS: [&str; 8] = [
    "--package=time-kaldi",
    "--package=wav-frontend",
    "--package=asr-decode",
    "--bins",
    "--example",
    "time_features",
    "--example",
    "time_argmax",
];

/// Everything that a part of the bench needs.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) layout: Layout,
    wheels: Wheels,
    backends: PathBuf,
    /// For `PYTHONPATH`.
    pub(super) packages: PathBuf,
    environment: Vec<(OsString, OsString)>,
    /// What the bench makes.
    pub(super) directory: PathBuf,
}

impl Tools {
    /// Builds, fetches and installs.
    pub(super) fn prepare(layout: &Layout) -> Result<Self> {
        prerequisites::check_server()?;
        let wheels = Wheels::get(&layout.work)?;
        let native = backends::build(layout, &wheels)?;
        console::step("Building", "the bench's own backend");
        let transport = Programs::build(layout, &TRANSPORT)?;
        let packages = python::bench_packages(layout)?;
        let directory = layout.work_directory("bench")?;
        let mut tools = Self {
            layout: layout.clone(),
            wheels,
            backends: directory.join("backends"),
            packages,
            environment: Vec::new(),
            directory,
        };
        tools.lay_out_backends(&native, transport.path("libtriton_transport.so")?)?;
        Ok(tools)
    }

    /// What serves native models, and the Python packages of the tests: ONNX Runtime is among them.
    pub(super) fn without_python_steps(layout: &Layout) -> Result<Self> {
        prerequisites::check_server()?;
        let wheels = Wheels::get(&layout.work)?;
        Ok(Self {
            layout: layout.clone(),
            backends: backends::build(layout, &wheels)?,
            wheels,
            packages: python::packages(layout)?,
            environment: Vec::new(),
            directory: layout.work_directory("bench")?,
        })
    }

    /// The programs that time kernels.
    pub(super) fn kernels(&self) -> Result<Programs> {
        console::step("Building", "the programs that time kernels");
        Programs::build(&self.layout, &KERNELS)
    }

    /// A directory with all backends. The Python backend imports from its own directory, so the packages lie there.
    fn lay_out_backends(&mut self, native: &Path, transport: &Path) -> Result<()> {
        crate::files::remove(&self.backends)?;
        fs::create_dir_all(&self.backends)?;
        for name in ["funasr", "onnxruntime"] {
            symlink(native.join(name), self.backends.join(name))?;
        }
        crate::files::install(
            transport,
            &self.backends.join("transport/libtriton_transport.so"),
        )?;
        let python = Python::find()?;
        let directory = self.backends.join("python");
        fs::create_dir_all(&directory)?;
        for source in [self.wheels.python_backend(), self.packages.clone()] {
            for entry in fs::read_dir(&source)? {
                let entry = entry?;
                symlink(entry.path(), directory.join(entry.file_name()))?;
            }
        }
        let stub = self.wheels.python_stub(&python.version);
        if !stub.exists() {
            bail!(
                "tritonserver's Python backend has no program for Python {}: let python3 be another version",
                python.version
            );
        }
        symlink(stub, directory.join("triton_python_backend_stub"))?;
        self.environment = python.environment(&self.directory)?;
        Ok(())
    }

    /// Serves a repository.
    pub(super) fn serve(&self, repository: &Path, extra: &[&str]) -> Result<Server> {
        Server::start(&Plan {
            tritonserver: self.wheels.tritonserver(),
            backends: self.backends.clone(),
            repositories: vec![repository.to_owned()],
            extra: ["--exit-timeout-secs=2"]
                .iter()
                .chain(extra)
                .map(|&argument| argument.into())
                .collect(),
            environment: self.environment.clone(),
            ports: PortOptions::default(),
            log: Some(self.directory.join("tritonserver.log")),
            detached: false,
            patient: false,
        })
    }
}

/// What cargo built.
#[derive(Debug)]
pub(super) struct Programs(Vec<PathBuf>);

impl Programs {
    fn build(layout: &Layout, selection: &[&str]) -> Result<Self> {
        backends::artifacts(layout, selection.iter().copied()).map(Self)
    }

    /// A file by its name.
    pub(super) fn path(&self, name: &str) -> Result<&Path> {
        self.0
            .iter()
            .find(|path| path.file_name().is_some_and(|file| file == name))
            .map(PathBuf::as_path)
            .with_context(|| format!("cargo built no {name}"))
    }
}

/// Where a server listens.
pub(super) fn address_of(server: &Server) -> Result<SocketAddr> {
    Ok(server.ports().http_address().parse()?)
}

/// The `python3` of the path, as the Python backend embeds it.
struct Python {
    version: String,
    home: PathBuf,
    library: PathBuf,
}

impl Python {
    fn find() -> Result<Self> {
        let text = process::output_of(prerequisites::python().args([
            "-c",
            "import sys, sysconfig as s; print('%d.%d' % sys.version_info[:2]); print(sys.base_prefix); \
             print(s.get_config_var('LIBDIR') + '/' + s.get_config_var('INSTSONAME'))",
        ]))?;
        let [version, home, library] = text.lines().collect::<Vec<_>>()[..] else {
            bail!("python3 says nothing of itself: {text}");
        };
        Ok(Self {
            version: version.to_owned(),
            home: home.into(),
            library: library.into(),
        })
    }

    /// Lets the stub load this Python's library and modules. One without a shared library leaves it to what the system has.
    fn environment(&self, work: &Path) -> Result<Vec<(OsString, OsString)>> {
        let shared = self.library.to_string_lossy().contains(".so");
        if !shared || !self.library.exists() {
            console::warn(format!(
                "python3 has no shared library ({}): the Python steps run on whatever libpython{} the system has",
                self.library.display(),
                self.version
            ));
            return Ok(Vec::new());
        }
        // Only this library: what else lies beside it is not for the server.
        let directory = work.join("libpython");
        crate::files::remove(&directory)?;
        fs::create_dir_all(&directory)?;
        let name = self.library.file_name().unwrap_or_default();
        symlink(&self.library, directory.join(name))?;
        let mut path = directory.into_os_string();
        if let Some(more) = std::env::var_os("LD_LIBRARY_PATH").filter(|more| !more.is_empty()) {
            path.push(":");
            path.push(more);
        }
        Ok(vec![
            ("LD_LIBRARY_PATH".into(), path),
            ("PYTHONHOME".into(), self.home.clone().into()),
            ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
        ])
    }
}

/// The first line that a program prints, or a dash.
pub(super) fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| {
            Some(
                String::from_utf8_lossy(&output.stdout)
                    .lines()
                    .next()?
                    .to_owned(),
            )
        })
        .unwrap_or_else(|| "–".to_owned())
}
