//! An image for several platforms: seen, looked at, saved and refused one by one.

use serde_json::Value;
use testkit::Engine;
use testkit::image::{Image, digest};
use testkit::tar::Archive;

fn for_two() -> [Image; 2] {
    ["amd64", "arm64"].map(|name| {
        let layer = Archive::new().file("arch", name.as_bytes()).finish();
        Image::new("several:1").architecture(name).layer(layer)
    })
}

/// An engine that has it.
fn engine() -> Option<Engine> {
    if Engine::is_peer() {
        testkit::skip("the peer of this age keeps one platform of an index");
        return None;
    }
    let engine = testkit::engine();
    let archive = Image::index_archive(&for_two(), "s390x");
    engine.cli("load").with_input(&archive).success();
    Some(engine)
}

#[test]
fn the_tree_shows_what_is_here_and_what_is_used() {
    let Some(engine) = engine() else { return };
    let _container = engine.run("several:1 sleep 60");
    for tree in [engine.cli("images --tree"), engine.docker("images --tree")] {
        let text = tree.run().success();
        let line = |part: &str| {
            let found = text.lines().find(|line| line.contains(part));
            found
                .unwrap_or_else(|| panic!("no {part} in\n{text}"))
                .to_owned()
        };
        assert!(line("several:1").trim_end().ends_with('U'), "{text}");
        assert!(line("─ linux/amd64").trim_end().ends_with('U'), "{text}");
        assert!(!line("─ linux/arm64").trim_end().ends_with('U'), "{text}");
        assert!(line("─ linux/s390x").contains(" 0B "), "{text}");
    }
    let error = engine.fails(1, "images --tree -q");
    assert_eq!(error, "--quiet is not yet supported with --tree");
}

#[test]
fn clients_that_ask_learn_of_every_manifest() {
    let Some(engine) = engine() else { return };
    let list = |path: &str| -> Value {
        let (status, images) = engine.api("GET", path, None);
        assert_eq!(status, 200, "{images}");
        let images = images.as_array().expect("a list").clone();
        let named = |image: &&Value| image["RepoTags"][0] == "several:1";
        images.iter().find(named).expect("it is loaded").clone()
    };
    let image = list("/v1.51/images/json?manifests=1");
    assert_eq!(
        image["Descriptor"]["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    let manifests = image["Manifests"].as_array().expect("a list");
    let told: Vec<_> = manifests
        .iter()
        .map(|m| {
            (
                m["ImageData"]["Platform"]["architecture"].as_str(),
                m["Available"].as_bool(),
            )
        })
        .collect();
    let expected = [("amd64", true), ("arm64", true), ("s390x", false)];
    assert_eq!(
        told,
        expected.map(|(name, is_here)| (Some(name), Some(is_here)))
    );
    assert!(manifests[0]["ImageData"]["Size"]["Unpacked"].as_u64() > Some(0));
    assert_eq!(manifests[1]["ImageData"]["Size"]["Unpacked"], 0);
    for old in ["/v1.51/images/json", "/v1.46/images/json?manifests=1"] {
        assert!(list(old).get("Manifests").is_none(), "{old}");
    }
    let (_, one) = engine.api("GET", "/v1.51/images/several:1/json?manifests=1", None);
    assert_eq!(one["Manifests"], image["Manifests"]);
}

#[test]
fn one_platform_is_looked_at_and_saved_alone() {
    let Some(engine) = engine() else { return };
    let [_, other] = for_two();
    let line = "image inspect --platform linux/arm64 -f '{{.Id}} {{.Architecture}}' several:1";
    for client in [engine.cli(line), engine.docker(line)] {
        assert_eq!(client.run().success(), format!("{} arm64", other.id()));
    }
    let error = engine.fails(1, "image inspect --platform linux/s390x several:1");
    assert!(
        error.contains("does not provide the specified platform (linux/s390x)"),
        "{error}"
    );
    assert_eq!(
        engine
            .ok("history -q --platform linux/arm64 several:1")
            .lines()
            .count(),
        2
    );
    let saved = engine.cli("save --platform linux/arm64 several:1").run();
    assert_eq!(saved.code, 0, "{}", saved.error());
    let elsewhere = testkit::engine();
    elsewhere.cli("load").with_input(&saved.stdout).success();
    let [own, _] = for_two();
    assert_eq!(elsewhere.inspect("several:1")["Id"], other.id().as_str());
    assert_ne!(own.id(), other.id());
    engine.fails(1, "save --platform linux/s390x several:1");
}

#[test]
fn one_platform_of_several_is_not_removed_by_taking_all() {
    let Some(engine) = engine() else { return };
    let error = engine.fails(1, "rmi --platform linux/arm64 several:1");
    assert!(error.contains("only be removed together"), "{error}");
    assert_eq!(engine.inspect("several:1")["Architecture"], "amd64");
    let error = engine.fails(1, "rmi --platform linux/riscv64 busybox");
    assert!(
        error.contains("does not provide the specified platform"),
        "{error}"
    );
    engine.ok("rmi several:1");
    assert_eq!(digest(b"").len(), "sha256:".len() + 64);
}
