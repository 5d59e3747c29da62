//! The build itself: its time from nothing, the binary's size, and that it stands alone.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::report::Report;

/// A fresh release build in a folder of its own.
pub(crate) fn build(report: &mut Report) {
    report.title("a fresh release build");
    let target = std::env::temp_dir().join(format!("estiva-bench-build-{}", std::process::id()));
    let begun = Instant::now();
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", "estiva"])
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTC_WRAPPER")
        .stdin(Stdio::null())
        .status();
    let took = begun.elapsed().as_secs_f64();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the build succeeds"
    );
    let binary = target.join("x86_64-unknown-linux-gnu/release/estiva");
    let bytes = std::fs::metadata(&binary)
        .expect("the binary is there")
        .len() as f64;
    let linked = Command::new("ldd").arg(&binary).output();
    let linked = linked
        .map(|output| [output.stdout, output.stderr].concat())
        .unwrap_or_default();
    let linked = String::from_utf8_lossy(&linked).into_owned();
    drop(std::fs::remove_dir_all(&target));
    let megabytes = bytes / 1e6;
    report.note(&format!(
        "  {took:.0} s, {megabytes:.1} MB, ldd: {}",
        linked.trim()
    ));
    report.promise(
        &format!("the build takes less than 6 minutes ({took:.0} s)"),
        took < 360.0,
    );
    report.promise(
        &format!("the binary is under 30 MB ({megabytes:.1})"),
        megabytes < 30.0,
    );
    let is_static =
        linked.contains("statically linked") || linked.contains("not a dynamic executable");
    report.promise("the binary is static", is_static);
}
