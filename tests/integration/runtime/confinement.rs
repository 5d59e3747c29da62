//! What a container made by the command line cannot do.

use serde_json::json;
use testkit::{Bundle, proc};

/// CVE-2019-5736: while it is still the runtime, a container's first process must not show a file that can be written.
#[test]
fn the_runtimes_program_cannot_be_written_through_proc() {
    let bundle = Bundle::sh("sleep 100");
    assert_eq!(bundle.detached("create ID"), 0, "{}", bundle.text("err"));
    let exe = format!("/proc/{}/exe", bundle.pid());
    let file = std::fs::File::open(&exe).expect("it is there");
    let on = rustix::fs::fstatvfs(&file).expect("a file system");
    let readonly = on.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    let sealed = rustix::fs::fcntl_get_seals(&file)
        .is_ok_and(|seals| seals.contains(rustix::fs::SealFlags::WRITE));
    assert!(readonly || sealed, "{exe} is on a writable mount");
    // Its mappings lead to the file, too, for whoever has the right to follow them.
    let mappings = std::fs::read_dir(format!("/proc/{}/map_files", bundle.pid()));
    for mapping in mappings.expect("we are root").flatten() {
        let opened = std::fs::OpenOptions::new().write(true).open(mapping.path());
        assert!(opened.is_err(), "{mapping:?} can be written");
    }
}

#[test]
fn a_waiting_container_holds_nothing_of_its_creator() {
    let bundle = Bundle::sh("sleep 100");
    assert_eq!(bundle.detached("create ID"), 0, "{}", bundle.text("err"));
    let pid = bundle.pid();
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("we are root")
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let host = |path: &&String| path.starts_with('/') && !path.contains("/dev/null");
    let ours = bundle.folder.display().to_string();
    let strange: Vec<_> = open
        .iter()
        .filter(host)
        .filter(|path| {
            !path.starts_with(&format!("{ours}/out")) && !path.starts_with(&format!("{ours}/err"))
        })
        .filter(|path| path.as_str() != "/" && !path.starts_with("/sys/fs/cgroup"))
        .collect();
    assert!(
        strange
            .iter()
            .all(|path| path.starts_with(&bundle.root().display().to_string())),
        "{strange:?}"
    );
    bundle.ok("start ID");
    let after = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .count();
    assert_eq!(after, 3);
}

#[test]
fn the_specs_filter_holds_for_the_program_and_for_execs() {
    let mut bundle = Bundle::sh("mkdir /tmp/x; exec sleep 100");
    bundle.set("/root/readonly", json!(false));
    bundle.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{
            "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
        }],
    });
    bundle.start();
    testkit::eventually("it has tried", || {
        bundle.text("err").contains("Operation not supported")
    });
    assert_eq!(proc::status(bundle.pid(), "Seccomp"), "2");
    let output = bundle.cli("exec ID mkdir /tmp/y");
    assert!(
        output.error().contains("Operation not supported"),
        "{}",
        output.error()
    );
}

#[test]
fn rights_are_those_of_the_spec() {
    let bundle = Bundle::sh("sleep 100");
    bundle.start();
    let pid = bundle.pid();
    assert_eq!(proc::status(pid, "CapBnd"), "0000000020000420");
    assert_eq!(proc::status(pid, "CapEff"), "0000000020000420");
    assert_eq!(proc::status(pid, "NoNewPrivs"), "1");
    let root = bundle.cli("exec ID touch /file");
    assert!(
        root.error().contains("Read-only file system"),
        "{}",
        root.error()
    );
}
