//! How the one binary is linked.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=ESTIVA_LINK_MAP");
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        // A static program at a fixed address has nothing to relocate when it starts: 18,000 pointers less to write, half
        // the page faults. The runtime's commands are programs that live for a millisecond. Stack, heap and mappings are
        // still at random addresses.
        println!("cargo:rustc-link-arg-bins=-static");
        println!("cargo:rustc-link-arg-bins=-no-pie");
        order();
    }
    if let Ok(map) = std::env::var("ESTIVA_LINK_MAP") {
        println!("cargo:rustc-link-arg-bins=-Wl,-Map={map},--no-demangle");
    }
}

/// What the OCI runtime's commands run lies side by side: the kernel maps 64 KiB around each page that is touched, and a
/// command that touches all parts of a large program has megabytes resident. `bench/hot/trace.py` makes the list.
fn order() {
    println!("cargo:rerun-if-changed=hot.order");
    let order = Path::new(env!("CARGO_MANIFEST_DIR")).join("hot.order");
    // Only LLVM's linker knows the option; it is the default of this target.
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_default = std::env::var_os("RUSTC_LINKER").is_none()
        && !flags.contains("linker")
        && !flags.contains("fuse-ld");
    let target = std::env::var("TARGET").unwrap_or_default();
    if is_default && target == "x86_64-unknown-linux-gnu" && order.exists() {
        println!(
            "cargo:rustc-link-arg-bins=-Wl,--symbol-ordering-file={}",
            order.display()
        );
        println!("cargo:rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}
