//! `load` and `import`: every form that images travel in.

use testkit::command::run;
use testkit::image::{Image, through};
use testkit::tar::Archive;
use testkit::{Engine, Options};

fn bare() -> Engine {
    Engine::start(&Options {
        bare: true,
        ..Options::default()
    })
}

fn sample(name: &str) -> Image {
    Image::new(name).layer(Archive::new().file("added", b"by a layer\n").finish())
}

#[track_caller]
fn check_loaded(engine: &Engine, image: &Image, name: &str) {
    assert_eq!(engine.inspect(name)["Id"], image.id());
    assert_eq!(
        engine.ok(&format!("run --rm {name} cat /added")),
        "by a layer"
    );
}

#[test]
fn a_docker_archive_plain_and_packed() {
    for (packer, args) in [
        ("cat", &[][..]),
        ("gzip", &["-1"]),
        ("zstd", &["-1"]),
        ("xz", &["-0"]),
    ] {
        if packer == "zstd" && Engine::is_peer() {
            continue;
        }
        let engine = bare();
        let image = sample("travel:one");
        let archive = through(packer, args, &image.docker_archive());
        let said = engine.cli("load").with_input(&archive).success();
        assert_eq!(said, "Loaded image: travel:one", "{packer}");
        check_loaded(&engine, &image, "travel:one");
    }
}

#[test]
fn a_docker_archive_from_a_file() {
    let engine = bare();
    let image = sample("travel:one");
    let file = engine.root().join("image.tar");
    std::fs::write(&file, image.docker_archive()).expect("a file of ours");
    engine.ok(&format!("load -q -i {}", file.display()));
    check_loaded(&engine, &image, "travel:one");
    engine.fails(1, "load -i /no/such/file.tar");
}

#[test]
fn an_oci_archive_with_each_packing_of_layers() {
    if Engine::is_peer() {
        return testkit::skip("the peer of this age reads no OCI layouts");
    }
    for (suffix, packer, args) in [
        ("", "cat", &[][..]),
        ("+gzip", "gzip", &["-1"]),
        ("+zstd", "zstd", &["-1"]),
    ] {
        let engine = bare();
        let image = sample("travel:oci");
        let archive = image.oci_archive(suffix, |layer| through(packer, args, layer));
        engine.cli("load").with_input(&archive).success();
        check_loaded(&engine, &image, "travel:oci");
    }
}

#[test]
fn an_oci_layout_as_a_folder() {
    if Engine::speaks_docker() {
        return testkit::skip("docker's client sends no folders");
    }
    let engine = bare();
    let image = sample("travel:folder");
    let folder = engine.root().join("layout");
    image.oci_folder(&folder);
    engine.ok(&format!("load -i {}", folder.display()));
    check_loaded(&engine, &image, "travel:folder");
}

#[test]
fn a_bare_file_system_is_imported() {
    let engine = bare();
    let id = engine
        .cli("import -m note -c 'CMD [\"echo\", \"hi\"]' -c 'ENV A=b' - made:from-tar")
        .with_input(&through("gzip", &["-1"], testkit::rootfs::archive()))
        .success();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(engine.ok("run --rm made:from-tar"), "hi");
    assert_eq!(engine.ok("run --rm made:from-tar sh -c 'echo $A'"), "b");
    assert_eq!(engine.inspect("made:from-tar")["Comment"], "note");
}

#[test]
fn loading_again_changes_nothing() {
    let engine = bare();
    let image = sample("travel:one");
    for _ in 0..2 {
        engine
            .cli("load")
            .with_input(&image.docker_archive())
            .success();
    }
    assert_eq!(engine.ok("images -q").lines().count(), 1);
}

#[test]
fn what_docker_podman_and_skopeo_write_is_read() {
    let engine = bare();
    let folder = engine.root().join("from-skopeo");
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    let image = sample("travel:one");
    let plain = folder.join("plain.tar");
    std::fs::write(&plain, image.docker_archive()).expect("a file of ours");
    let mut kinds = vec!["docker-archive"];
    if !Engine::is_peer() {
        kinds.push("oci-archive");
    }
    for kind in kinds {
        let to = folder.join(format!("{kind}.tar"));
        let target = format!("{kind}:{}:travel:{kind}", to.display());
        let source = format!("docker-archive:{}", plain.display());
        let copied = run(
            std::process::Command::new("skopeo").args([
                "copy",
                "-q",
                "--insecure-policy",
                &source,
                &target,
            ]),
            &[],
        );
        copied.success();
        let said = engine.ok(&format!("load -i {}", to.display()));
        let name = said.rsplit(": ").next().expect("a name").trim().to_owned();
        assert_eq!(
            engine.ok(&format!("run --rm {name} cat /added")),
            "by a layer",
            "{said}"
        );
    }
}
