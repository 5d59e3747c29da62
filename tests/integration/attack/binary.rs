//! The host's binary through `/proc/self/exe` (CVE-2019-5736): it can be seen by those who may trace, never written.

use std::os::unix::fs::MetadataExt;

use testkit::engine::binary;
use testkit::{Engine, image};

/// What must not change of the binary: number, size, time of change, content.
fn state() -> (u64, u64, i64, String) {
    let meta = std::fs::metadata(binary()).expect("the binary is there");
    let bytes = std::fs::read(binary()).expect("the binary can be read");
    (
        meta.ino(),
        meta.size(),
        meta.ctime_nsec(),
        image::digest(&bytes),
    )
}

#[test]
fn the_init_of_ours_in_the_container_is_a_file_that_nobody_can_write() {
    if Engine::is_peer() {
        return testkit::skip("the peer's init is a program of its own");
    }
    let engine = testkit::engine();
    let before = state();
    let container = engine.run("--init --cap-add SYS_PTRACE busybox sleep 60");
    // It is the very binary: otherwise this story would prove nothing.
    let seen = container.exec("sh -c 'sha256sum < /proc/1/exe'");
    let digest = seen.split(' ').next().expect("a digest");
    assert_eq!(format!("sha256:{digest}"), before.3);
    // "Text file busy" would only mean that the attacker has to wait.
    for way in [
        ": > /proc/1/exe",
        ": >> /proc/1/exe",
        "chmod 777 /proc/1/exe",
    ] {
        let error = engine
            .cli_words(["exec", container.id(), "sh", "-c", way])
            .run();
        assert_ne!(error.code, 0, "{way}");
        let words = error.error();
        assert!(
            words.contains("Read-only file system") || way.contains(">>"),
            "{way}: {words}"
        );
    }
    assert_eq!(state(), before);
}

#[test]
fn a_program_that_is_our_own_binary_in_disguise_cannot_be_written_either() {
    let engine = testkit::engine();
    let before = state();
    // A program that runs cannot be written, only later; its mode can be changed at once.
    let script = "while :; do for exe in /proc/[0-9]*/exe; do echo -n > $exe; chmod 4777 $exe; done; done 2> /dev/null";
    let container = engine.cli_words([
        "run",
        "-d",
        "--name",
        "sly",
        "--cap-add",
        "SYS_PTRACE",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    container.run().success();
    // As the program of a run, of an exec, and as an interpreter.
    for _ in 0..5 {
        drop(engine.cli("exec sly /proc/self/exe version").run());
        drop(
            engine
                .cli("run --rm --pid container:sly busybox /proc/self/exe version")
                .run(),
        );
    }
    assert_eq!(
        engine.inspect("sly")["State"]["Running"],
        true,
        "the attacker is at work"
    );
    engine.ok("exec sly sh -c 'printf \"#!/proc/self/exe\\n\" > /bin/trap; chmod 755 /bin/trap'");
    for _ in 0..5 {
        drop(engine.cli("exec sly /bin/trap").run());
    }
    assert_eq!(state(), before);
    assert_eq!(engine.ok("run --rm busybox echo well"), "well");
}

#[test]
fn spawner_and_shims_run_from_a_mount_that_no_namespace_has() {
    if Engine::is_peer() {
        return testkit::skip("the peer is built otherwise");
    }
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let shim: i32 = testkit::proc::status(container.pid(), "PPid")
        .parse()
        .expect("a pid");
    let error = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(format!("/proc/{shim}/exe"))
        .expect_err("it cannot be written");
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::ReadOnlyFilesystem,
        "{error}"
    );
}
