//! The functions of Triton's C API exist only inside a server. No target calls one, but a fuzzer's build keeps dead code.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Wl,--unresolved-symbols=ignore-all");
}
