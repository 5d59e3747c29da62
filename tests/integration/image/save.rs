//! `save`: what others load back.

use testkit::command::run;
use testkit::image::Image;
use testkit::tar::Archive;
use testkit::{Engine, Options};

fn sample() -> Image {
    Image::new("travel:one").layer(Archive::new().file("added", b"by a layer\n").finish())
}

#[test]
fn a_saved_image_is_the_same_when_loaded_elsewhere() {
    let here = testkit::engine();
    let image = sample();
    here.cli("load")
        .with_input(&image.docker_archive())
        .success();
    let saved = here.cli("save travel:one").run();
    assert_eq!(saved.code, 0, "{}", saved.error());
    let there = Engine::start(&Options {
        bare: true,
        ..Options::default()
    });
    there.cli("load").with_input(&saved.stdout).success();
    assert_eq!(there.inspect("travel:one")["Id"], image.id());
    assert_eq!(there.ok("run --rm travel:one cat /added"), "by a layer");
}

#[test]
fn several_images_share_one_archive() {
    let engine = testkit::engine();
    engine
        .cli("load")
        .with_input(&sample().docker_archive())
        .success();
    engine.ok("tag travel:one travel:two");
    let file = engine.root().join("all.tar");
    engine.ok(&format!(
        "save -o {} travel:one travel:two busybox",
        file.display()
    ));
    engine.ok("rmi travel:one travel:two busybox");
    assert_eq!(engine.ok("images -q"), "");
    engine.ok(&format!("load -i {}", file.display()));
    let mut names: Vec<String> = engine
        .ok("images --format '{{.Repository}}:{{.Tag}}'")
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    assert_eq!(names, ["busybox:latest", "travel:one", "travel:two"]);
}

#[test]
fn skopeo_and_podman_read_what_was_saved() {
    let engine = testkit::engine();
    engine
        .cli("load")
        .with_input(&sample().docker_archive())
        .success();
    let file = engine.root().join("saved.tar");
    engine.ok(&format!("save -o {} travel:one", file.display()));
    let source = format!("docker-archive:{}", file.display());
    let told = run(
        std::process::Command::new("skopeo").args(["inspect", "--config", &source]),
        &[],
    )
    .success();
    let config: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().map(Vec::len),
        Some(2)
    );
    if !Engine::is_peer() {
        let source = format!("oci-archive:{}", file.display());
        let told = run(
            std::process::Command::new("skopeo").args(["inspect", "--config", &source]),
            &[],
        )
        .success();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&told).expect("JSON"),
            config
        );
    }
    let storage = engine.root().join("podman");
    let podman = |args: &[&str]| {
        let mut command = std::process::Command::new("podman");
        command
            .arg("--root")
            .arg(storage.join("root"))
            .arg("--runroot")
            .arg(storage.join("run"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        run(command.args(args), &[])
    };
    let said = podman(&["load", "-q", "-i", &file.display().to_string()]).success();
    assert!(said.contains("travel:one"), "{said}");
    let layers = podman(&[
        "image",
        "inspect",
        "--format",
        "{{len .RootFS.Layers}}",
        "travel:one",
    ])
    .success();
    assert_eq!(layers, "2");
}

#[test]
fn an_unknown_image_cannot_be_saved() {
    let engine = testkit::engine();
    let file = engine.root().join("none.tar");
    let error = engine.fails(1, &format!("save -o {} no-such-image", file.display()));
    assert!(error.contains("no-such-image"), "{error}");
    assert!(!file.exists(), "no half file is left");
}
