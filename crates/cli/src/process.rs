//! Child processes that never outlive their purpose.
//!
//! Every child is entered in one register. On Ctrl-C or SIGTERM a thread of its own stops all of them and ends the program
//! with 128 + the signal's number. A child that must not survive even `kill -9` of this program is started through
//! [`tied`]: this program's own hidden `exec-tied` command, which asks the kernel for a signal at its parent's death and
//! then becomes the real program.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid, setsid};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::console;

/// How long a child may take to end by itself before it is killed, unless it is given another time.
const GRACE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

static REGISTER: Mutex<Register> = Mutex::new(Register {
    children: Vec::new(),
    ending: None,
    closed: false,
});

/// What is to be done before the children are stopped; it is told whether a second signal asks for hurry.
type Ending = Box<dyn FnOnce(&mut dyn FnMut() -> bool) + Send>;

struct Register {
    children: Vec<Entry>,
    ending: Option<Ending>,
    /// Set when the program is being interrupted: nothing is started any more.
    closed: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    pid: Pid,
    /// What asks this child to end.
    signal: Signal,
    /// The child leads a process group of its own, which is killed with it.
    leads_group: bool,
    /// How long it may take to end.
    grace: Duration,
}

impl Entry {
    fn ask(self) {
        // An error means that the child is gone already.
        let _ = kill(self.pid, self.signal);
    }

    fn kill(self) {
        let group = if self.leads_group {
            killpg(self.pid, Signal::SIGKILL)
        } else {
            Err(Errno::ESRCH)
        };
        let _ = group.or_else(|_| kill(self.pid, Signal::SIGKILL));
    }

    /// Whether the child has ended; reaps it.
    fn gone(self) -> bool {
        !matches!(
            waitpid(self.pid, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive)
        )
    }
}

fn register() -> MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether Ctrl-C or SIGTERM has come.
fn interrupted() -> bool {
    register().closed
}

/// From here on Ctrl-C and SIGTERM stop all children and end the program.
fn handle_interrupts() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    std::thread::Builder::new()
        .name("interrupts".into())
        .spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            let (children, ending) = {
                let mut register = register();
                register.closed = true;
                (
                    std::mem::take(&mut register.children),
                    register.ending.take(),
                )
            };
            if let Some(ending) = ending {
                ending(&mut || signals.pending().next().is_some());
            }
            if !children.is_empty() {
                anstream::eprintln!();
                console::warn("interrupted: stopping what is still running (again to kill it)");
            }
            stop_all(&children, || signals.pending().next().is_some());
            std::process::exit(128 + signal);
        })?;
    Ok(())
}

/// On Ctrl-C and SIGTERM `ending` comes first, before the children are stopped. It is to end soon where the function that it is given says
/// that a second signal came. There is one ending: the last that was set.
pub fn at_interrupt(ending: impl FnOnce(&mut dyn FnMut() -> bool) + Send + 'static) {
    register().ending = Some(Box::new(ending));
}

/// Asks all children to end, and kills each that has not after its grace time or when `hurry` says so.
fn stop_all(children: &[Entry], mut hurry: impl FnMut() -> bool) {
    children.iter().for_each(|child| child.ask());
    let asked = Instant::now();
    let mut left = children.to_vec();
    loop {
        let hurry = hurry();
        left.retain(|child| {
            if child.gone() {
                return false;
            }
            let over = hurry || asked.elapsed() > child.grace;
            if over {
                child.kill();
            }
            !over
        });
        if left.is_empty() {
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// A registered child. Dropped, it is stopped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    signal: Signal,
    leads_group: bool,
    grace: Duration,
    ended: bool,
}

impl Running {
    /// Starts `command` in this program's process group, where a terminal's Ctrl-C reaches it too.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::spawn(command, Signal::SIGTERM, false)
    }

    /// Starts `command` in a process group of its own: only this program tells it to end, with `signal`.
    pub fn start_apart(command: &mut Command, signal: Signal) -> Result<Self> {
        command.process_group(0);
        Self::spawn(command, signal, true)
    }

    /// Starts a [`detached`] command, which leads a session of its own.
    pub fn start_detached(command: &mut Command) -> Result<Self> {
        Self::spawn(command, Signal::SIGTERM, true)
    }

    fn spawn(command: &mut Command, signal: Signal, leads_group: bool) -> Result<Self> {
        // The lock is held over the start, so that an interrupt either prevents it or knows the child.
        let mut register = register();
        if register.closed {
            bail!("interrupted");
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let running = Self {
            child,
            signal,
            leads_group,
            grace: GRACE,
            ended: false,
        };
        register.children.push(running.entry());
        Ok(running)
    }

    fn entry(&self) -> Entry {
        Entry {
            pid: Pid::from_raw(self.child.id().cast_signed()),
            signal: self.signal,
            leads_group: self.leads_group,
            grace: self.grace,
        }
    }

    /// Lets the child take so long to end before it is killed.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        let pid = self.entry().pid;
        let mut register = register();
        let own = register.children.iter_mut().find(|child| child.pid == pid);
        if let Some(own) = own {
            own.grace = grace;
        }
        drop(register);
        self
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How the child ended, if it has.
    pub fn poll(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.forget();
        }
        Ok(status)
    }

    /// Waits for the child's end.
    pub fn wait(mut self) -> Result<ExitStatus> {
        let status = self.child.wait();
        self.forget();
        Ok(status?)
    }

    /// Leaves the child running after this program.
    pub fn leave(mut self) {
        self.forget();
    }

    fn forget(&mut self) {
        self.ended = true;
        let pid = self.entry().pid;
        register().children.retain(|child| child.pid != pid);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After an interrupt the children are the other thread's.
        if !self.ended && !interrupted() {
            stop_all(&[self.entry()], || false);
            self.forget();
        }
    }
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    Running::start(command)?.wait()
}

/// Runs `command` to its end and returns what it printed; its errors go to ours.
pub fn output_of(command: &mut Command) -> Result<String> {
    use std::io::Read;
    command.stdout(std::process::Stdio::piped());
    let mut running = Running::start(command)?;
    let mut text = String::new();
    if let Some(mut stdout) = running.child().stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    let status = running.wait()?;
    if !status.success() {
        bail!(
            "{} failed ({status})",
            command.get_program().to_string_lossy()
        );
    }
    Ok(text)
}

/// A command that runs `program` and gets `signal` when this program dies, however it dies.
///
/// The kernel watches the thread that starts it: start it from a thread that lives as long as the program.
pub fn tied(program: impl AsRef<OsStr>, signal: Signal) -> Command {
    let mut command = Command::new(OWN_EXECUTABLE);
    command
        .args([EXEC_TIED, "--parent"])
        .arg(getpid().to_string())
        .args(["--signal", signal.as_str(), "--"])
        .arg(program);
    command
}

/// A command that runs `program` in a session of its own, out of reach of this terminal's signals.
pub fn detached(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(OWN_EXECUTABLE);
    command.args([EXEC_TIED, "--"]).arg(program);
    command
}

/// Stays right when the file has been replaced by a newer build meanwhile.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// What [`tied`] and [`detached`] tell this program to do.
const EXEC_TIED: &str = "exec-tied";

/// The hidden command behind [`tied`] and [`detached`].
#[derive(Debug, clap::Parser)]
struct ExecTied {
    /// End with this process; without it, live in a session of one's own.
    #[arg(long)]
    parent: Option<i32>,
    /// The signal at the parent's death.
    #[arg(long, default_value = "SIGTERM")]
    signal: Signal,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl ExecTied {
    /// Becomes the program it was asked to run; returns only to say why it could not.
    fn exec(&self) -> Result<()> {
        match self.parent {
            Some(parent) => {
                set_pdeathsig(Some(self.signal))?;
                if getppid() != Pid::from_raw(parent) {
                    bail!("the parent has gone");
                }
            }
            None => drop(setsid()?),
        }
        let (program, rest) = self.command.split_first().context("no program")?;
        let error = Command::new(program).args(rest).exec();
        Err(error).with_context(|| format!("cannot run {}", program.to_string_lossy()))
    }
}

/// A program's whole `main`: what `body` does, with its children stopped on Ctrl-C, and its error told. The program can be
/// [`tied`] to others by this.
pub fn main(body: impl FnOnce() -> Result<()>) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = if arguments.first().is_some_and(|first| first == EXEC_TIED) {
        ExecTied::parse_from(arguments).exec()
    } else {
        handle_interrupts().and_then(|()| body())
    };
    if interrupted() {
        // Another thread is stopping the children and ends the program.
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: Pid) -> bool {
        kill(pid, None).is_ok()
    }

    #[test]
    fn dropping_stops_the_child() {
        let running =
            Running::start_apart(Command::new("sleep").arg("600"), Signal::SIGTERM).unwrap();
        let pid = running.entry().pid;
        assert!(alive(pid));
        drop(running);
        assert!(!alive(pid));
        assert!(register().children.iter().all(|child| child.pid != pid));
    }

    #[test]
    fn a_child_deaf_to_the_signal_is_killed_when_in_a_hurry() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 600 & wait; wait"]);
        let mut running = Running::start_apart(&mut command, Signal::SIGTERM).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        stop_all(&[running.entry()], || true);
        let status = running.child().wait().unwrap();
        assert!(!status.success());
        running.forget();
    }

    #[test]
    fn a_child_deaf_to_the_signal_has_its_own_time() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 600 & wait; wait"]);
        let running = Running::start_apart(&mut command, Signal::SIGTERM).unwrap();
        let running = running.with_grace(Duration::from_millis(700));
        let own = running.entry();
        assert!(
            register()
                .children
                .iter()
                .any(|child| child.pid == own.pid && child.grace == own.grace)
        );
        std::thread::sleep(Duration::from_millis(200));
        let asked = Instant::now();
        drop(running);
        assert!(asked.elapsed() > Duration::from_millis(700) && asked.elapsed() < GRACE);
        let status = waitpid(own.pid, None);
        assert!(matches!(
            status,
            Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _))
        ));
    }

    #[test]
    fn output_is_returned_and_failure_reported() {
        assert_eq!(
            output_of(Command::new("echo").arg("there")).unwrap(),
            "there\n"
        );
        let error = output_of(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("false failed"), "{error}");
    }
}
