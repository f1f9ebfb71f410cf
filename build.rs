//! How the binary is linked.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // At a fixed address nothing needs to be relocated when it starts: tens of thousands of pointers in 1.5 MB of tables
    // are half of the time that `plinth --version` takes (docs/decisions/0010).
    let is_dynamic = !target("FEATURE").split(',').any(|feature| feature == "crt-static");
    if target("OS") == "linux" && target("ENV") == "gnu" && target("ARCH") == "x86_64" && is_dynamic {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
