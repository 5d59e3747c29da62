//! Bad input: a clear error, the right exit code, and nothing half-made.

use testkit::{Engine, Options};

#[test]
fn an_unknown_image_is_named() {
    let engine = testkit::engine();
    let error = engine.fails(125, "run --pull never no-such-image:tag true");
    assert!(
        error.contains("No such image: no-such-image:tag"),
        "{error}"
    );
    assert_eq!(engine.ok("ps -aq"), "");
}

#[test]
fn unknown_commands_and_options_point_to_help() {
    let engine = testkit::engine();
    let error = engine.fails(1, "no-such-command");
    assert!(
        error.contains("no-such-command") && error.contains("--help"),
        "{error}"
    );
    let error = engine.fails(125, "run --no-such-option busybox");
    assert!(error.contains("unknown flag: --no-such-option"), "{error}");
    engine.fails(1, "rm");
    engine.fails(1, "ps too many words");
}

#[test]
fn a_full_disk_is_told_and_leaves_no_half_image() {
    let small = std::env::temp_dir().join(format!("estiva-small-{}", std::process::id()));
    std::fs::create_dir_all(&small).expect("a folder of ours");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "none"])
        .arg(&small)
        .status();
    assert!(mounted.expect("mount is installed").success());
    let outcome = std::panic::catch_unwind(|| {
        if Engine::is_peer() {
            return testkit::skip("the peer's own files do not fit");
        }
        let engine = Engine::start(&Options {
            bare: true,
            daemon_args: vec!["--data-root".into(), small.display().to_string()],
            ..Default::default()
        });
        let big = testkit::tar::Archive::new()
            .file("fill", &vec![1; 40_000_000])
            .finish();
        let output = engine.cli("import - big").with_input(&big);
        assert_ne!(output.code, 0);
        assert!(
            output
                .error()
                .to_lowercase()
                .contains("no space left on device"),
            "{}",
            output.error()
        );
        assert_eq!(engine.ok("images -aq"), "");
        engine
            .cli("import - busybox")
            .with_input(testkit::rootfs::archive())
            .success();
        let error = engine.fails(
            1,
            "run --rm busybox dd if=/dev/zero of=/fill bs=1M count=100",
        );
        assert!(error.contains("No space left"), "{error}");
        // What the container filled is freed behind its client's back.
        testkit::eventually("there is room again", || {
            engine.cli("run --rm busybox echo well").run().text() == "well"
        });
        assert_eq!(engine.ok("ps -aq"), "");
        a_change_that_did_not_fit_leaves_the_engine_usable(&engine, &small);
    });
    drop(
        std::process::Command::new("umount")
            .arg("-l")
            .arg(&small)
            .status(),
    );
    drop(std::fs::remove_dir(&small));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn a_change_that_did_not_fit_leaves_the_engine_usable(engine: &Engine, small: &std::path::Path) {
    let fill = small.join("filled-by-others");
    let file = std::fs::File::create(&fill).expect("a file of ours");
    let mut block = 1 << 20;
    while block > 0 {
        match std::io::Write::write(&mut &file, &vec![1; block]) {
            Ok(_) => {}
            Err(_) => block /= 2,
        }
    }
    for line in [
        "tag busybox other:1",
        "create --name half busybox true",
        "volume create half",
    ] {
        let error = engine.fails(1, line);
        let next = "The disk is full: 'estiva system df' shows what takes space";
        assert!(error.contains("no space left on device"), "{line}: {error}");
        assert!(
            error.contains(next) || Engine::speaks_docker(),
            "{line}: {error}"
        );
    }
    drop(file);
    std::fs::remove_file(&fill).expect("a file of ours");
    assert_eq!(engine.ok("ps -aq") + &engine.ok("volume ls -q"), "");
    engine.ok("tag busybox other:1");
    engine.ok("volume create half");
    assert_eq!(engine.ok("run --rm --name half other:1 echo well"), "well");
}

#[test]
fn a_client_finds_no_daemon_and_says_where_it_looked() {
    let engine = testkit::engine();
    let output = engine
        .cli("ps")
        .env("DOCKER_HOST", "unix:///no/such/socket")
        .env("ESTIVA_HOST", "unix:///no/such/socket")
        .run();
    let error = output.failure(1);
    assert!(error.contains("/no/such/socket"), "{error}");
}
