//! The floor among the peers: an OCI runtime alone, with no image, network, log or daemon.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::rootfs;

use crate::peer::is_installed;

/// The time that `runc run` and `crun run` take for `true`.
pub(crate) fn runs(rounds: usize) -> Vec<(String, Vec<Duration>)> {
    let folder = std::env::temp_dir().join(format!("estiva-bench-bundle-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    rootfs::create(&folder.join("rootfs"));
    let mut rows = Vec::new();
    for runtime in ["runc", "crun"] {
        if is_installed(runtime)
            && write_spec(runtime, &folder)
            && run_once(runtime, &folder).is_some()
        {
            let times = (0..rounds)
                .filter_map(|_| run_once(runtime, &folder))
                .collect();
            rows.push((format!("{runtime} alone"), times));
        }
    }
    drop(std::fs::remove_dir_all(&folder));
    rows
}

fn write_spec(runtime: &str, folder: &Path) -> bool {
    drop(std::fs::remove_file(folder.join("config.json")));
    let made = Command::new(runtime)
        .arg("spec")
        .current_dir(folder)
        .status();
    let config = folder.join("config.json");
    let Ok(text) = std::fs::read_to_string(&config) else {
        return false;
    };
    let text = text
        .replace("\"terminal\": true", "\"terminal\": false")
        .replace("\"sh\"", "\"true\"");
    made.is_ok_and(|status| status.success()) && std::fs::write(config, text).is_ok()
}

fn run_once(runtime: &str, folder: &Path) -> Option<Duration> {
    let id = format!("estiva-bench-{}", std::process::id());
    let mut command = Command::new(runtime);
    command
        .arg("--root")
        .arg(folder.join("state"))
        .args(["run", "--bundle"])
        .arg(folder)
        .arg(id)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().ok()?;
    status.success().then(|| begun.elapsed())
}
