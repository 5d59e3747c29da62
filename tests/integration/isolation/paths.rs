//! `/proc` and `/sys`: masked, read-only, and the root that can be read-only too.

#[test]
fn what_tells_too_much_is_masked() {
    let engine = testkit::engine();
    for file in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/latency_stats",
    ] {
        let output = engine.cli(&format!("run --rm busybox sh -c 'if test -e {file}; then head -c 10 {file} | wc -c; else echo 0; fi'")).run();
        assert_eq!(output.success(), "0", "{file}");
    }
    for folder in ["/sys/firmware", "/proc/scsi", "/proc/acpi"] {
        let text = engine.ok(&format!(
            "run --rm busybox sh -c 'ls -A {folder} 2>/dev/null || true'"
        ));
        assert_eq!(text, "", "{folder}");
    }
}

#[test]
fn what_steers_the_kernel_is_read_only() {
    let engine = testkit::engine();
    for file in [
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        let output = engine
            .cli(&format!(
                "run --rm busybox sh -c 'test -e {file} || exit 1; echo x > {file}'"
            ))
            .run();
        assert_eq!(output.code, 1, "{file}: {}", output.text());
    }
    let mounts = engine.ok("run --rm busybox cat /proc/self/mountinfo");
    let options = |point: &str| {
        let line = mounts
            .lines()
            .rfind(|line| line.split(' ').nth(4) == Some(point));
        line.unwrap_or_else(|| panic!("{point} in\n{mounts}"))
            .split(' ')
            .nth(5)
            .expect("options")
            .to_owned()
    };
    for point in [
        "/sys",
        "/proc/sys",
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sysrq-trigger",
    ]
    .into_iter()
    .filter(|point| std::path::Path::new(point).exists())
    {
        assert!(
            options(point).starts_with("ro"),
            "{point}: {}",
            options(point)
        );
    }
    for point in ["/proc", "/dev/pts", "/dev/mqueue", "/dev/shm"] {
        assert!(
            options(point).contains("nosuid") && options(point).contains("noexec"),
            "{point}: {}",
            options(point)
        );
    }
}

#[test]
fn a_privileged_container_is_not_masked() {
    if testkit::Engine::is_peer() && !testkit::grants_all_capabilities() {
        return testkit::skip("the peer asks for capabilities that this machine does not grant");
    }
    let engine = testkit::engine();
    let mounts = engine.ok("run --rm --privileged busybox cat /proc/self/mountinfo");
    assert!(
        !mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some("/proc/sys")),
        "{mounts}"
    );
    assert!(
        mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some("/sys") && line.contains(" rw")),
        "{mounts}"
    );
}

#[test]
fn a_read_only_root_takes_writes_only_where_asked() {
    let engine = testkit::engine();
    let error = engine.fails(1, "run --rm --read-only busybox touch /file");
    assert!(error.contains("Read-only file system"), "{error}");
    engine.ok("run --rm --read-only --tmpfs /scratch -v data:/data busybox sh -c 'touch /scratch/f /data/f /dev/shm/f'");
    engine.fails(
        1,
        "run --rm --read-only busybox sh -c 'echo x > /etc/hosts'",
    );
}

#[test]
fn the_roots_mount_does_not_show_the_hosts_tree() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let mounts = container.exec("cat /proc/self/mountinfo");
    let old = mounts
        .lines()
        .filter(|line| line.contains(".pivot") || line.split(' ').nth(4) == Some("/oldroot"));
    assert_eq!(old.count(), 0, "{mounts}");
    assert_eq!(
        container.exec("ls /"),
        "bin\ndev\netc\nproc\nroot\nsys\ntmp\nvar"
    );
}

#[test]
fn sysctls_are_set_where_they_have_a_namespace() {
    let engine = testkit::engine();
    let read = "busybox cat /proc/sys/kernel/msgmax";
    assert_eq!(
        engine.ok(&format!("run --rm --sysctl kernel.msgmax=4321 {read}")),
        "4321"
    );
    let ports = engine.ok("run --rm --network none --sysctl net.ipv4.ip_local_port_range='2000 3000' busybox cat /proc/sys/net/ipv4/ip_local_port_range");
    assert_eq!(
        ports.split_whitespace().collect::<Vec<_>>(),
        ["2000", "3000"]
    );
    engine.fails(125, "run --rm --sysctl kernel.panic=1 busybox true");
}
