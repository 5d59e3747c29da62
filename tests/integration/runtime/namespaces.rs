//! Containers that share namespaces with the runtime, or with others.

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::{Bundle, Running, eventually};

fn namespace(pid: impl std::fmt::Display, kind: &str) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))
        .expect("it runs")
        .display()
        .to_string()
}

/// The kinds of the spec that stay when those named go.
fn without(bundle: &mut Bundle, kinds: &[&str]) {
    let list = bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list");
    list.retain(|each| !kinds.iter().any(|kind| each["type"] == *kind));
}

/// What is mounted below the bundle, as a process sees it.
fn mounts(bundle: &Bundle, pid: impl std::fmt::Display) -> Vec<String> {
    let root = bundle.folder.join("rootfs").display().to_string();
    let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("it runs");
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|place| place.starts_with(&root))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_container_without_any_namespace_lives_in_the_runtimes_and_leaves_no_mount() {
    let mut bundle = Bundle::sh("pwd; ls /; cat /proc/self/mounts | grep -c /proc; exec sleep 100");
    bundle.spec["linux"]["namespaces"] = json!([]);
    bundle.spec["linux"]["maskedPaths"] = json!([]);
    bundle.spec["linux"]["readonlyPaths"] = json!([]);
    bundle
        .spec
        .as_object_mut()
        .expect("a spec")
        .remove("hostname");
    bundle.start();
    let pid = bundle.pid();
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"] {
        assert_eq!(namespace(pid, kind), namespace("self", kind), "{kind}");
    }
    eventually("it has looked around", || {
        bundle.text("out").lines().count() > 3
    });
    let root = std::fs::read_link(format!("/proc/{pid}/root")).expect("it runs");
    assert_eq!(root, bundle.folder.join("rootfs"));
    assert!(
        !mounts(&bundle, "self").is_empty(),
        "its mounts are everybody's"
    );

    assert_eq!(
        bundle.ok("exec ID pwd -P"),
        "/",
        "execs enter the root, too"
    );
    let listed = bundle.ok("exec ID ls /");
    assert!(bundle.text("out").contains(&listed), "{listed}");

    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    bundle.ok("delete ID");
    assert_eq!(mounts(&bundle, "self"), Vec::<String>::new());
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_failed_container_without_a_mount_namespace_leaves_no_mount() {
    let mut bundle = Bundle::sh("true");
    without(&mut bundle, &["mount"]);
    bundle.set("/process/args", json!(["nosuchprogram"]));
    bundle.fails(1, "run ID");
    assert_eq!(mounts(&bundle, "self"), Vec::<String>::new());
    bundle.set("/process/args", json!(["true"]));
    bundle.ok("run ID");
    assert_eq!(mounts(&bundle, "self"), Vec::<String>::new());
}

#[test]
fn a_mount_namespace_is_joined_by_its_path() {
    let mut other = std::process::Command::new("unshare");
    other.args(["--mount", "--propagation", "private", "sleep", "100"]);
    let other = Running::start(&mut other);
    eventually("it has a namespace", || {
        namespace(other.pid(), "mnt") != namespace("self", "mnt")
    });
    let mut bundle = Bundle::sh("exec sleep 100");
    without(&mut bundle, &["mount"]);
    let path = format!("/proc/{}/ns/mnt", other.pid());
    let list = bundle.spec["linux"]["namespaces"].as_array_mut();
    list.expect("a list")
        .push(json!({ "type": "mount", "path": path }));
    bundle.start();
    let pid = bundle.pid();
    assert_eq!(namespace(pid, "mnt"), namespace(other.pid(), "mnt"));
    assert!(!mounts(&bundle, other.pid()).is_empty());
    assert_eq!(mounts(&bundle, "self"), Vec::<String>::new());
    let hostname: Value = bundle.ok("exec ID hostname").into();
    assert_eq!(
        hostname, bundle.spec["hostname"],
        "execs enter the root, too"
    );
    bundle.ok("delete --force ID");
    assert_eq!(mounts(&bundle, other.pid()), Vec::<String>::new());
    other.signal(Signal::KILL);
    drop(other.finish());
}

#[test]
fn a_user_namespace_among_the_mounts_of_others_is_refused_with_the_reason() {
    let mut bundle = Bundle::sh("true");
    without(&mut bundle, &["mount"]);
    let list = bundle.spec["linux"]["namespaces"].as_array_mut();
    list.expect("a list").push(json!({ "type": "user" }));
    bundle.spec["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
    bundle.spec["linux"]["gidMappings"] = bundle.spec["linux"]["uidMappings"].clone();
    if !Bundle::is_peer() {
        let error = bundle.fails(1, "run ID");
        assert!(
            error.contains("needs a mount namespace of its own"),
            "{error}"
        );
    }
}

#[test]
fn mounts_are_listed_in_the_order_of_the_spec() {
    let mut bundle = Bundle::sh("cut -d ' ' -f 5 /proc/self/mountinfo | grep ^/mnt");
    bundle.set("/root/readonly", json!(false));
    let mut expect = Vec::new();
    for (at, (kind, word)) in [
        ("bind", "rshared"),
        ("tmpfs", "private"),
        ("bind", "rprivate"),
        ("tmpfs", "shared"),
        ("bind", "slave"),
    ]
    .into_iter()
    .enumerate()
    {
        let destination = format!("/mnt/{at}");
        let source = if kind == "bind" { "/etc" } else { "tmpfs" };
        bundle.spec["mounts"].as_array_mut().expect("a list").push(json!({
            "destination": destination, "type": kind, "source": source, "options": [kind.replace("tmpfs", "nodev"), word],
        }));
        expect.push(destination);
    }
    assert_eq!(bundle.ok("run ID").lines().collect::<Vec<_>>(), expect);
}
