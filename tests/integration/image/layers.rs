//! Layers, exactly as they were: whiteouts, links, attributes, odd files, odd names.

use std::os::unix::fs::MetadataExt;

use testkit::image::Image;
use testkit::tar::{Archive, Header};
use testkit::{Container, Engine};

/// The file as the host sees it through the container's root.
fn stat(container: &Container<'_>, path: &str) -> std::fs::Metadata {
    let file = container.path(path);
    std::fs::symlink_metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn load(engine: &Engine, image: &Image) {
    engine
        .cli("load")
        .with_input(&image.docker_archive())
        .success();
}

#[test]
fn whiteouts_hide_files_and_opaque_folders_hide_what_was_in_them() {
    let engine = testkit::engine();
    let first = Archive::new()
        .file("gone", b"x")
        .with(&Header::folder("tree/"), &[])
        .file("tree/old", b"x")
        .with(&Header::folder("opaque/"), &[])
        .file("opaque/old", b"x")
        .with(&Header::folder("replaced/"), &[])
        .file("replaced/inner", b"x");
    let second = Archive::new()
        .file(".wh.gone", b"")
        .file("tree/.wh.old", b"")
        .file("tree/new", b"y")
        .with(&Header::folder("opaque/"), &[])
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/new", b"y")
        .file("replaced", b"a file now");
    let image = Image::new("w:1")
        .layer(first.finish())
        .layer(second.finish());
    load(&engine, &image);
    let list = engine.cli("run --rm w:1 sh -c 'ls -A /tree; ls -A /opaque; test -e /gone && echo still; cat /replaced'").run();
    assert_eq!(list.success(), "new\nnew\na file now");
}

#[test]
fn the_same_folder_can_be_hidden_and_filled_again() {
    let engine = testkit::engine();
    let image = Image::new("w:2")
        .layer(
            Archive::new()
                .with(&Header::folder("d/"), &[])
                .file("d/one", b"1")
                .finish(),
        )
        .layer(Archive::new().file(".wh.d", b"").finish())
        .layer(
            Archive::new()
                .with(&Header::folder("d/"), &[])
                .file("d/two", b"2")
                .finish(),
        );
    load(&engine, &image);
    assert_eq!(engine.ok("run --rm w:2 ls -A /d"), "two");
}

#[test]
fn hard_links_stay_links_and_symbolic_ones_stay_as_written() {
    let engine = testkit::engine();
    let image = Image::new("l:1").layer(
        Archive::new()
            .file("one", b"same")
            .with(&Header::hard_link("two", "one"), &[])
            .with(&Header::hard_link("three", "./one"), &[])
            .with(&Header::symlink("dangling", "/no/where"), &[])
            .with(&Header::symlink("up", "../../../etc"), &[])
            .finish(),
    );
    load(&engine, &image);
    let container = engine.run("l:1 sleep 60");
    let inode = stat(&container, "/one").ino();
    assert_eq!(
        [
            stat(&container, "/two").ino(),
            stat(&container, "/three").ino()
        ],
        [inode, inode]
    );
    assert_eq!(stat(&container, "/one").nlink(), 3);
    assert_eq!(container.exec("readlink /dangling"), "/no/where");
    assert_eq!(container.exec("readlink /up"), "../../../etc");
}

#[test]
fn modes_owners_times_and_setuid_are_kept() {
    let engine = testkit::engine();
    let file = Header {
        mode: 0o6751,
        uid: 3_000_000,
        gid: 4_000_000_000,
        mtime: 1_234_567_890,
        ..Header::file("odd")
    };
    let sticky = Header {
        mode: 0o1777,
        mtime: 999,
        uid: 7,
        ..Header::folder("sticky/")
    };
    let image = Image::new("m:1").layer(
        Archive::new()
            .with(&file, b"x")
            .with(&sticky, &[])
            .file("sticky/inner", b"makes the folder younger")
            .finish(),
    );
    load(&engine, &image);
    let container = engine.run("m:1 sleep 60");
    let odd = stat(&container, "/odd");
    assert_eq!(odd.mode() & 0o7777, 0o6751);
    assert_eq!(
        (odd.uid(), odd.gid(), odd.mtime()),
        (3_000_000, 4_000_000_000, 1_234_567_890)
    );
    let folder = stat(&container, "/sticky");
    assert_eq!(
        (folder.mode() & 0o7777, folder.uid(), folder.mtime()),
        (0o1777, 7, 999)
    );
}

#[test]
fn file_capabilities_and_other_attributes_are_kept() {
    let engine = testkit::engine();
    // Version 2, effective, CAP_NET_BIND_SERVICE permitted.
    let capability: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let image = Image::new("x:1").layer(
        Archive::new()
            .pax(&[
                ("SCHILY.xattr.security.capability", capability),
                ("SCHILY.xattr.user.note", b"kept"),
            ])
            .with(
                &Header {
                    mode: 0o755,
                    ..Header::file("able")
                },
                b"x",
            )
            .finish(),
    );
    load(&engine, &image);
    let container = engine.run("x:1 sleep 60");
    let mut value = [0u8; 64];
    let file = container.path("/able");
    let len = rustix::fs::getxattr(&file, "security.capability", &mut value)
        .expect("it has the attribute");
    assert_eq!(&value[..len], capability);
    let len = rustix::fs::getxattr(&file, "user.note", &mut value).expect("it has the attribute");
    assert_eq!(&value[..len], b"kept");
}

#[test]
fn device_nodes_and_fifos_are_kept() {
    let engine = testkit::engine();
    let node = |kind, name: &str, device| Header {
        kind,
        device,
        mode: 0o600,
        ..Header::file(name)
    };
    let image = Image::new("n:1").layer(
        Archive::new()
            .with(&node(b'3', "char", (1, 3)), &[])
            .with(&node(b'4', "block", (7, 9)), &[])
            .with(&node(b'6', "fifo", (0, 0)), &[])
            .finish(),
    );
    load(&engine, &image);
    let container = engine.run("n:1 sleep 60");
    let device = |path: &str| {
        let device = stat(&container, path).rdev();
        (rustix::fs::major(device), rustix::fs::minor(device))
    };
    assert_eq!((device("/char"), device("/block")), ((1, 3), (7, 9)));
    assert_eq!(stat(&container, "/fifo").mode() & 0o170_000, 0o010_000);
}

#[test]
fn long_names_in_both_dialects_are_kept() {
    let engine = testkit::engine();
    let pax = format!("pax/{}", "p".repeat(250));
    let gnu = format!("gnu/{}", "g".repeat(200));
    let gnu_name = Header {
        kind: b'L',
        ..Header::file("././@LongLink")
    };
    let target = "/t".repeat(150);
    let gnu_link = Header {
        kind: b'K',
        ..Header::file("././@LongLink")
    };
    let terminated = |text: &str| [text.as_bytes(), b"\0"].concat();
    let image = Image::new("long:1").layer(
        Archive::new()
            .with(&Header::folder("pax/"), &[])
            .with(&Header::folder("gnu/"), &[])
            .pax(&[("path", pax.as_bytes())])
            .file("pax/short", b"pax")
            .with(&gnu_name, &terminated(&gnu))
            .file("gnu/short", b"gnu")
            .with(&gnu_link, &terminated(&target))
            .with(&Header::symlink("link", "cut off"), &[])
            .pax(&[
                ("path", "name with spaces\nand ünïcode".as_bytes()),
                ("mtime", b"1000000000.5"),
            ])
            .file("plain", b"odd")
            .finish(),
    );
    load(&engine, &image);
    let container = engine.run("long:1 sleep 60");
    assert_eq!(container.read(&format!("/{pax}")), "pax");
    assert_eq!(container.read(&format!("/{gnu}")), "gnu");
    assert_eq!(container.exec("readlink /link"), target);
    assert_eq!(container.read("/name with spaces\nand ünïcode"), "odd");
}

#[test]
fn a_sparse_file_comes_out_whole() {
    let engine = testkit::engine();
    let folder = engine.root().join("sparse");
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    let file = std::fs::File::create(folder.join("holes")).expect("a file of ours");
    std::os::unix::fs::FileExt::write_at(&file, b"middle", 5_000_000).expect("room");
    file.set_len(20_000_000).expect("no room is needed");
    for format in ["gnu", "pax"] {
        if format == "gnu" && Engine::is_peer() {
            continue;
        }
        let tar = std::process::Command::new("tar")
            .arg("-C")
            .arg(&folder)
            .args(["-S", "--format", format, "-c", "holes"])
            .output()
            .expect("tar is installed");
        assert!(tar.stdout.len() < 100_000, "the archive is sparse");
        let name = format!("sparse:{format}");
        load(&engine, &Image::new(&name).layer(tar.stdout));
        let container = engine.run(&format!("{name} sleep 60"));
        assert_eq!(stat(&container, "/holes").len(), 20_000_000, "{format}");
        let text = container.exec("sh -c 'dd if=/holes bs=1 skip=5000000 count=6 2>/dev/null'");
        assert_eq!(text, "middle", "{format}");
    }
}

#[test]
fn a_hundred_layers_are_one_root() {
    let engine = testkit::engine();
    let image = (0..100).fold(Image::new("deep:1"), |image, at| {
        image.layer(
            Archive::new()
                .file(&format!("f{at}"), at.to_string().as_bytes())
                .finish(),
        )
    });
    load(&engine, &image);
    assert_eq!(
        engine.ok("run --rm deep:1 sh -c 'cat /f0 /f50 /f99'"),
        "05099"
    );
}

#[test]
fn a_layer_shared_by_two_images_is_kept_for_the_second() {
    let engine = testkit::engine();
    let shared = Archive::new().file("shared", b"both").finish();
    let one = Image::new("one:1").layer(shared.clone());
    let two = Image::new("two:1")
        .layer(shared)
        .layer(Archive::new().file("more", b"x").finish());
    load(&engine, &one);
    load(&engine, &two);
    engine.ok("rmi one:1");
    assert_eq!(engine.ok("run --rm two:1 cat /shared"), "both");
}
