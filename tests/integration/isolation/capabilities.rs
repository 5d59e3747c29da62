//! Capabilities: Docker's fourteen, more or fewer where asked, never more than the host grants.

use testkit::{Container, proc};

/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod,
/// audit_write, setfcap.
const DEFAULT: &str = "00000000a80425fb";

fn sets(container: &Container<'_>) -> [String; 5] {
    let pid = container.pid();
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|field| proc::status(pid, field))
}

#[test]
fn root_has_dockers_default_set_and_nothing_is_inherited() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let none = "0000000000000000";
    assert_eq!(sets(&container), [none, DEFAULT, DEFAULT, DEFAULT, none]);
}

#[test]
fn another_user_has_none_but_keeps_the_bound() {
    let engine = testkit::engine();
    let container = engine.run("-u guest busybox sleep 60");
    let none = "0000000000000000";
    let [_, permitted, effective, bound, ambient] = sets(&container);
    assert_eq!(
        [permitted, effective, bound, ambient],
        [none, none, DEFAULT, none]
    );
}

#[test]
fn adding_and_dropping_change_the_set() {
    let engine = testkit::engine();
    let bound = |options: &str| {
        let container = engine.run(&format!("{options} busybox sleep 60"));
        u64::from_str_radix(&container.status("CapBnd"), 16).expect("hexadecimal")
    };
    let default = u64::from_str_radix(DEFAULT, 16).expect("hexadecimal");
    assert_eq!(bound("--cap-add SYS_ADMIN"), default | 1 << 21);
    assert_eq!(
        bound("--cap-add CAP_NET_ADMIN --cap-drop MKNOD"),
        (default | 1 << 12) & !(1 << 27)
    );
    assert_eq!(bound("--cap-drop ALL --cap-add chown"), 1);
    assert_eq!(bound("--cap-drop all"), 0);
    engine.fails(125, "run --rm --cap-add NO_SUCH busybox true");
}

#[test]
fn privileged_and_all_give_what_this_machine_grants() {
    if testkit::Engine::is_peer() && !testkit::grants_all_capabilities() {
        return testkit::skip("the peer asks for capabilities that this machine does not grant");
    }
    let engine = testkit::engine();
    let granted = proc::status(std::process::id().cast_signed(), "CapBnd");
    for options in ["--privileged", "--cap-add ALL"] {
        let container = engine.run(&format!("{options} busybox sleep 60"));
        assert_eq!(container.status("CapEff"), granted, "{options}");
    }
}

#[test]
fn without_the_capability_the_kernel_refuses() {
    let engine = testkit::engine();
    let chown = "busybox sh -c 'touch /f && chown 1 /f'";
    engine.ok(&format!("run --rm {chown}"));
    let error = engine.fails(1, &format!("run --rm --cap-drop CHOWN {chown}"));
    assert!(error.contains("Operation not permitted"), "{error}");
}
