//! Subpaths of volumes: what was looked up once can be something else when it is mounted.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use testkit::Engine;

use super::support::{Secret, for_seconds, meanwhile};

fn volume(engine: &Engine) -> PathBuf {
    engine.ok("volume create shared");
    let text = engine.ok("volume inspect shared");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    PathBuf::from(value[0]["Mountpoint"].as_str().expect("a path"))
}

fn skipped() -> bool {
    if Engine::is_peer() {
        testkit::skip("the peer of this age knows no subpaths");
    }
    Engine::is_peer()
}

#[test]
fn a_subpath_that_leads_out_is_refused() {
    if skipped() {
        return;
    }
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let shared = volume(&engine);
    symlink(secret.folder(), shared.join("absolute")).expect("ours");
    symlink("../../../../host-only", shared.join("relative")).expect("ours");
    symlink("/proc/1/root", shared.join("magic")).expect("ours");
    for subpath in [
        "absolute",
        "relative",
        "magic",
        "..",
        "../..",
        "/etc",
        "a/../..",
        "absolute/.",
    ] {
        let line = format!(
            "run --rm --mount type=volume,src=shared,dst=/d,volume-subpath={subpath} busybox cat /d/secret"
        );
        let output = engine.cli(&line).run();
        assert_ne!(output.code, 0, "{subpath}: {}", output.text());
        secret.is_safe_from(&output.text());
    }
}

#[test]
fn a_subpath_that_became_a_link_after_its_container_was_made_is_not_followed() {
    if skipped() {
        return;
    }
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let shared = volume(&engine);
    std::fs::create_dir_all(shared.join("data/deep")).expect("ours");
    engine.ok("create --name victim --mount type=volume,src=shared,dst=/d,volume-subpath=data/deep busybox sh -c 'cat /d/secret; touch /d/planted'");
    // Both the last part and one on the way.
    for (gone, link) in [("data/deep", "data/deep"), ("data", "data")] {
        std::fs::remove_dir_all(shared.join(gone)).ok();
        drop(std::fs::remove_file(shared.join(gone)));
        let target = if link == "data" {
            engine.root().to_path_buf()
        } else {
            secret.folder().to_path_buf()
        };
        if link == "data" {
            std::fs::create_dir_all(engine.root().join("deep")).expect("ours");
        }
        symlink(target, shared.join(link)).expect("ours");
        let output = engine.cli("start -a victim").run();
        assert_ne!(output.code, 0, "{}", output.text());
        secret.is_safe_from(&output.text());
        assert!(!engine.root().join("deep/planted").exists());
    }
}

#[test]
fn a_subpath_exchanged_while_containers_start_never_shows_the_host() {
    if skipped() {
        return;
    }
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let shared = volume(&engine);
    let (real, link) = (shared.join("data"), shared.join("link"));
    std::fs::create_dir_all(&real).expect("ours");
    symlink(secret.folder(), &link).expect("ours");
    meanwhile(
        || {
            let _busy = renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE);
        },
        || {
            for_seconds(5, || {
                let line = "run --rm --mount type=volume,src=shared,dst=/d,volume-subpath=data busybox sh -c 'cat /d/secret; touch /d/planted'";
                let output = engine.cli(line).run();
                secret.is_safe_from(&output.text());
            });
        },
    );
}
