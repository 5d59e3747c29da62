//! How the one binary is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        // A static program at a fixed address has nothing to relocate when it starts: 18,000 pointers less to write, half
        // the page faults. The runtime's commands are programs that live for a millisecond. Stack, heap and mappings are
        // still at random addresses.
        println!("cargo:rustc-link-arg-bins=-static");
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
