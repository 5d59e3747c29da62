//! Descriptors and working folders that lead out (CVE-2024-21626): none is left open, and none is entered.

use rustix::fs::{Mode, OFlags};
use testkit::image::Image;
use testkit::{Bundle, Container};

use super::support::{Secret, load};

/// The descriptors of a process as the host sees them, except for what its program opened itself.
fn held(pid: i32) -> Vec<String> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let mut names: Vec<String> = folder
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn check(pid: i32) {
    assert_eq!(held(pid), ["0", "1", "2"]);
    // The kernel shows a folder of another root with all of its path; inside it must start at the container's root.
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs");
    assert_eq!(cwd.to_str(), Some("/"), "{cwd:?}");
}

/// The pid on the host of a program in a container.
fn pid_of(container: &Container<'_>, program: &str) -> i32 {
    let mut found = None;
    testkit::eventually(&format!("{program} runs"), || {
        let group = testkit::cgroup::folder(container.pid(), "pids");
        let pids = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        found = pids.lines().filter_map(|pid| pid.parse().ok()).find(|pid| {
            let line = testkit::proc::read(*pid, "cmdline").unwrap_or_default();
            line.starts_with(program)
        });
        found.is_some()
    });
    found.expect("it was just found")
}

#[test]
fn run_and_exec_leave_only_the_three_standard_descriptors() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    check(container.pid());
    engine.ok(&format!("exec -d {} sleep 71", container.id()));
    check(pid_of(&container, "sleep\x0071"));
    let reaped = engine.run("--init busybox sleep 60");
    assert_eq!(held(reaped.pid()), ["0", "1", "2"]);
    check(pid_of(&reaped, "sleep\x0060"));
    engine.ok("run -dt --name terminal busybox sleep 60");
    engine.ok("exec -dt terminal sleep 72");
    let terminal = Container::new(&engine, "terminal".to_owned());
    check(terminal.pid());
    check(pid_of(&terminal, "sleep\x0072"));
}

#[test]
fn what_the_starter_of_engine_or_runtime_left_open_does_not_reach_a_container() {
    // Close-on-exec it is not, so the engine inherits it, and whatever else is started now.
    let leak = rustix::fs::open("/", OFlags::RDONLY, Mode::empty()).expect("a folder");
    let engine = testkit::engine();
    let bundle = Bundle::sh("ls -l /proc/self/fd | grep -c -e '-> /$'");
    let runtime = bundle.runtime(&format!("run {}", bundle.id));
    let ran = testkit::command::run(&mut { runtime }, &[]);
    drop(leak);
    check(engine.run("busybox sleep 60").pid());
    // `ls` itself opens the folder that it lists.
    assert_eq!(ran.text(), "0", "{}", ran.error());
}

#[test]
fn a_working_folder_that_is_a_descriptor_is_refused() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let up = format!("../../../../../../../../..{}", secret.path().display());
    let container = engine.run("--name box busybox sleep 600");
    for number in 3..40 {
        let folder = format!("/proc/self/fd/{number}");
        for line in [
            format!("run --rm -w {folder} busybox cat {up}"),
            format!("exec -w {folder} box cat {up}"),
            format!("exec -w {folder}/.. box cat {up}"),
        ] {
            let output = engine.cli(&line).run();
            assert_ne!(output.code, 0, "{line}: {}", output.text());
            secret.is_safe_from(&output.text());
        }
    }
    assert_eq!(held(container.pid()), ["0", "1", "2"]);
}

#[test]
fn a_link_of_the_image_to_a_descriptor_is_no_working_folder() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let up = format!("../../../../../../../../..{}", secret.path().display());
    for number in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 20] {
        let layer = testkit::tar::Archive::new().with(
            &testkit::tar::Header::symlink("work", &format!("/proc/self/fd/{number}")),
            &[],
        );
        let image = Image::new("sly:1")
            .layer(layer.finish())
            .config("WorkingDir", "/work".into());
        load(&engine, &image);
        let output = engine.cli(&format!("run --rm sly:1 cat {up}")).run();
        assert_ne!(output.code, 0, "{number}: {}", output.text());
        secret.is_safe_from(&output.text());
    }
    // An exec has others open than a run.
    let container = engine.run("--name box busybox sleep 600");
    for number in 3..40 {
        container.exec(&format!("ln -sfn /proc/self/fd/{number} /work"));
        let output = engine.cli(&format!("exec -w /work box cat {up}")).run();
        assert_ne!(output.code, 0, "{number}: {}", output.text());
        secret.is_safe_from(&output.text());
    }
}
