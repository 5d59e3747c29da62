//! Namespaces: own, shared, joined, and users of their own.

use oci::runtime::{IdMapping, Linux, Namespace, NamespaceKind, TimeOffset};

use crate::Test;
use crate::testbed::{Bed, Running};

pub(crate) const TESTS: &[Test] = &[
    ("own_namespaces_are_own", own),
    ("namespaces_of_another_container_are_joined", joined),
    ("without_a_namespace_the_host_s_is_shared", shared),
    ("the_host_name_and_loopback_are_set", names),
    ("kernel_parameters_are_set_in_own_namespaces", sysctl),
    ("a_user_namespace_maps_ids", user),
    (
        "a_user_namespace_with_joined_network_works",
        user_joined_network,
    ),
    ("a_user_namespace_is_joined", joined_user),
    ("a_time_namespace_shifts_clocks", time),
];

fn namespace(pid: &str, kind: &str) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))
        .expect("it runs")
        .display()
        .to_string()
}

fn own() {
    let bed = Bed::new(&["sleep", "5"]);
    let running = bed.start();
    let pid = running.started.pid.to_string();
    for kind in ["pid", "net", "mnt", "ipc", "uts", "cgroup"] {
        assert_ne!(namespace(&pid, kind), namespace("self", kind), "{kind}");
    }
    assert_eq!(namespace(&pid, "user"), namespace("self", "user"));
    running.kill();
}

fn join(linux: &mut Linux, running: &Running<'_>, kind: NamespaceKind, file: &str) {
    linux.namespaces.retain(|each| each.kind != kind);
    linux.namespaces.push(Namespace {
        kind,
        path: Some(format!("/proc/{}/ns/{file}", running.started.pid).into()),
    });
}

fn joined() {
    let first = Bed::new(&["sleep", "5"]);
    let running = first.start();
    let mut second = Bed::sh(
        "hostname; cat /proc/1/comm; echo $$; for n in net ipc uts pid; do readlink /proc/self/ns/$n; done",
    );
    second.spec.hostname.clear();
    for (kind, file) in [
        (NamespaceKind::Network, "net"),
        (NamespaceKind::Ipc, "ipc"),
        (NamespaceKind::Uts, "uts"),
        (NamespaceKind::Pid, "pid"),
    ] {
        join(second.linux(), &running, kind, file);
    }
    let said = second.output();
    let pid = running.started.pid.to_string();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "testbed");
    assert_eq!(lines[1], "sleep");
    assert_ne!(lines[2], "1");
    for (line, kind) in lines[3..].iter().zip(["net", "ipc", "uts", "pid"]) {
        assert_eq!(*line, namespace(&pid, kind));
    }
    assert_eq!(
        namespace("self", "pid_for_children"),
        namespace("self", "pid"),
        "we came back"
    );
    running.kill();
}

fn shared() {
    let mut bed = Bed::sh(
        "readlink /proc/self/ns/net; readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc",
    )
    .without(NamespaceKind::Network)
    .without(NamespaceKind::Uts)
    .without(NamespaceKind::Ipc);
    assert!(fault::chain(&bed.run().expect_err("it would rename the host")).contains("hostname"));
    bed.spec.hostname.clear();
    let said = bed.output();
    let expected: Vec<_> = ["net", "uts", "ipc"]
        .iter()
        .map(|kind| namespace("self", kind))
        .collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

fn names() {
    let mut bed = Bed::sh(
        "hostname; cat /proc/sys/kernel/domainname; ip addr show lo | head -1; ip -o link | wc -l",
    );
    bed.spec.domainname = "example".to_owned();
    let said = bed.output();
    assert!(
        said.starts_with("testbed\nexample\n") && said.contains("LOOPBACK,UP"),
        "{said}"
    );
}

fn sysctl() {
    let mut bed =
        Bed::sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni");
    bed.linux().sysctl = [
        (
            "net.ipv4.ip_unprivileged_port_start".to_owned(),
            "0".to_owned(),
        ),
        ("kernel.shmmni".to_owned(), "77".to_owned()),
    ]
    .into();
    let host = std::fs::read_to_string("/proc/sys/kernel/shmmni").expect("procfs");
    assert_eq!(bed.output(), "0\n77\n");
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/shmmni").expect("procfs"),
        host
    );
}

const SHIFT: IdMapping = IdMapping {
    container_id: 0,
    host_id: 100_000,
    size: 65_536,
};

fn with_user(bed: &mut Bed) {
    use std::os::unix::fs::chown;
    let linux = bed.linux();
    linux.namespaces.push(Namespace::new(NamespaceKind::User));
    linux.uid_mappings = vec![SHIFT];
    linux.gid_mappings = vec![SHIFT];
    // The container's root owns its layer, as an engine that remaps would have it.
    for folder in [bed.upper(), bed.dir.clone(), bed.layer()] {
        chown(&folder, Some(100_000), Some(100_000)).expect("our own folder");
    }
}

fn user() {
    let mut bed = Bed::sh("id -u; cat /proc/self/uid_map; grep CapEff /proc/self/status; touch /x; echo y > /dev/null; head -c 1 /dev/zero | wc -c; cat /proc/self/oom_score_adj; hostname").grouped();
    with_user(&mut bed);
    bed.process().oom_score_adj = Some(100);
    let said = bed.output();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "0");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "65536"]
    );
    assert_eq!(lines[2], "CapEff:\t00000000a80425fb");
    assert_eq!(lines[3..], ["1", "100", "testbed"]);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        bed.upper().join("x").metadata().expect("written").uid(),
        100_000
    );
}

fn user_joined_network() {
    let first = Bed::new(&["sleep", "5"]);
    let running = first.start();
    let mut second = Bed::sh("readlink /proc/self/ns/net; echo $$; id -u");
    with_user(&mut second);
    // A sysfs shows the network namespace it is made in, and may only be made by who owns that.
    second
        .spec
        .mounts
        .retain(|mount| !mount.destination.starts_with("/sys"));
    join(second.linux(), &running, NamespaceKind::Network, "net");
    let pid = running.started.pid.to_string();
    assert_eq!(
        second.output(),
        format!("{}\n1\n0\n", namespace(&pid, "net"))
    );
    running.kill();
}

fn joined_user() {
    let mut first = Bed::new(&["sleep", "5"]);
    with_user(&mut first);
    let running = first.start();
    let mut second = Bed::sh("readlink /proc/self/ns/user; id -u; echo $$");
    with_user(&mut second);
    second.linux().uid_mappings.clear();
    second.linux().gid_mappings.clear();
    join(second.linux(), &running, NamespaceKind::User, "user");
    let pid = running.started.pid.to_string();
    assert_eq!(
        second.output(),
        format!("{}\n0\n1\n", namespace(&pid, "user"))
    );
    let inside = running.exec_sh("id -u; readlink /proc/self/ns/user");
    assert_eq!(inside.stdout, format!("0\n{}\n", namespace(&pid, "user")));
    running.kill();
}

fn time() {
    let mut bed = Bed::sh("awk '{print int($1)}' /proc/uptime");
    bed.linux()
        .namespaces
        .push(Namespace::new(NamespaceKind::Time));
    bed.linux().time_offsets = [(
        "boottime".to_owned(),
        TimeOffset {
            secs: 10_000_000,
            nanosecs: 0,
        },
    )]
    .into();
    let seconds: u64 = bed.output().trim().parse().expect("a number");
    assert!(seconds >= 10_000_000, "{seconds}");
}
