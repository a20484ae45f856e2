//! The program of a kit that `cargo xtask gpu-check` makes.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    side_by_side::gpu::main()
}
