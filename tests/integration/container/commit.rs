//! `commit`: a container becomes an image.

#[test]
fn the_image_holds_what_the_container_wrote_and_deleted() {
    let engine = testkit::engine();
    engine.ok("run --name source -e KEEP=1 busybox sh -c 'echo new > /file; rm /etc/group; chmod 4755 /bin/busybox'");
    let id = engine.ok("commit -m why -a 'A Person <a@example.org>' -c 'CMD [\"cat\", \"/file\"]' -c 'ENV MORE=2' source made:v1");
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(engine.ok("run --rm made:v1"), "new");
    let text = engine.ok(
        "run --rm made:v1 sh -c 'echo $KEEP$MORE; ls /etc/group; stat -c %a /bin/busybox' ; true",
    );
    assert!(text.starts_with("12"), "{text}");
    assert!(text.ends_with("4755"), "{text}");
    let image = engine.inspect("made:v1");
    assert_eq!(image["Comment"], "why");
    assert_eq!(image["Author"], "A Person <a@example.org>");
    assert_eq!(image["Config"]["Cmd"], serde_json::json!(["cat", "/file"]));
    assert_eq!(image["RootFS"]["Layers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_running_container_can_be_committed() {
    let engine = testkit::engine();
    let container = engine.run("busybox sh -c 'echo alive > /file; sleep 60'");
    container.await_file("/file");
    engine.ok(&format!("commit {} snap", container.id()));
    assert_eq!(engine.ok("run --rm snap cat /file"), "alive");
    assert_eq!(container.state(), "running");
}

#[test]
fn volumes_stay_out_of_the_image() {
    let engine = testkit::engine();
    engine.ok("run --name source -v /data busybox sh -c 'echo v > /data/f'");
    engine.ok("commit source made");
    assert_eq!(
        engine.ok("run --rm --entrypoint sh made -c 'ls -A /data'"),
        ""
    );
}
