//! Members of the spec that few ask for, seen in the kernel's answer; and what is refused when the kernel has none of it.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use testkit::Bundle;

/// A bundle with members of `process` and `linux` put in.
fn with(script: &str, process: Value, linux: Value) -> Bundle {
    let mut bundle = Bundle::sh(script);
    for (part, members) in [("process", process), ("linux", linux)] {
        for (name, value) in members.as_object().expect("members") {
            bundle.spec[part][name] = value.clone();
        }
    }
    bundle
}

#[test]
fn the_programs_scheduling_is_the_specs() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older than some of it");
    }
    // Fields 19 and 41 of /proc/PID/stat: nice and policy.
    let bundle = with(
        "cut -d' ' -f19,41 /proc/self/stat; ionice -p 1; uname -m; grep -m1 -o 'bind[^ ]*' /proc/1/numa_maps",
        json!({
            "scheduler": { "policy": "SCHED_BATCH", "nice": 5 },
            "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 6 },
        }),
        json!({
            "personality": { "domain": "LINUX32" },
            "memoryPolicy": { "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] },
        }),
    );
    let text = bundle.ok("run ID");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..2], ["5 3", "best-effort: prio 6"], "{text}");
    assert!(matches!(lines[2], "i686" | "i386" | "armv8l"), "{text}");
    assert!(
        lines.get(3).is_some_and(|line| line.starts_with("bind")),
        "{text}"
    );
}

#[test]
fn a_deadline_is_the_kernels_to_grant_or_to_refuse_with_its_word() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let deadline = |runtime: u64| {
        let scheduler = json!({
            "policy": "SCHED_DEADLINE", "runtime": runtime, "deadline": 20_000_000, "period": 20_000_000,
        });
        with(
            "cut -d' ' -f41 /proc/1/stat",
            json!({ "scheduler": scheduler }),
            json!({}),
        )
    };
    let output = deadline(1_000_000).cli("run ID");
    match output.code {
        0 => assert_eq!(output.text(), "6"),
        // A group without real-time budget (cgroup v1) or a confined CPU set: the kernel's own refusal.
        _ => assert!(
            output.error().contains("set the scheduler: "),
            "{}",
            output.error()
        ),
    }
    // More runtime than deadline makes no sense to any kernel.
    let error = deadline(30_000_000).fails(1, "run ID");
    assert!(
        error.contains("set the scheduler: invalid argument"),
        "{error}"
    );
}

#[test]
fn clocks_and_names_are_the_containers_own() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older than time namespaces");
    }
    let mut bundle = with(
        "cut -d. -f1 /proc/uptime; cat /proc/sys/kernel/domainname",
        json!({}),
        json!({ "timeOffsets": { "boottime": { "secs": 40_000_000, "nanosecs": 0 } } }),
    );
    bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list")
        .push(json!({ "type": "time" }));
    bundle.spec["domainname"] = json!("nis.example");
    let text = bundle.ok("run ID");
    let (uptime, domain) = text.split_once('\n').expect("two lines");
    assert!(
        uptime.parse::<u64>().expect("seconds") > 40_000_000,
        "{text}"
    );
    assert_eq!(domain, "nis.example");
}

#[test]
fn an_exec_runs_on_the_cpus_that_the_spec_gives_to_execs() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older");
    }
    let bundle = with(
        "exec sleep 100",
        json!({ "execCPUAffinity": { "initial": "0", "final": "0" } }),
        json!({}),
    );
    bundle.start();
    let cpus = |pid: &str| {
        bundle.ok(&format!(
            "exec ID grep Cpus_allowed_list /proc/{pid}/status"
        ))
    };
    assert!(cpus("self").ends_with("\t0"), "{}", cpus("self"));
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    assert_eq!(
        cpus("1").ends_with("\t0"),
        !several,
        "the container itself has all"
    );
}

#[test]
fn mounts_have_the_attributes_of_all_words_of_the_spec() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older than recursive attributes");
    }
    let mut bundle = Bundle::sh(
        "touch /deep/x; touch /deep/inner/x; cat /etc/kept; touch /etc/more && echo more; stat -c %u /mapped/file",
    );
    let source = bundle.folder.join("source");
    std::fs::create_dir_all(source.join("inner")).expect("a folder of ours");
    std::fs::write(source.join("file"), "").expect("a folder of ours");
    std::os::unix::fs::chown(source.join("file"), Some(7), None).expect("we are root");
    std::fs::create_dir_all(bundle.folder.join("rootfs/etc")).expect("a folder of ours");
    std::fs::write(bundle.folder.join("rootfs/etc/kept"), "kept\n").expect("a folder of ours");
    let mapping = json!([{ "containerID": 0, "hostID": 5000, "size": 1000 }]);
    bundle.spec["mounts"].as_array_mut().expect("a list").extend([
        json!({ "destination": "/deep", "type": "bind", "source": source, "options": ["rbind", "rro"] }),
        json!({ "destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"] }),
        json!({ "destination": "/mapped", "type": "bind", "source": source, "options": ["rbind", "ridmap"],
                "uidMappings": mapping, "gidMappings": mapping }),
    ]);
    bundle.set("/root/readonly", json!(false));
    let output = bundle.cli("run ID");
    let (text, error) = (output.text(), output.error());
    assert_eq!(error.matches("Read-only file system").count(), 2, "{error}");
    assert_eq!(text, "kept\nmore\n5007", "{error}");
    assert!(
        !bundle.folder.join("rootfs/etc/more").exists(),
        "the root's own folder is as it was"
    );
}

#[test]
fn the_roots_propagation_is_the_specs() {
    let mut bundle =
        Bundle::sh("grep ' / / ' /proc/self/mountinfo; grep ' / ' /proc/self/mountinfo");
    for (word, seen, unseen) in [("shared", "shared:", "xx"), ("private", " - ", "shared:")] {
        bundle.spec["linux"]["rootfsPropagation"] = json!(word);
        let text = bundle.cli("run ID").text();
        assert!(
            text.contains(seen) && !text.contains(unseen),
            "{word}: {text}"
        );
    }
    bundle.spec["linux"]["rootfsPropagation"] = json!("sideways");
    let error = bundle.fails(1, "run ID");
    assert!(error.contains("ropagation"), "{error}");
}

#[test]
fn a_hook_that_takes_too_long_ends_the_container() {
    let mut bundle = Bundle::sh("sleep 100");
    bundle.spec["hooks"] = json!({ "createRuntime": [
        { "path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1 },
    ] });
    let begun = std::time::Instant::now();
    assert_eq!(bundle.detached("create ID"), 1);
    assert!(begun.elapsed().as_secs() < 30);
    let error = bundle.text("err");
    assert!(error.contains("createRuntime hook #0"), "{error}");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_limit_whose_controller_is_not_here_is_refused_by_its_name() {
    if Bundle::is_peer() {
        return testkit::skip("the peer leaves some of them out in silence");
    }
    let here = std::fs::read_to_string("/proc/cgroups").unwrap_or_default()
        + &std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let asked = [
        (
            "hugetlb",
            "hugepageLimits",
            json!([{ "pageSize": "2MB", "limit": 0 }]),
        ),
        ("rdma", "rdma", json!({ "mlx5_1": { "hcaHandles": 3 } })),
        ("net_cls", "network", json!({ "classID": 7 })),
        (
            "net_prio",
            "network",
            json!({ "priorities": [{ "name": "lo", "priority": 1 }] }),
        ),
    ];
    for (controller, member, value) in asked {
        if here.contains(controller) {
            continue;
        }
        let mut bundle = Bundle::sh("true");
        bundle.spec["linux"]["resources"][member] = value;
        let error = bundle.fails(1, "run ID");
        assert!(
            error.contains(&format!("the {controller} controller is not available")),
            "{member}: {error}"
        );
        assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    }
}

#[test]
fn a_class_of_caches_is_refused_where_there_are_none_and_left_alone_where_nobody_asks() {
    if Bundle::is_peer() || std::path::Path::new("/sys/fs/resctrl/schemata").exists() {
        return testkit::skip("another runtime's words, or a machine with resctrl");
    }
    let bundle = with(
        "sleep 100",
        json!({}),
        json!({ "intelRdt": { "closID": "gold", "schemata": ["L3:0=f"], "enableMonitoring": true } }),
    );
    let error = bundle.fails(1, "run ID");
    assert!(
        error.contains("Intel RDT is not supported or enabled"),
        "{error}"
    );
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    let bundle = Bundle::sh("sleep 100");
    bundle.start();
    let error = bundle.fails(1, "update --l3-cache-schema L3:0=f ID");
    assert!(error.contains("intelRdt"), "{error}");
}

#[test]
fn null_members_and_another_file_are_read_as_other_runtimes_read_them() {
    if Bundle::is_peer() {
        return testkit::skip("--config is crun's");
    }
    let mut bundle = Bundle::sh("echo yes");
    bundle.spec["hooks"] = Value::Null;
    bundle.spec["process"]["rlimits"] = Value::Null;
    assert_eq!(bundle.ok("run ID"), "yes");
    let other = bundle.folder.join("other.json");
    let mut spec = bundle.spec.clone();
    spec["process"]["args"] = json!(["echo", "other"]);
    std::fs::write(&other, spec.to_string()).expect("a folder of ours");
    assert_eq!(bundle.ok("run --config other.json ID"), "other");
}

#[test]
fn a_socket_receives_the_pidfd_of_create_and_exec() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older");
    }
    let bundle = Bundle::sh("exec sleep 100");
    let listener = UnixListener::bind(bundle.folder.join("pidfd.sock")).expect("a free name");
    assert_eq!(
        bundle.detached("create --pidfd-socket pidfd.sock ID"),
        0,
        "{}",
        bundle.text("err")
    );
    let pid_of = |file: std::fs::File| -> i32 {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
        let text = std::fs::read_to_string(path).expect("procfs");
        let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
        line.expect("it is a pidfd").trim().parse().expect("a pid")
    };
    assert_eq!(pid_of(super::terminal::receive(&listener)), bundle.pid());
    bundle.ok("start ID");
    let line = "exec -d --pid-file exec.pid --pidfd-socket pidfd.sock ID sleep 50";
    assert_eq!(bundle.detached(line), 0, "{}", bundle.text("err"));
    let told: i32 = bundle.text("exec.pid").parse().expect("a pid");
    assert_eq!(pid_of(super::terminal::receive(&listener)), told);
}

#[test]
fn an_exec_can_go_into_a_group_below_the_containers() {
    let bundle = Bundle::sh("exec sleep 100");
    bundle.start();
    let groups = testkit::proc::read(bundle.pid(), "cgroup").expect("it runs");
    let Some(controller) = groups.lines().find_map(|line| {
        let name = line.split(':').nth(1)?;
        matches!(name, "pids" | "freezer").then(|| name.to_owned())
    }) else {
        return testkit::skip("cgroup v2 has no controllers of their own places");
    };
    let below = format!("/sys/fs/cgroup/{controller}/{}/below", bundle.id);
    std::fs::create_dir(&below).expect("we are root");
    let text = bundle.ok(&format!(
        "exec --cgroup {controller}:/below ID cat /proc/self/cgroup"
    ));
    let inside = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.split(':').nth(1) == Some(name));
        line.is_some_and(|line| line.ends_with("/below"))
    };
    assert!(inside(&controller) && !inside("memory"), "{text}");
    if !Bundle::is_peer() {
        let error = bundle.fails(255, "exec --cgroup nowhere ID true");
        assert!(error.contains("no cgroup"), "{error}");
    }
    std::fs::remove_dir(&below).expect("nobody is in it any more");
}

#[test]
fn the_machines_ps_makes_other_tables() {
    let bundle = Bundle::sh("exec sleep 100");
    bundle.start();
    let text = bundle.ok("ps ID -o pid,comm");
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        (lines[0][0], lines[1][0]),
        ("PID", bundle.pid().to_string().as_str())
    );
}
