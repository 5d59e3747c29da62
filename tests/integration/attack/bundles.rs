//! Hostile root file systems under the runtime's own command line, without an engine that puts a /dev of its own first.

use std::process::Command;

use serde_json::json;
use testkit::command::{self, Running};
use testkit::{Bundle, Output, eventually, ms, within};

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

/// What the image has in /dev is its author's choice: another device, or a file that keeps what is thrown away.
#[test]
fn a_node_or_file_of_the_image_does_not_pass_for_a_device() {
    let bundle =
        with_its_own_dev("stat -c %n,%t,%T /dev/null /dev/zero; echo x >/dev/null; cat /dev/null");
    let dev = bundle.folder.join("rootfs/dev");
    std::fs::write(dev.join("null"), "kept\n").expect("a folder of ours");
    // The memory of the machine by the name of zero.
    let mut mknod = Command::new("mknod");
    mknod.arg(dev.join("zero")).args(["c", "1", "1"]);
    command::run(&mut mknod, b"").success();
    assert_eq!(bundle.ok("run ID"), "/dev/null,1,3\n/dev/zero,1,5");
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

/// Runs a command of the runtime on what seems to be another machine: a script has had its way with the mounts before.
fn elsewhere(bundle: &Bundle, script: &str, line: &str) -> Output {
    let runtime = bundle.runtime(line);
    let mut words = Command::new("unshare");
    words
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg(format!("{script}; exec \"$0\" \"$@\""))
        .arg(runtime.get_program())
        .args(runtime.get_args())
        .current_dir(&bundle.folder);
    command::run(&mut words, b"")
}

/// CVE-2025-31133: what lies on masked paths is looked at, wherever it comes from.
#[test]
fn a_null_device_of_the_host_that_is_none_masks_nothing() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let bundle = Bundle::sh("cat /proc/keys; echo end");
    std::fs::write(bundle.folder.join("bait"), "bait\n").expect("a folder of ours");
    let output = elsewhere(
        &bundle,
        "mount --bind bait /dev/null",
        &format!("run {}", bundle.id),
    );
    let error = output.failure(1);
    assert!(error.contains("is not the null device"), "{error}");
}

/// CVE-2025-52881: kernel parameters are written where the container's root has no say. Whoever changes its /proc midway
/// turns them into writes to something else, otherwise.
#[test]
fn a_proc_that_is_bent_midway_does_not_turn_kernel_parameters_away() {
    let mut bundle = Bundle::sh("exec sleep 100");
    bundle.set("/root/readonly", json!(false));
    bundle.spec["linux"]["sysctl"] = json!({ "kernel.msgmax": "4321" });
    let bait = bundle.folder.join("rootfs/bait");
    std::fs::write(&bait, "bait").expect("a folder of ours");
    // Its own mount namespace entered anew, a hook stands in the container's root.
    let script = "mount -o bind /bait /proc/sys/kernel/msgmax";
    let words = json!([
        "nsenter",
        "--mount=/proc/self/ns/mnt",
        "/bin/sh",
        "-c",
        script
    ]);
    bundle.spec["hooks"] = json!({ "createContainer": [
        { "path": "/usr/bin/nsenter", "args": words, "env": ["PATH=/bin:/usr/bin"] },
    ] });
    bundle.start();
    assert_eq!(std::fs::read_to_string(&bait).expect("it is there"), "bait");
    assert_eq!(
        bundle.ok("exec ID cat /proc/sys/kernel/msgmax"),
        "bait",
        "the attack took place"
    );
    let mut look = Command::new("nsenter");
    look.arg(format!("--ipc=/proc/{}/ns/ipc", bundle.pid()))
        .args(["cat", "/proc/sys/kernel/msgmax"]);
    assert_eq!(command::run(&mut look, b"").success(), "4321");
}

/// CVE-2019-16884: a label that is written to a file of the container's own confines nobody.
#[test]
fn a_label_is_not_written_to_what_the_container_has_in_the_place_of_proc() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let mut bundle = Bundle::sh(
        "mount -t tmpfs none /proc && mkdir -p /proc/self/attr/apparmor && : > /proc/self/attr/apparmor/exec && \
         : > /proc/self/attr/exec && : > /ready; exec sleep 100",
    );
    bundle.set("/root/readonly", json!(false));
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(
            &format!("/process/capabilities/{set}"),
            json!(["CAP_SYS_ADMIN"]),
        );
    }
    bundle.start();
    let ready = bundle.folder.join("rootfs/ready");
    eventually("its /proc is none", || ready.exists());
    // To the runtime it looks as if the kernel had AppArmor.
    let output = elsewhere(
        &bundle,
        "mount -t tmpfs none /sys/module; mkdir -p /sys/module/apparmor/parameters; \
         echo Y > /sys/module/apparmor/parameters/enabled",
        &format!("exec --apparmor confined {} echo ran", bundle.id),
    );
    assert_ne!(output.code, 0, "{}", output.text());
    assert!(
        output.error().contains("/proc is not a procfs"),
        "{}",
        output.error()
    );
}

/// The program's `HOME` comes from the image's account file, which may be anything.
#[test]
fn an_account_file_of_any_kind_neither_hangs_nor_fills_the_runtime() {
    let mut bundle = Bundle::sh("echo $HOME");
    bundle.set("/process/env", json!(["PATH=/bin"]));
    let passwd = bundle.folder.join("rootfs/etc/passwd");
    let run = |what: &str| {
        let mut run = Running::start(&mut bundle.runtime(&format!("run {}", bundle.id)));
        within(ms(5000), what, || run.is_over());
        run.finish().success()
    };
    assert_eq!(run("an ordinary one"), "/root");
    std::fs::write(&passwd, "root:x:0:0::/in-a-large-file:/bin/sh\n").expect("a folder of ours");
    assert_eq!(run("another"), "/in-a-large-file");
    let file = std::fs::File::options().write(true).open(&passwd);
    let sparse = file.and_then(|file| file.set_len(64 << 20));
    sparse.expect("a folder of ours");
    assert_eq!(run("a large one"), "/");
    std::fs::remove_file(&passwd).expect("a folder of ours");
    let made = command::run(Command::new("mkfifo").arg(&passwd), b"");
    made.success();
    assert_eq!(run("a FIFO"), "/");
    std::fs::remove_file(&passwd).expect("a folder of ours");
    std::os::unix::fs::symlink("/dev/zero", &passwd).expect("a folder of ours");
    assert_eq!(run("an endless one"), "/");
}
