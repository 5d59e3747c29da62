//! Bind mounts: of folders and files, read-only, and how mounts travel through them.

use testkit::Engine;

fn shared(engine: &Engine) -> String {
    let folder = engine.root().join("shared");
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    std::fs::write(folder.join("f"), "host\n").expect("a file of ours");
    folder.display().to_string()
}

#[test]
fn a_folder_of_the_host_is_the_same_inside() {
    let engine = testkit::engine();
    let folder = shared(&engine);
    assert_eq!(
        engine.ok(&format!(
            "run --rm -v {folder}:/in busybox sh -c 'cat /in/f; echo back > /in/g'"
        )),
        "host"
    );
    assert_eq!(
        std::fs::read_to_string(format!("{folder}/g")).expect("it was written"),
        "back\n"
    );
    assert_eq!(
        engine.ok(&format!(
            "run --rm -v {folder}/f:/etc/motd:ro busybox cat /etc/motd"
        )),
        "host"
    );
    let error = engine.fails(
        1,
        &format!("run --rm -v {folder}:/in:ro busybox touch /in/x"),
    );
    assert!(error.contains("Read-only file system"), "{error}");
}

#[test]
fn mount_says_the_same_in_other_words() {
    let engine = testkit::engine();
    let folder = shared(&engine);
    let run = |mount: &str, command: &str| {
        engine.ok(&format!("run --rm --mount {mount} busybox {command}"))
    };
    assert_eq!(
        run(
            &format!("type=bind,source={folder},target=/in"),
            "cat /in/f"
        ),
        "host"
    );
    engine.fails(
        1,
        &format!("run --rm --mount type=bind,src={folder},dst=/in,readonly busybox touch /in/x"),
    );
    let error = engine.fails(
        125,
        "run --rm --mount type=bind,src=/no/such/folder,dst=/in busybox true",
    );
    assert!(error.contains("bind source path does not exist"), "{error}");
    engine.fails(125, "run --rm --mount type=nonsense,dst=/x busybox true");
    engine.fails(125, "run --rm --mount type=bind,dst=/x busybox true");
}

#[test]
fn v_makes_a_missing_folder_and_refuses_relative_targets() {
    let engine = testkit::engine();
    let missing = engine.root().join("made/for/you");
    engine.ok(&format!(
        "run --rm -v {}:/in busybox true",
        missing.display()
    ));
    assert!(missing.is_dir());
    engine.fails(125, "run --rm -v /tmp:relative busybox true");
    engine.fails(125, "run --rm -v /tmp:/x:nonsense busybox true");
    engine.fails(125, "run --rm -v /tmp:/ busybox true");
}

#[test]
fn propagation_is_private_by_default_and_shared_when_asked() {
    let engine = testkit::engine();
    let folder = shared(&engine);
    let container = engine.run(&format!("-v {folder}:/in busybox sleep 60"));
    let info = container.exec("cat /proc/self/mountinfo");
    let line = info
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/in"))
        .expect("the mount is there");
    assert!(
        !line.contains("shared:") && !line.contains("master:"),
        "{line}"
    );
    engine.ok(&format!(
        "run --rm --mount type=bind,src={folder},dst=/in,bind-propagation=rprivate busybox true"
    ));
    engine.fails(
        125,
        &format!("run --rm -v {folder}:/in:sideways busybox true"),
    );
}

#[test]
fn mounts_below_come_along() {
    let engine = testkit::engine();
    let folder = shared(&engine);
    let below = format!("{folder}/below");
    std::fs::create_dir_all(&below).expect("a folder of ours");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "none", &below])
        .status();
    assert!(mounted.expect("mount is installed").success());
    std::fs::write(format!("{below}/deep"), "deep\n").expect("a file of ours");
    let text = engine
        .cli(&format!(
            "run --rm -v {folder}:/in:ro busybox cat /in/below/deep"
        ))
        .run();
    let unmounted = std::process::Command::new("umount").arg(&below).status();
    assert!(unmounted.expect("umount is installed").success());
    assert_eq!(text.success(), "deep");
}

#[test]
fn a_link_in_the_image_cannot_redirect_a_mount() {
    let engine = testkit::engine();
    let target = engine.root().join("elsewhere");
    std::fs::create_dir_all(&target).expect("a folder of ours");
    let script = format!("ln -s {} /trap", target.display());
    engine
        .cli_words(["run", "--name", "maker", "busybox", "sh", "-c", &script])
        .run()
        .success();
    engine.ok("commit maker trapped");
    engine.ok("run --rm -v data:/trap/inner trapped sh -c 'echo x > /trap/inner/f'");
    assert!(
        std::fs::read_dir(&target).expect("ours").next().is_none(),
        "nothing was made on the host"
    );
}

#[test]
fn a_subpath_of_a_volume_is_mounted_alone() {
    if Engine::is_peer() {
        return testkit::skip("the peer of this age knows no subpaths");
    }
    let engine = testkit::engine();
    engine.ok("run --rm -v store:/data busybox sh -c 'mkdir -p /data/a/b; echo x > /data/a/b/f; ln -s / /data/out'");
    let mount = |subpath: &str| {
        format!(
            "run --rm --mount type=volume,src=store,dst=/in,volume-subpath={subpath} busybox ls /in"
        )
    };
    assert_eq!(engine.ok(&mount("a/b")), "f");
    // Docker's clients take every refusal with these words for a missing program.
    engine.fails(127, &mount("missing"));
    engine.fails(125, &mount("../.."));
    engine.fails(125, &mount("out/etc"));
}
