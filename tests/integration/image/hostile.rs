//! Archives that escape, bomb, lie or break: refused, and nothing of them stays.

use serde_json::json;
use testkit::image::{Image, through};
use testkit::tar::{Archive, Header};
use testkit::{Engine, Options};

fn bare() -> Engine {
    Engine::start(&Options {
        bare: true,
        ..Options::default()
    })
}

/// What load leaves of an archive: nothing in the lists, nothing on the disk.
#[track_caller]
fn check_refused(archive: &[u8]) {
    let engine = bare();
    let before = size(&engine.data_root());
    let output = engine.cli("load").with_input(archive);
    assert_ne!(output.code, 0, "{}", output.text());
    assert!(!output.error().is_empty(), "an error says why");
    assert_eq!(engine.ok("images -aq"), "");
    if !Engine::is_peer() {
        let grown = size(&engine.data_root()).saturating_sub(before);
        assert!(grown < 64 * 1024, "{grown} bytes stay on the disk");
    }
}

fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}

#[test]
fn members_that_climb_out_change_nothing_outside() {
    let engine = bare();
    let secret = engine.root().join("outside");
    std::fs::write(&secret, "untouched").expect("a file of ours");
    let climb = format!("{}{}", "../".repeat(8), &secret.display().to_string()[1..]);
    let target = secret.display().to_string();
    let folder = engine.root().display().to_string();
    let layers = [
        Archive::new().file(&climb, b"climbed"),
        Archive::new().file(&target, b"absolute"),
        Archive::new()
            .with(&Header::symlink("link", &target), &[])
            .file("link", b"followed"),
        Archive::new()
            .with(&Header::symlink("dir", &folder), &[])
            .file("dir/outside", b"through"),
        Archive::new()
            .with(&Header::symlink("dir", "../../../.."), &[])
            .file(&format!("dir/{target}"), b"up"),
        Archive::new()
            .with(&Header::hard_link("alias", &target), &[])
            .file("alias", b"linked"),
        Archive::new().file(&format!("{climb}/../.wh.outside"), b""),
        Archive::new().file(".wh...", b""),
        Archive::new().file(".wh..", b""),
        Archive::new().file("..", b"x"),
    ];
    for layer in layers {
        let image = Image::new("climb:1").layer(layer.finish());
        drop(engine.cli("load").with_input(&image.docker_archive()));
        assert_eq!(
            std::fs::read_to_string(&secret).expect("it is still there"),
            "untouched"
        );
    }
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_refused() {
    let image = Image::new("lie:1").layer(Archive::new().file("f", b"true").finish());
    let archive = image.docker_archive();
    let at = archive
        .windows(4)
        .rposition(|four| four == b"true")
        .expect("it is in there");
    let mut changed = archive;
    changed[at] = b'f';
    check_refused(&changed);
}

#[test]
fn a_blob_that_is_not_its_digest_is_refused() {
    if Engine::is_peer() {
        return testkit::skip("the peer of this age reads no OCI layouts");
    }
    let image = Image::new("lie:1").layer(Archive::new().file("f", b"true").finish());
    let mut files = image.oci_files("", <[u8]>::to_vec);
    files[2].1.extend([0; 512]);
    check_refused(&packed(&files));
    // A config of the right length, which no diff id tells of.
    let mut files = image.oci_files("", <[u8]>::to_vec);
    let date = b"2001-09-09";
    let mut changed = 0;
    for (_, content) in &mut files {
        if let Some(at) = content.windows(date.len()).position(|ten| ten == date) {
            content[at + 3] = b'2';
            changed += 1;
        }
    }
    assert_eq!(changed, 1);
    check_refused(&packed(&files));
}

fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let archive = files
        .iter()
        .fold(Archive::new(), |archive, (path, content)| {
            archive.file(path, content)
        });
    archive.finish()
}

#[test]
fn a_broken_off_archive_is_refused() {
    let whole = Image::new("cut:1").docker_archive();
    check_refused(&whole[..whole.len() / 2]);
    check_refused(&through("gzip", &["-1"], &whole)[..10_000]);
    check_refused(b"this is no archive at all");
    check_refused(&[]);
    check_refused(&Archive::new().file("hello", b"x").finish());
}

#[test]
fn a_manifest_that_points_out_of_the_archive_is_refused() {
    for (config, layer) in [
        ("../../etc/passwd", "x/layer.tar"),
        ("/etc/passwd", "x/layer.tar"),
        ("no-such.json", "x/layer.tar"),
    ] {
        let manifest = json!([{"Config": config, "RepoTags": ["x:1"], "Layers": [layer]}]);
        let archive = Archive::new()
            .with(&Header::symlink("x/layer.tar", "/etc/passwd"), &[])
            .file("manifest.json", manifest.to_string().as_bytes());
        check_refused(&archive.finish());
    }
}

#[test]
fn headers_that_lie_about_sizes_are_refused() {
    let huge = Header {
        claimed_size: Some(1 << 62),
        ..Header::file("huge")
    };
    check_refused(
        &Image::empty("big:1")
            .layer(Archive::new().with(&huge, b"x").finish())
            .docker_archive(),
    );
    let image = Image::empty("pax:1").layer(
        Archive::new()
            .pax(&[("size", b"99999999999999")])
            .file("f", b"x")
            .finish(),
    );
    check_refused(&image.docker_archive());
    let image = Image::empty("pax:2").layer(
        Archive::new()
            .pax(&[("size", b"-5")])
            .file("f", b"x")
            .finish(),
    );
    check_refused(&image.docker_archive());
}

#[test]
fn names_that_no_file_can_have_are_refused_or_harmless() {
    let engine = bare();
    for name in [
        "a".repeat(90) + &"/b".repeat(4),
        "a//b///c".to_owned(),
        "./././x".to_owned(),
    ] {
        let image = Image::new("n:1").layer(Archive::new().file(&name, b"x").finish());
        drop(engine.cli("load").with_input(&image.docker_archive()));
    }
    let too_long = "x".repeat(300);
    let image = Image::new("n:2").layer(
        Archive::new()
            .pax(&[("path", too_long.as_bytes())])
            .file("x", b"")
            .finish(),
    );
    assert_ne!(
        engine.cli("load").with_input(&image.docker_archive()).code,
        0
    );
}

#[test]
fn the_daemon_still_answers_after_all_that() {
    let engine = testkit::engine();
    let noise: Vec<u8> = (0..300_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    for start in [
        &b""[..],
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\0",
    ] {
        let bytes = [start, &noise].concat();
        assert_ne!(engine.cli("load").with_input(&bytes).code, 0);
        assert_ne!(engine.cli("import - noise").with_input(&bytes).code, 0);
    }
    assert_eq!(engine.ok("run --rm busybox echo well"), "well");
}
