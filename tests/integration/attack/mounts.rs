//! Mount targets exchanged for links while they are mounted on (CVE-2021-30465, CVE-2024-45310, CVE-2015-3629).

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use testkit::Engine;

use super::support::{Secret, for_seconds, meanwhile};

/// The volume as the host reaches it; a neighbour of the story's containers writes in it as fast as the machine can.
fn volume(engine: &Engine, name: &str) -> PathBuf {
    engine.ok(&format!("volume create {name}"));
    let text = engine.ok(&format!("volume inspect {name}"));
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    PathBuf::from(value[0]["Mountpoint"].as_str().expect("a path"))
}

fn exchange(one: &PathBuf, other: &PathBuf) {
    // A name may be in use as a mount point for this very moment.
    let _busy = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
}

#[test]
fn a_target_that_turns_into_a_link_is_mounted_on_inside_or_not_at_all() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let shared = volume(&engine, "shared");
    let (real, link) = (shared.join("target"), shared.join("link"));
    std::fs::create_dir_all(real.join("deep")).expect("ours");
    symlink(secret.folder(), &link).expect("ours");
    // What would be mounted on the host shows in its own table, and what would be made there in the folder.
    let mounted = || {
        let info = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
        info.lines()
            .filter(|line| line.contains("host-only"))
            .count()
    };
    meanwhile(
        || exchange(&real, &link),
        || {
            for_seconds(5, || {
                let script = "cat /v/target/secret /v/link/secret; touch /v/target/planted; \
                              grep -cE ' /v/|host-only' /proc/self/mountinfo";
                let run = [
                    "run",
                    "--rm",
                    "-v",
                    "shared:/v",
                    "-v",
                    "fresh:/v/target",
                    "busybox",
                    "sh",
                    "-c",
                    script,
                ];
                let output = engine.cli_words(run).run();
                secret.is_safe_from(&(output.text() + &output.error()));
                // Wherever it landed, it is below the container's root: a mount on the host's folder would be missing.
                let is_refused = output.error().contains("unable to start container process");
                assert!(
                    is_refused || output.text().ends_with('1'),
                    "{}",
                    output.text()
                );
                assert_eq!(mounted(), 0, "mounted on the host");
            });
        },
    );
}

#[test]
fn a_neighbour_that_exchanges_proc_or_dev_in_a_shared_root_gains_nothing() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let shared = volume(&engine, "shared");
    let (real, link) = (shared.join("dev"), shared.join("link"));
    std::fs::create_dir_all(&real).expect("ours");
    symlink(secret.folder(), &link).expect("ours");
    // A volume in the place of /dev: nodes, links, console and devpts are made in what a neighbour writes to.
    meanwhile(
        || exchange(&real, &link),
        || {
            for_seconds(4, || {
                let line = "run --rm -t -v shared:/v -v shared:/dev --device /dev/null:/v/dev/node busybox sh -c 'cat /dev/secret /v/dev/secret'";
                let output = engine.cli(line).run();
                secret.is_safe_from(&output.text());
            });
        },
    );
}

#[test]
fn a_working_folder_that_turns_into_a_link_is_made_and_entered_inside() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let shared = volume(&engine, "shared");
    let (real, link) = (shared.join("a"), shared.join("b"));
    std::fs::create_dir_all(&real).expect("ours");
    symlink(secret.folder(), &link).expect("ours");
    meanwhile(
        || exchange(&real, &link),
        || {
            for_seconds(4, || {
                let output = engine.cli("run --rm -v shared:/v -w /v/a/x/y busybox sh -c 'cat secret ../../secret; touch here'").run();
                secret.is_safe_from(&output.text());
                drop(std::fs::remove_dir_all(real.join("x")));
            });
        },
    );
}
