//! Named and anonymous volumes.

use serde_json::json;
use testkit::image::Image;
use testkit::tar::{Archive, Header};

#[test]
fn a_volume_outlives_its_containers() {
    let engine = testkit::engine();
    engine.ok("run --rm -v store:/data busybox sh -c 'echo kept > /data/f'");
    assert_eq!(
        engine.ok("run --rm -v store:/other busybox cat /other/f"),
        "kept"
    );
    assert_eq!(engine.ok("volume ls -q"), "store");
    let volume = engine.ok("volume inspect store");
    let value: serde_json::Value = serde_json::from_str(&volume).expect("JSON");
    let point = value[0]["Mountpoint"].as_str().expect("a path");
    assert_eq!(
        std::fs::read_to_string(format!("{point}/f")).expect("the host sees it"),
        "kept\n"
    );
    assert_eq!(engine.ok("volume rm store"), "store");
    assert!(!std::path::Path::new(point).exists());
}

#[test]
fn a_new_volume_takes_over_what_the_image_has_there() {
    let engine = testkit::engine();
    let folder = Header {
        mode: 0o750,
        uid: 1000,
        gid: 29,
        ..Header::folder("data/")
    };
    let file = Header {
        mode: 0o640,
        uid: 1000,
        ..Header::file("data/file")
    };
    let image = Image::new("full:1")
        .layer(
            Archive::new()
                .with(&folder, &[])
                .with(&file, b"from the image")
                .with(&Header::symlink("data/link", "file"), &[])
                .with(&Header::folder("data/deep/"), &[])
                .finish(),
        )
        .config("Volumes", json!({"/data": {}}));
    engine
        .cli("load")
        .with_input(&image.docker_archive())
        .success();
    let look = "sh -c 'stat -c \"%a %u %g\" /data; stat -c \"%a %u\" /data/file; readlink /data/link; ls /data'";
    let expect = "750 1000 29\n640 1000\nfile\ndeep\nfile\nlink";
    assert_eq!(
        engine.ok(&format!("run --rm -v named:/data full:1 {look}")),
        expect
    );
    assert_eq!(
        engine.ok(&format!("run --rm full:1 {look}")),
        expect,
        "an anonymous one too"
    );
    engine.ok("run --rm -v named:/data full:1 rm /data/file");
    assert_eq!(
        engine.ok("run --rm -v named:/data full:1 ls /data"),
        "deep\nlink",
        "only a new one"
    );
    assert_eq!(
        engine.ok("run --rm -v empty:/data:nocopy full:1 ls -A /data"),
        ""
    );
    assert_eq!(
        engine.ok(
            "run --rm --mount type=volume,src=empty2,dst=/data,volume-nocopy full:1 ls -A /data"
        ),
        ""
    );
}

#[test]
fn anonymous_volumes_go_with_rm_v_and_with_rm() {
    let engine = testkit::engine();
    engine.ok("run --rm -v /scratch busybox touch /scratch/f");
    assert_eq!(engine.ok("volume ls -q"), "");
    engine.ok("run --name kept -v /scratch busybox true");
    assert_eq!(engine.ok("volume ls -q").len(), 64);
    engine.ok("rm kept");
    assert_eq!(engine.ok("volume ls -q --filter dangling=true").len(), 64);
    engine.ok("volume prune -f");
    engine.ok("run --name gone -v /scratch busybox true");
    engine.ok("rm -v gone");
    assert_eq!(engine.ok("volume ls -q"), "");
}

#[test]
fn two_containers_share_and_a_reader_cannot_write() {
    let engine = testkit::engine();
    let writer = engine.run("--name writer -v shared:/data busybox sh -c 'while :; do date > /data/now; sleep 0.05; done'");
    writer.await_file("/data/now");
    let error = engine.fails(1, "run --rm -v shared:/data:ro busybox touch /data/x");
    assert!(error.contains("Read-only file system"), "{error}");
    engine.ok("run --rm --volumes-from writer busybox test -s /data/now");
    engine.fails(1, "run --rm --volumes-from writer:ro busybox touch /data/x");
    let error = engine.fails(1, "volume rm shared");
    assert!(error.contains("volume is in use"), "{error}");
}

#[test]
fn volumes_are_created_listed_inspected_and_pruned() {
    let engine = testkit::engine();
    assert_eq!(engine.ok("volume create --label a=1 one"), "one");
    assert_eq!(engine.ok("volume create one"), "one", "again is no error");
    engine.ok("volume create two");
    assert_eq!(engine.ok("volume create").len(), 64);
    assert_eq!(engine.ok("volume ls -q --filter label=a=1"), "one");
    assert_eq!(engine.ok("volume ls -q --filter name=tw"), "two");
    assert_eq!(
        engine.ok("volume inspect -f '{{.Driver}} {{.Scope}} {{.Labels.a}}' one"),
        "local local 1"
    );
    engine.fails(1, "volume inspect nothing");
    engine.fails(1, "volume rm nothing");
    engine.ok("volume rm -f nothing");
    engine.fails(1, "volume create 'bad/name'");
    drop(engine.run("-v two:/data busybox sleep 60"));
    let all = if testkit::Engine::is_peer() { "" } else { "-a" };
    engine.ok(&format!("volume prune {all} -f"));
    assert_eq!(engine.ok("volume ls -q"), "two");
}
