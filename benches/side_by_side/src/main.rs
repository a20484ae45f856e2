//! `cargo xtask bench`
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    side_by_side::main()
}
