//! `images`, `tag`, `rmi`, `history`, `image prune`, `system df`.

use serde_json::Value;
use testkit::image::Image;
use testkit::tar::Archive;

#[test]
fn names_come_and_go_and_the_image_with_the_last() {
    let engine = testkit::engine();
    let id = engine.ok("images -q --no-trunc");
    engine.ok("tag busybox other/name:v2");
    engine.ok("tag busybox localhost:5000/deep/name");
    let names = engine.ok("images --format '{{.Repository}}:{{.Tag}}'");
    for name in [
        "busybox:latest",
        "other/name:v2",
        "localhost:5000/deep/name:latest",
    ] {
        assert!(names.lines().any(|line| line == name), "{names}");
    }
    assert_eq!(engine.ok("images -q --no-trunc").lines().count(), 3);
    let said = engine.ok("rmi other/name:v2");
    assert_eq!(said, "Untagged: other/name:v2");
    engine.ok("rmi localhost:5000/deep/name");
    let said = engine.ok("rmi busybox");
    assert!(said.contains(&format!("Deleted: {id}")), "{said}");
    assert_eq!(engine.ok("images -q"), "");
    let error = engine.fails(1, "rmi busybox");
    assert!(error.contains("No such image: busybox:latest"), "{error}");
}

#[test]
fn an_image_in_use_is_kept() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let error = engine.fails(1, "rmi busybox");
    assert!(
        error.contains("conflict") && error.contains(&container.id()[..12]),
        "{error}"
    );
    engine.ok("rmi -f busybox");
    assert_eq!(container.exec("echo alive"), "alive");
}

#[test]
fn bad_references_are_refused() {
    let engine = testkit::engine();
    for name in ["UPPER", "a:b:c", "-dash", "name:ta g", "x/../y"] {
        let output = engine.cli_words(["tag", "busybox", name]).run();
        assert_ne!(output.code, 0, "{name}");
    }
    let error = engine.fails(125, "run --rm UPPER true");
    assert!(
        error.contains("must be lowercase") || error.contains("invalid reference format"),
        "{error}"
    );
    engine.fails(1, "tag no-such-image other");
}

#[test]
fn history_tells_the_layers() {
    let engine = testkit::engine();
    let image = Image::new("told:1").layer(Archive::new().file("f", &[b'x'; 5000]).finish());
    engine
        .cli("load")
        .with_input(&image.docker_archive())
        .success();
    let text = engine.ok("history --no-trunc --format '{{.CreatedBy}} {{.Size}}' told:1");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "layer 1 5kB");
    assert!(lines[1].starts_with("layer 0 "), "{text}");
    assert_eq!(
        engine.ok("history -q --no-trunc told:1").lines().next(),
        Some(image.id().as_str())
    );
}

#[test]
fn filters_and_formats_choose() {
    let engine = testkit::engine();
    engine.ok("tag busybox keep:1");
    engine.ok("tag busybox keep:2");
    assert_eq!(engine.ok("images keep -q").lines().count(), 2);
    assert_eq!(engine.ok("images keep:2 --format '{{.Tag}}'"), "2");
    assert_eq!(
        engine.ok("images --filter reference='ke*:1' --format '{{.Tag}}'"),
        "1"
    );
    let json: Value =
        serde_json::from_str(&engine.ok("images keep:1 --format json")).expect("one object");
    assert_eq!(json["Repository"], "keep");
    assert_eq!(engine.ok("images --filter dangling=true -q"), "");
}

#[test]
fn prune_removes_what_has_no_name() {
    let engine = testkit::engine();
    let old = engine.ok("images -q --no-trunc busybox");
    engine
        .cli("import - other")
        .with_input(testkit::rootfs::archive())
        .success();
    engine.ok("tag other busybox");
    assert_eq!(
        engine.ok("images --filter dangling=true -q --no-trunc"),
        old
    );
    let said = engine.ok("image prune -f");
    assert!(said.contains(&old), "{said}");
    engine.ok("image prune -a -f");
    assert_eq!(engine.ok("images -aq"), "");
}

#[test]
fn inspect_tells_what_the_image_is() {
    let engine = testkit::engine();
    let image = engine.inspect("busybox");
    assert_eq!(image["Os"], "linux");
    assert_eq!(image["RepoTags"], serde_json::json!(["busybox:latest"]));
    assert!(image["Size"].as_u64().expect("a number") > 100_000);
    assert_eq!(image["RootFS"]["Type"], "layers");
}

#[test]
fn after_removing_everything_the_disk_is_as_before() {
    let engine = testkit::Engine::start(&testkit::Options {
        bare: true,
        ..Default::default()
    });
    let before = files(&engine.data_root());
    let image =
        Image::new("told:1").layer(Archive::new().file("f", &vec![b'x'; 3_000_000]).finish());
    engine
        .cli("load")
        .with_input(&image.docker_archive())
        .success();
    drop(engine.run("--name cc -v named:/n -v /anonymous told:1 sh -c 'head -c 1000000 /dev/zero > /big; sleep 60'"));
    engine.ok("system df");
    engine.ok("rm -f -v cc");
    engine.ok("rmi told:1");
    engine.ok("volume rm named");
    assert_eq!(
        engine.ok("system df --format '{{.TotalCount}}'"),
        "0\n0\n0\n0"
    );
    if !testkit::Engine::is_peer() {
        testkit::eventually("the data root is as it was", || {
            files(&engine.data_root()) == before
        });
    }
}

/// Every file and folder below, but for the store's one file, which never shrinks to nothing.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        found.push(path.display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}
