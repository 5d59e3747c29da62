//! Seccomp: the default profile, profiles of one's own, and none.

use testkit::proc;

#[test]
fn every_process_is_filtered_by_default() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    assert_eq!(container.status("Seccomp"), "2");
    assert_eq!(container.status("Seccomp_filters"), "1");
    assert!(
        container
            .exec("grep Seccomp: /proc/self/status")
            .ends_with('2')
    );
}

#[test]
fn the_default_profile_refuses_new_namespaces() {
    let engine = testkit::engine();
    let unshare = "busybox unshare -U true";
    let error = engine.fails(1, &format!("run --rm {unshare}"));
    assert!(error.contains("Operation not permitted"), "{error}");
    engine.ok(&format!(
        "run --rm --security-opt seccomp=unconfined {unshare}"
    ));
}

#[test]
fn unconfined_and_privileged_are_not_filtered() {
    if testkit::Engine::is_peer() && !testkit::grants_all_capabilities() {
        return testkit::skip("the peer asks for capabilities that this machine does not grant");
    }
    let engine = testkit::engine();
    for options in ["--security-opt seccomp=unconfined", "--privileged"] {
        let container = engine.run(&format!("{options} busybox sleep 60"));
        assert_eq!(container.status("Seccomp"), "0", "{options}");
    }
}

#[test]
fn a_profile_of_ones_own_is_obeyed() {
    let engine = testkit::engine();
    let profile = engine.root().join("profile.json");
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":5},
        {"names":["chmod","fchmodat"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;
    std::fs::write(&profile, json).expect("a file of ours");
    let option = format!("--security-opt seccomp={}", profile.display());
    let error = engine.fails(1, &format!("run --rm {option} busybox mkdir /x"));
    assert!(
        error.contains("I/O error") || error.contains("Input/output error"),
        "{error}"
    );
    engine.fails(
        128 + 31,
        &format!("run --rm {option} busybox chmod 1 /bin/busybox"),
    );
    engine.ok(&format!("run --rm {option} busybox true"));
}

#[test]
fn a_broken_profile_is_refused() {
    let engine = testkit::engine();
    let profile = engine.root().join("profile.json");
    std::fs::write(&profile, "{ not json").expect("a file of ours");
    engine.fails(
        125,
        &format!(
            "run --security-opt seccomp={} busybox true",
            profile.display()
        ),
    );
    engine.fails(125, "run --security-opt seccomp=/no/such/file busybox true");
    engine.fails(125, "run --security-opt nonsense=1 busybox true");
}

#[test]
fn no_new_privileges_is_set_when_asked_for() {
    let engine = testkit::engine();
    let container = engine.run("--security-opt no-new-privileges busybox sleep 60");
    assert_eq!(proc::status(container.pid(), "NoNewPrivs"), "1");
    let plain = engine.run("busybox sleep 60");
    assert_eq!(proc::status(plain.pid(), "NoNewPrivs"), "0");
}
