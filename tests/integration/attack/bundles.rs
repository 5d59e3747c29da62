//! Hostile root file systems under the runtime's own command line, without an engine that puts a /dev of its own first.

use serde_json::json;
use testkit::Bundle;

/// A bundle whose /dev is the image's.
fn with_its_own_dev(script: &str) -> Bundle {
    let mut bundle = Bundle::sh(script);
    let mounts = bundle.spec["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| {
        let place = mount["destination"].as_str().unwrap_or_default();
        !place.starts_with("/dev")
    });
    bundle.set("/root/readonly", json!(false));
    std::fs::create_dir_all(bundle.folder.join("rootfs/dev")).expect("a folder of ours");
    bundle
}

/// CVE-2025-31133: whoever can exchange the container's /dev/null while the container is being made chooses what lies on
/// the masked paths, if masks come from there.
#[test]
fn a_null_device_that_is_exchanged_midway_masks_nothing() {
    if Bundle::is_peer() {
        return testkit::skip("the peer has the hole");
    }
    let mut bundle = with_its_own_dev("stat -c %t,%T /proc/keys; cat /proc/keys; echo end");
    let dev = bundle.folder.join("rootfs/dev");
    std::fs::write(
        bundle.folder.join("rootfs/bait"),
        "what the attacker wants there\n",
    )
    .expect("a folder of ours");
    let script = format!("rm -f {0}/null; ln -s /bait {0}/null", dev.display());
    // The devices have been made by then, the masks have not.
    bundle.spec["hooks"] = json!({ "createContainer": [
        { "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"] },
    ] });
    let text = bundle.ok("run ID");
    assert!(dev.join("null").is_symlink(), "the attack took place");
    assert_eq!(text, "1,3\nend");
}

#[test]
fn a_masked_path_that_is_a_link_is_refused_rather_than_left_open() {
    if Bundle::is_peer() {
        return testkit::skip("the peer masks where the link leads");
    }
    for (member, word) in [
        ("maskedPaths", "masked paths"),
        ("readonlyPaths", "read-only paths"),
    ] {
        let mut bundle = Bundle::sh("cat /hidden; cat /shown");
        let root = bundle.folder.join("rootfs");
        std::fs::write(root.join("shown"), "secret\n").expect("a folder of ours");
        std::os::unix::fs::symlink("shown", root.join("hidden")).expect("a folder of ours");
        bundle.spec["linux"][member] = json!(["/hidden"]);
        let error = bundle.fails(1, "run ID");
        assert!(
            error.contains("/hidden is a symbolic link"),
            "{word}: {error}"
        );
    }
}

/// CVE-2022-36109: groups of whoever calls the runtime do not come along.
#[test]
fn groups_of_the_caller_are_dropped() {
    let mut bundle = Bundle::sh("id -G");
    bundle.spec["process"]["user"] = json!({ "uid": 7, "gid": 8, "additionalGids": [9] });
    let runtime = bundle.runtime(&format!("run {}", bundle.id));
    let mut words = std::process::Command::new("setpriv");
    words
        .args(["--groups", "0,4242"])
        .arg(runtime.get_program())
        .args(runtime.get_args())
        .current_dir(&bundle.folder);
    let output = testkit::command::run(&mut words, b"");
    assert_eq!(output.success(), "8 9");
}
