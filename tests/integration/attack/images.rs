//! Images with a hostile config (CVE-2026-53488 and its kin): words of theirs are never paths or commands of ours.

use serde_json::{Value, json};
use testkit::image::Image;
use testkit::{Engine, ms};

use super::support::{Secret, load, soon};

fn image() -> Image {
    Image::new("evil:1")
}

/// Loads and runs it; nothing but a refusal or a container comes of it.
#[track_caller]
fn check(engine: &Engine, secret: &Secret, image: &Image, line: &str) -> testkit::Output {
    let loaded = engine.cli("load").with_input(&image.docker_archive());
    if loaded.code != 0 {
        return loaded;
    }
    let output = soon(ms(20_000), line, || engine.cli(line).run());
    secret.is_safe_from(&(output.text() + &output.error()));
    assert_eq!(engine.ok("ps -q"), "", "nothing runs on");
    output
}

#[test]
fn labels_and_annotations_steer_nothing() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let mark = engine.root().join("executed");
    let script = format!("binary:///bin/sh?-c=touch {}", mark.display());
    let labels = json!({
        "io.containerd.runtime.log": script,
        "log-driver": script,
        "org.opencontainers.image.ref.name": "../../../../etc",
        "cdi.k8s.io/all": "vendor.com/gpu=all",
        "com.docker.compose.project.working_dir": secret.folder(),
        "run.oci.hooks.stderr": mark,
        "a".repeat(100_000): "b".repeat(100_000),
        "": "",
        "new\nline": "\u{1b}]0;owned\u{7}",
    });
    let output = check(
        &engine,
        &secret,
        &image().config("Labels", labels),
        "run --rm evil:1 true",
    );
    assert!(
        output.code == 0 || output.code == 125 || output.code == 1,
        "{}",
        output.error()
    );
    assert!(!mark.exists());
}

#[test]
fn volumes_of_the_image_are_places_in_the_container() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let host = secret.folder().display().to_string();
    for path in [
        "../../etc",
        "../../../../../../etc",
        "/../../../../etc",
        "/",
        "",
        ".",
        "//",
        "relative",
        "/a:/b",
        "/a:ro",
        &host,
        "/proc/self/fd/3",
        "/x\ny",
        "/\u{202e}",
        &"/long".repeat(2000),
        "data",
        "/dev/null",
        "/etc/passwd",
    ] {
        let image = image().config("Volumes", json!({path: {}}));
        check(&engine, &secret, &image, "run --rm evil:1 ls -A / /etc");
        engine.remove_all_containers();
    }
    assert_eq!(engine.ok("volume ls -q"), "");
}

#[test]
fn absurd_configs_are_refused_or_run() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let victim = secret.path().display().to_string();
    let configs: [(&str, Value); 24] = [
        ("WorkingDir", "../../../..".into()),
        ("WorkingDir", "relative".into()),
        ("WorkingDir", "/proc/self/fd/7".into()),
        ("WorkingDir", "/proc/1/root/..".into()),
        ("WorkingDir", "/etc/passwd".into()),
        ("WorkingDir", "/a\u{0}b".into()),
        ("WorkingDir", "/deep".repeat(1000).into()),
        ("User", "../../etc/passwd".into()),
        ("User", "0:0:0".into()),
        ("User", "-1".into()),
        ("User", "4294967295".into()),
        ("User", "root\nroot".into()),
        ("User", "x".repeat(100_000).into()),
        (
            "Env",
            json!([
                "LD_PRELOAD=/evil.so",
                "PATH=",
                "=x",
                "",
                "A\u{0}B=1",
                "HOME=../.."
            ]),
        ),
        ("Env", json!(vec!["X=".to_owned() + &"y".repeat(1000); 500])),
        ("Env", json!(["X=".to_owned() + &"y".repeat(200_000)])),
        ("Entrypoint", json!(["/proc/self/exe", "daemon"])),
        (
            "Entrypoint",
            json!([format!("../../../../../../..{victim}")]),
        ),
        ("Entrypoint", json!([""])),
        ("Entrypoint", json!("a string")),
        ("StopSignal", "../../x".into()),
        (
            "Healthcheck",
            json!({"Test": ["CMD", "../../x"], "Interval": -1, "Retries": -5, "Timeout": i64::MAX}),
        ),
        ("ExposedPorts", json!({"../../etc": {}, "99999/tcp": {}})),
        ("OnBuild", json!(["RUN evil"])),
    ];
    for (member, value) in configs {
        let image = image().config(member, value);
        check(
            &engine,
            &secret,
            &image,
            // By its path, and by one from the working folder if that were outside.
            &format!("run --rm evil:1 cat {victim} ../../../../../../../../..{victim}"),
        );
        engine.remove_all_containers();
    }
    // It still works for others.
    assert_eq!(engine.ok("run --rm busybox echo well"), "well");
}

#[test]
fn names_of_images_are_no_paths() {
    let engine = testkit::engine();
    for name in [
        "../../etc/passwd:1",
        "/etc/passwd:1",
        "a/../../b:1",
        "..:1",
        "a:../../b",
        "a b:1",
        "UPPER:1",
        "a:",
    ] {
        let image = Image::new(name);
        drop(engine.cli("load").with_input(&image.docker_archive()));
    }
    let listed = engine.ok("images --format '{{.Repository}}:{{.Tag}}'");
    assert!(!listed.contains(".."), "{listed}");
    assert!(!listed.contains("/etc/"), "{listed}");
    load(&engine, &Image::new("good:1"));
    assert!(engine.ok("images -q good").len() >= 12);
}
