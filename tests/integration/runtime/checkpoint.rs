//! Checkpoints by criu. Told in full by `tests/vm/run --disk`, on a kernel that criu works with.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{Bundle, eventually, proc};

/// Why criu cannot work here, if it cannot.
fn missing() -> Option<&'static str> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if mounts
        .lines()
        .any(|line| line.contains(" / / ") && line.contains(" - rootfs "))
    {
        return Some("criu cannot restore on an initramfs, which nobody can pivot away from");
    }
    let check = Command::new("criu").arg("check").output();
    match check {
        Err(_) => Some("criu is not installed"),
        Ok(output) if !output.status.success() => Some("criu does not work with this kernel"),
        Ok(_) => None,
    }
}

/// Which network namespace a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Own,
    Joined,
}

/// Where memory is served.
const PORT: u16 = 27_127;

/// A container that counts, in a variable of its shell and in a file.
fn counting(network: Network) -> Bundle {
    let mut bundle = Bundle::sh("i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.2; done");
    bundle.set("/root/readonly", json!(false));
    let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut();
    for namespace in namespaces.expect("a list") {
        if network == Network::Joined && namespace["type"] == "network" {
            namespace["path"] = json!("/proc/1/ns/net");
        }
    }
    let mounts = bundle.spec["mounts"].as_array_mut().expect("a list");
    mounts.push(json!({
        "destination": "/data", "type": "bind", "source": bundle.folder, "options": ["bind"],
    }));
    bundle
}

fn count(bundle: &Bundle) -> u32 {
    let text = bundle.text("rootfs/count");
    text.trim().parse().unwrap_or(0)
}

#[test]
fn without_criu_nothing_happens_to_the_container() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let bundle = Bundle::sh("sleep 100");
    bundle.start();
    let error = bundle.fails(1, "--criu /nowhere/criu checkpoint ID");
    assert!(error.contains("criu is not installed"), "{error}");
    assert_eq!(bundle.state("status"), "running");
}

#[test]
fn a_container_goes_on_where_its_checkpoint_was_made() {
    if let Some(reason) = missing() {
        return testkit::skip(reason);
    }
    // What is in a network namespace criu reads with tools that the machine may not have.
    goes_on(Network::Own, "--empty-ns network");
    goes_on(Network::Joined, "");
}

fn goes_on(network: Network, option: &str) {
    let bundle = counting(network);
    bundle.start();
    let first = bundle.pid();
    eventually("it counts", || count(&bundle) > 5);
    bundle.ok(&format!("checkpoint {option} --image-path images ID"));
    assert!(!proc::is_alive(first));
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    let stopped_at = count(&bundle);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(count(&bundle), stopped_at);

    let restored = bundle.detached(&format!("restore --detach {option} --image-path images ID"));
    assert_eq!(restored, 0, "{}", bundle.text("err"));
    assert_eq!(bundle.state("status"), "running");
    eventually("it goes on counting", || count(&bundle) > stopped_at + 2);
    assert!(count(&bundle) > stopped_at, "it did not begin anew");
    let pid = bundle.pid();
    let namespaces = proc::status(pid, "NSpid");
    assert_eq!(namespaces.split_whitespace().last(), Some("1"));
    let own = proc::namespace(pid, "net") != proc::namespace(1, "net");
    assert_eq!(own, network == Network::Own);
    assert_eq!(proc::status(pid, "CapBnd"), "0000000020000420");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    assert!(groups.contains(&bundle.id), "{groups}");
    let seen = bundle.ok("exec ID ls /data");
    assert!(seen.contains("config.json"), "{seen}");
    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    bundle.ok("delete ID");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_container_may_go_on_and_memory_be_written_before() {
    if let Some(reason) = missing() {
        return testkit::skip(reason);
    }
    let bundle = counting(Network::Joined);
    bundle.start();
    let pid = bundle.pid();
    eventually("it counts", || count(&bundle) > 2);
    bundle.ok("checkpoint --pre-dump --image-path before ID");
    bundle.ok("checkpoint --leave-running --parent-path ../before --image-path images ID");
    let then = count(&bundle);
    eventually("it goes on", || count(&bundle) > then + 2);
    assert_eq!(bundle.pid(), pid);
    let text = std::fs::read_dir(bundle.folder.join("images")).expect("images");
    assert!(
        text.flatten()
            .any(|file| file.file_name() == "inventory.img")
    );
}

#[test]
fn memory_may_be_fetched_while_the_restored_container_runs() {
    if let Some(reason) = missing() {
        return testkit::skip(reason);
    }
    let check = ["check", "--feature", "uffd-noncoop"];
    let check = Command::new("criu").args(check).output();
    if !check.is_ok_and(|output| output.status.success()) {
        return testkit::skip("this kernel's userfaultfd does not do for lazy pages");
    }
    let script = "x=$(seq 1 50000); : >/ready; \
                  while [ ! -e /go ]; do sleep 0.2; done; echo \"$x\" >/seen; sleep 1000";
    let [first, second] = [(), ()].map(|()| {
        let mut bundle = counting(Network::Joined);
        bundle.set("/process/args", json!(["sh", "-c", script]));
        bundle
    });
    first.start();
    eventually("it has its memory", || {
        first.folder.join("rootfs/ready").exists()
    });
    // The root there is as it was here.
    std::fs::write(second.folder.join("rootfs/ready"), "").expect("a folder of ours");
    std::fs::create_dir(second.folder.join("rootfs/data")).expect("a folder of ours");
    let pid = first.pid();

    // The first stays as it is, and says by a byte when its memory can be fetched.
    let line = format!(
        "checkpoint --lazy-pages --status-fd 7 --page-server 127.0.0.1:{PORT} --image-path images {}",
        first.id
    );
    let checkpoint = first.runtime(&line);
    let mut checkpoint = Command::new("sh")
        .args(["-c", "exec \"$@\" 7>status 2>checkpoint.err", "sh"])
        .arg(checkpoint.get_program())
        .args(checkpoint.get_args())
        .current_dir(&first.folder)
        .spawn()
        .expect("a shell is there");
    eventually("a zero byte", || {
        let status = std::fs::read(first.folder.join("status")).unwrap_or_default();
        let error = first.text("checkpoint.err");
        assert!(error.is_empty(), "{error}");
        status == [0]
    });
    assert!(proc::is_alive(pid));
    assert!(checkpoint.try_wait().expect("our child").is_none());

    let images = first.folder.join("images");
    std::fs::create_dir(second.folder.join("work")).expect("a folder of ours");
    let mut pages = Command::new("criu")
        .args(["lazy-pages", "--page-server", "--address", "127.0.0.1"])
        .args(["--port", &PORT.to_string(), "-v4", "--log-file", "lazy.log"])
        .arg("-D")
        .arg(&images)
        .args(["-W", "work"])
        .current_dir(&second.folder)
        .spawn()
        .expect("criu is there");
    eventually("criu waits for a restore", || {
        second.folder.join("work/lazy-pages.socket").exists()
    });
    let line = format!(
        "restore --detach --lazy-pages --work-path work --image-path {} {}",
        images.display(),
        second.id
    );
    let restored = second.detached(&line);
    assert_eq!(restored, 0, "{}", second.text("err"));
    std::fs::write(second.folder.join("rootfs/go"), "").expect("a folder of ours");

    // All of it is fetched sooner or later, and only then the first is gone.
    assert!(pages.wait().expect("our child").success());
    assert!(checkpoint.wait().expect("our child").success());
    assert!(!proc::is_alive(pid));
    assert!(first.leftovers().is_empty(), "{:?}", first.leftovers());
    let numbers: String = (1..=50_000).map(|number| format!("{number}\n")).collect();
    eventually("its memory is right", || {
        second.text("rootfs/seen") == numbers
    });
    assert!(!first.folder.join("rootfs/seen").exists());
    assert_eq!(second.state("status"), "running");
}

#[test]
fn a_status_descriptor_that_cannot_be_written_is_refused() {
    let bundle = Bundle::sh("sleep 100");
    bundle.start();
    let line = format!("checkpoint --lazy-pages --status-fd 7 {}", bundle.id);
    let checkpoint = bundle.runtime(&line);
    for opened in ["7</dev/null", "7>&-"] {
        let output = Command::new("sh")
            .args(["-c", &format!("exec \"$@\" {opened}"), "sh"])
            .arg(checkpoint.get_program())
            .args(checkpoint.get_args())
            .current_dir(&bundle.folder)
            .output()
            .expect("a shell is there");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(error.contains("status-fd"), "{error}");
    }
    assert_eq!(bundle.state("status"), "running");
}

#[test]
fn a_restore_that_fails_says_why_and_leaves_nothing() {
    if let Some(reason) = missing() {
        return testkit::skip(reason);
    }
    let bundle = counting(Network::Joined);
    bundle.start();
    eventually("it counts", || count(&bundle) > 2);
    bundle.ok("checkpoint --image-path images ID");
    std::fs::remove_file(bundle.folder.join("images/pstree.img")).expect("criu wrote it");
    let error = bundle.fails(1, "restore --detach --image-path images ID");
    assert!(error.contains("criu restore failed"), "{error}");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    assert!(bundle.folder.join("rootfs/bin").exists());
}
