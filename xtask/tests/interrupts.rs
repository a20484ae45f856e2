//! Nothing stays behind, whatever ends xtask.

// The helpers are parts of tests and fail like them.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The name of the program a process runs; empty when there is no such process, or only its remains.
fn program(pid: i32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    if stat.contains(") Z ") {
        return String::new();
    }
    let name = stat
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    name.map(|(name, _)| name.to_owned()).unwrap_or_default()
}

fn first_line_as_pid(child: &mut Child) -> i32 {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_tied_program_dies_with_a_killed_parent() {
    let script =
        format!("{XTASK} exec-tied --parent $$ --signal SIGTERM -- sleep 600 & echo $!; wait");
    let mut parent = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = first_line_as_pid(&mut parent);
    wait_until("sleep's start", || program(pid) == "sleep");
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("sleep's end", || program(pid).is_empty());
}

#[test]
fn a_program_tied_to_another_parent_does_not_start() {
    let output = Command::new(XTASK)
        .args(["exec-tied", "--parent", "1", "--", "echo", "started"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

/// A stand-in for cargo that tells its process id and sleeps, unless it is asked for metadata.
fn sleeping_cargo(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("cargo");
    let script = format!(
        "#!/bin/sh\ncase $1 in metadata) exec '{}' \"$@\";; esac\necho $$\nexec sleep 600\n",
        env!("CARGO")
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn signals_stop_the_children_and_set_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut xtask = Command::new(XTASK)
            .args(["test", "--only", "fmt"])
            .env("CARGO", sleeping_cargo(directory.path()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = first_line_as_pid(&mut xtask);
        wait_until("sleep's start", || program(child) == "sleep");
        kill(Pid::from_raw(xtask.id().cast_signed()), signal).unwrap();
        assert_eq!(xtask.wait().unwrap().code(), Some(code));
        assert!(program(child).is_empty());
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    let output = Command::new(XTASK)
        .args(["test", "--only", "nothing"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = Command::new(XTASK)
        .args(["serve", "--repo", "/no/such/directory"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("error: cannot serve /no/such/directory"),
        "{error}"
    );
}

#[test]
fn a_detached_program_leads_a_session_of_its_own() {
    let script = format!("{XTASK} exec-tied -- sleep 600 & echo $!; wait");
    let mut parent = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = first_line_as_pid(&mut parent);
    wait_until("sleep's start", || program(pid) == "sleep");
    parent.kill().unwrap();
    parent.wait().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(program(pid), "sleep");
    let session = nix::unistd::getsid(Some(Pid::from_raw(pid))).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(session.as_raw(), pid);
}
