//! `inspect`: what tools read of a container's place on the host.

use std::path::Path;

use testkit::Engine;

fn lines(list: &serde_json::Value) -> Vec<String> {
    let text = list.as_str().unwrap_or_default();
    text.split(':')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_folders_of_a_containers_files_are_told() {
    let engine = testkit::engine();
    let container = engine.run("--name whose busybox sh -c 'echo mine > /file; sleep 60'");
    container.await_file("/file");
    let data = &container.inspect()["GraphDriver"]["Data"];
    let upper = Path::new(data["UpperDir"].as_str().expect("a path"));
    let written = std::fs::read_to_string(upper.join("file")).expect("it is on the host");
    assert_eq!(written, "mine\n");
    assert!(Path::new(data["WorkDir"].as_str().expect("a path")).is_dir());
    let merged = Path::new(data["MergedDir"].as_str().expect("a path"));
    assert!(merged.join("file").is_file() && merged.join("bin/busybox").is_file());
    let lower = lines(&data["LowerDir"]);
    assert!(
        lower
            .iter()
            .any(|layer| Path::new(layer).join("bin/busybox").is_file()),
        "{lower:?}"
    );
    let image = &engine.inspect("busybox")["GraphDriver"]["Data"];
    let top = image["UpperDir"].as_str().expect("a path");
    assert!(
        lower.iter().any(|layer| layer == top) || Engine::is_peer(),
        "{top} of {lower:?}"
    );
    assert!(Path::new(top).join("bin/busybox").is_file());
    engine.ok("stop -t 0 whose");
    let stopped = &container.inspect()["GraphDriver"]["Data"];
    assert_eq!(stopped["UpperDir"], data["UpperDir"]);
    if !Engine::is_peer() {
        assert!(
            stopped.get("MergedDir").is_none(),
            "nothing is mounted: {stopped}"
        );
    }
}
