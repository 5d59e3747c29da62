//! Containers whose cgroup is a scope of systemd's. Told in full by `tests/vm/run --systemd`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use testkit::{Bundle, command, eventually, proc};

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn scoped(script: &str) -> Bundle {
    let mut bundle = Bundle::sh(script);
    bundle.spec["linux"]["cgroupsPath"] = json!(format!("machine-est.slice:est:{}", bundle.id));
    bundle
}

/// Where the kernel has it, in the v2 tree or that of systemd.
fn group(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let line = text.lines().find(|line| line.contains("name=systemd"));
    let line = line.or_else(|| text.lines().find(|line| line.starts_with("0::")));
    let line = line.expect("every process is in a group");
    line.rsplit(':').next().expect("a path").to_owned()
}

fn folder(bundle: &Bundle) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(group(bundle.pid()).trim_start_matches('/'))
}

/// What systemd says of the scope.
fn shown(bundle: &Bundle, property: &str) -> String {
    let unit = format!("est-{}.scope", bundle.id);
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["show", "--value", "-p", property, &unit]);
    command::run(&mut systemctl, b"").success()
}

#[test]
fn where_systemd_does_not_run_it_is_said() {
    if has_systemd() {
        return;
    }
    let bundle = scoped("true");
    let error = bundle.fails(1, "--systemd-cgroup run ID");
    assert!(
        error.contains("systemd support for managing cgroups is not available"),
        "{error}"
    );
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_path_that_names_no_scope_is_refused() {
    let mut bundle = scoped("true");
    bundle.spec["linux"]["cgroupsPath"] = json!("/not/a/scope");
    let error = bundle.fails(1, "--systemd-cgroup run ID");
    assert!(error.contains("slice:prefix:name"), "{error}");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_container_is_a_scope_with_its_limits_until_it_is_deleted() {
    if !has_systemd() {
        return testkit::skip("systemd does not run this machine");
    }
    let mut bundle = scoped("exec sleep 100");
    bundle.spec["linux"]["resources"]["memory"] = json!({ "limit": 67_108_864 });
    bundle.spec["linux"]["resources"]["pids"] = json!({ "limit": 50 });
    bundle.spec["annotations"] = json!({ "org.systemd.property.TimeoutStopSec": "3" });
    assert_eq!(
        bundle.detached("--systemd-cgroup create ID"),
        0,
        "{}",
        bundle.text("err")
    );
    let pid = bundle.pid();
    let scope = format!("/machine.slice/machine-est.slice/est-{}.scope", bundle.id);
    assert_eq!(group(pid), scope);
    let folder = folder(&bundle);
    let limit = |file: &str| {
        let text = std::fs::read_to_string(folder.join(file)).expect("the group is there");
        text.trim().to_owned()
    };
    assert_eq!(
        (limit("memory.max").as_str(), limit("pids.max").as_str()),
        ("67108864", "50")
    );
    eventually("only the container is in it", || {
        limit("cgroup.procs") == pid.to_string()
    });
    assert_eq!(shown(&bundle, "MemoryMax"), "67108864");
    assert_eq!(shown(&bundle, "TasksMax"), "50");
    assert_eq!(shown(&bundle, "Slice"), "machine-est.slice");
    assert_eq!(shown(&bundle, "Delegate"), "yes");
    assert_eq!(shown(&bundle, "TimeoutStopUSec"), "3s");
    bundle.ok("start ID");

    bundle.ok("update --memory 96m ID");
    assert_eq!(limit("memory.max"), "100663296");
    // Who is reloaded writes what it knows.
    command::run(Command::new("systemctl").arg("daemon-reload"), b"").success();
    assert_eq!(limit("memory.max"), "100663296");
    assert_eq!(shown(&bundle, "MemoryMax"), "100663296");
    bundle.ok("pause ID");
    assert_eq!(bundle.state("status"), "paused");
    bundle.ok("resume ID");
    let exec = bundle.ok("exec ID cat /proc/self/cgroup");
    assert!(
        exec.lines().any(|line| line.ends_with(":/")),
        "in the same group: {exec}"
    );

    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    bundle.ok("delete ID");
    assert!(!proc::is_alive(pid));
    assert!(!folder.exists());
    assert_eq!(shown(&bundle, "LoadState"), "not-found");
}

#[test]
fn a_failed_container_leaves_no_scope() {
    if !has_systemd() {
        return testkit::skip("systemd does not run this machine");
    }
    let mut bundle = scoped("true");
    bundle.set("/process/args", json!(["nosuchprogram"]));
    bundle.fails(1, "--systemd-cgroup run ID");
    assert_eq!(shown(&bundle, "LoadState"), "not-found");
    bundle.set("/process/args", json!(["sh", "-c", "exit 3"]));
    for _ in 0..2 {
        bundle.fails(3, "--systemd-cgroup run ID");
    }
    assert_eq!(shown(&bundle, "LoadState"), "not-found");
}
