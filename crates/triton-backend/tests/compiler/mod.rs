//! The compiler of the stand-ins that are written in C, and the test's own program once more; both also where the tests are for another machine
//! than this.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::process::Command;

/// `cc`, or what `TESTS_CC` names.
pub fn cc() -> Command {
    Command::new(std::env::var_os("TESTS_CC").unwrap_or_else(|| "cc".into()))
}

/// This program, run by what `TESTS_RUNNER` says, such as an emulator with its options.
pub fn this_program() -> Command {
    let program = std::env::current_exe().unwrap();
    let runner = std::env::var("TESTS_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        None => Command::new(program),
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.args(words).arg(program);
            command
        }
    }
}
