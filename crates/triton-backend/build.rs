//! Lets the tests' fake host be found as a server is: by the names of its functions, which programs keep to themselves unless told.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-tests=-rdynamic");
}
