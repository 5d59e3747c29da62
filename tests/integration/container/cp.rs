//! `cp`, `diff`, `export`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use testkit::command;

#[test]
fn files_and_folders_go_in_and_out_with_their_modes() {
    let engine = testkit::engine();
    let container = engine.run("--name box busybox sleep 60");
    let here = engine.root().join("files");
    std::fs::create_dir_all(here.join("tree/inner")).expect("a folder of ours");
    std::fs::write(here.join("tree/inner/script"), "#!/bin/sh\n").expect("a file of ours");
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(here.join("tree/inner/script"), mode).expect("a file of ours");

    engine.ok(&format!("cp {}/tree box:/in", here.display()));
    assert_eq!(container.exec("stat -c %a /in/inner/script"), "750");
    engine.ok(&format!("cp box:/in {}/out", here.display()));
    let out = here.join("out/inner/script");
    assert_eq!(
        std::fs::metadata(&out).expect("it came back").mode() & 0o777,
        0o750
    );

    engine.ok(&format!(
        "cp {}/tree/. box:/in/existing-not",
        here.display()
    ));
    assert_eq!(container.exec("ls /in/existing-not"), "inner");
    engine.ok(&format!(
        "cp {}/tree/inner/script box:/renamed",
        here.display()
    ));
    assert_eq!(container.exec("cat /renamed"), "#!/bin/sh");
}

#[test]
fn a_stream_of_tar_goes_through_standard_input_and_output() {
    let engine = testkit::engine();
    drop(engine.run("--name box busybox sh -c 'echo inside > /note; sleep 60'"));
    let tar = engine.cli("cp box:/etc/passwd -").run();
    assert_eq!(tar.code, 0);
    let listing = command::run(
        std::process::Command::new("tar").arg("-tf").arg("-"),
        &tar.stdout,
    );
    assert_eq!(listing.text(), "passwd");
    engine
        .cli("cp - box:/tmp")
        .with_input(&tar.stdout)
        .success();
    assert!(
        engine
            .ok("exec box cat /tmp/passwd")
            .starts_with("root:x:0")
    );
}

#[test]
fn a_link_in_the_container_never_leads_out_of_it() {
    let engine = testkit::engine();
    let secret = engine.root().join("secret");
    std::fs::write(&secret, "host").expect("a file of ours");
    let script = format!(
        "ln -s {} /escape; ln -s / /tmp/up; echo ready; sleep 60",
        secret.display()
    );
    let ran = engine
        .cli_words(["run", "-d", "--name", "sly", "busybox", "sh", "-c", &script])
        .run();
    ran.success();
    testkit::eventually("it is ready", || engine.ok("logs sly") == "ready");
    let out = engine.root().join("got");
    drop(
        engine
            .cli(&format!("cp -L sly:/escape {}", out.display()))
            .run(),
    );
    assert!(!out.exists() || std::fs::read_to_string(&out).expect("a file") != "host");
    let planted = engine.root().join("plant");
    std::fs::write(&planted, "planted").expect("a file of ours");
    drop(
        engine
            .cli(&format!("cp {} sly:/escape", planted.display()))
            .run(),
    );
    assert_eq!(std::fs::read_to_string(&secret).expect("ours"), "host");
    engine.ok(&format!("cp {} sly:/tmp/up/etc/planted", planted.display()));
    assert_eq!(engine.ok("exec sly cat /etc/planted"), "planted");
    assert!(!std::path::Path::new("/etc/planted").exists());
}

#[test]
fn a_stopped_container_can_be_copied_from() {
    let engine = testkit::engine();
    engine.ok("run --name done busybox sh -c 'echo left > /result'");
    let to = engine.root().join("result");
    engine.ok(&format!("cp done:/result {}", to.display()));
    assert_eq!(std::fs::read_to_string(to).expect("it came"), "left\n");
    let error = engine.fails(1, &format!("cp done:/nothing {}", engine.root().display()));
    assert!(error.contains("/nothing"), "{error}");
}

#[test]
fn cp_reaches_into_volumes() {
    let engine = testkit::engine();
    drop(
        engine
            .run("--name box -v data:/data busybox sh -c 'echo v > /data/f; echo ready; sleep 60'"),
    );
    testkit::eventually("it is ready", || engine.ok("logs box") == "ready");
    let to = engine.root().join("f");
    engine.ok(&format!("cp box:/data/f {}", to.display()));
    assert_eq!(std::fs::read_to_string(to).expect("it came"), "v\n");
}

#[test]
fn diff_tells_what_was_added_changed_and_deleted() {
    let engine = testkit::engine();
    let container = engine.run("busybox sh -c 'echo x > /added; echo y >> /etc/passwd; rm /etc/group; mkdir /folder; touch /folder/f'");
    container.wait();
    let diff = engine.ok(&format!("diff {}", container.id()));
    let mut lines: Vec<&str> = diff.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "A /added",
            "A /folder",
            "A /folder/f",
            "C /etc",
            "C /etc/passwd",
            "D /etc/group"
        ]
    );
}

#[test]
fn export_is_the_whole_file_system() {
    let engine = testkit::engine();
    engine.ok("run --name full busybox sh -c 'echo here > /added; rm /etc/group'");
    let tar = engine.cli("export full").run();
    assert_eq!(tar.code, 0);
    let listing = command::run(
        std::process::Command::new("tar").arg("-tf").arg("-"),
        &tar.stdout,
    )
    .text();
    let has = |name: &str| {
        listing
            .lines()
            .any(|line| line.trim_start_matches("./") == name)
    };
    assert!(
        has("added") && has("bin/busybox") && !has("etc/group"),
        "{listing}"
    );
}
