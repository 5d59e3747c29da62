//! `/dev`: the standard nodes, those asked for, and the kernel's rule about the rest.

#[test]
fn the_standard_nodes_are_there_and_nothing_of_the_hosts() {
    let engine = testkit::engine();
    let list = engine.ok("run --rm busybox ls /dev");
    let names: Vec<&str> = list.split_whitespace().collect();
    for name in [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd",
        "stdin", "stdout", "stderr",
    ] {
        assert!(names.contains(&name), "{name} in {list}");
    }
    assert!(
        !names.contains(&"vda") && !names.contains(&"mem") && !names.contains(&"kmsg"),
        "{list}"
    );
    assert_eq!(
        engine.ok("run --rm busybox sh -c 'echo x > /dev/null; head -c 3 /dev/zero | wc -c'"),
        "3"
    );
    let full = engine.fails(1, "run --rm busybox sh -c 'echo x > /dev/full'");
    assert!(full.contains("No space left on device"), "{full}");
}

#[test]
fn a_node_made_inside_opens_nothing() {
    let engine = testkit::engine();
    // mem (1:1) is not among the allowed devices, null (1:3) is.
    let error = engine.fails(1, "run --rm busybox sh -c 'mknod /m c 1 1 && head -c 1 /m'");
    assert!(error.contains("Operation not permitted"), "{error}");
    engine.ok("run --rm busybox sh -c 'mknod /n c 1 3 && echo x > /n'");
}

#[test]
fn a_device_asked_for_is_there_with_the_rights_asked_for() {
    let Some(node) = testkit::spare_device() else {
        return testkit::skip("this machine has no device to spare");
    };
    let engine = testkit::engine();
    engine.ok(&format!(
        "run --rm --device {node} busybox sh -c 'exec 3<{node}'"
    ));
    let read_only = format!("run --rm --device {node}:/dev/other:r busybox");
    engine.ok(&format!("{read_only} sh -c 'exec 3</dev/other'"));
    let error = engine.refuses(&format!("{read_only} sh -c 'exec 3<>/dev/other'"));
    assert!(error.contains("Operation not permitted"), "{error}");
    let error = engine.refuses("run --rm --device /dev/no-such busybox true");
    assert!(error.contains("/dev/no-such"), "{error}");
}

#[test]
fn a_rule_allows_a_node_that_is_made_later() {
    use std::os::unix::fs::MetadataExt;
    let Some(node) = testkit::spare_device() else {
        return testkit::skip("this machine has no device to spare");
    };
    let device = std::fs::metadata(node)
        .expect("it was opened before")
        .rdev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let engine = testkit::engine();
    let make = format!("busybox sh -c 'mknod /k c {major} {minor} && exec 3</k'");
    let error = engine.refuses(&format!("run --rm {make}"));
    assert!(error.contains("Operation not permitted"), "{error}");
    let rule = format!("--device-cgroup-rule 'c {major}:{minor} rwm'");
    engine.ok(&format!("run --rm {rule} {make}"));
    engine.fails(125, "run --rm --device-cgroup-rule 'nonsense' busybox true");
}

#[test]
fn privileged_sees_the_hosts_devices() {
    if testkit::Engine::is_peer() && !testkit::grants_all_capabilities() {
        return testkit::skip("the peer asks for capabilities that this machine does not grant");
    }
    let engine = testkit::engine();
    let list = engine.ok("run --rm --privileged busybox ls /dev");
    assert!(list.split_whitespace().any(|name| name == "kmsg"), "{list}");
}

#[test]
fn shared_memory_is_as_large_as_asked() {
    let engine = testkit::engine();
    let size = |options: &str| {
        engine.ok(&format!(
            "run --rm {options} busybox sh -c 'df -k /dev/shm | tail -1'"
        ))
    };
    assert_eq!(size("").split_whitespace().nth(1), Some("65536"));
    assert_eq!(
        size("--shm-size 8m").split_whitespace().nth(1),
        Some("8192")
    );
}
