//! Archives of all forms, honest and hostile.

mod support;

use image::{Error, LoadOptions, NotAnArchive, SaveFormat};
use oci::media_type;
use serde_json::json;
use support::{
    Home, blob_name, config, descriptor, docker_archive, docker_archive_named, manifest,
    oci_archive, tar, tar_with_link,
};

fn layer() -> Vec<u8> {
    tar(&[("etc/", b""), ("etc/name", b"one")])
}

fn saved(home: &Home, names: &[&str], format: SaveFormat) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut out = Vec::new();
    home.images().save(&names, None, format, &mut out).unwrap();
    out
}

/// Loading fails, and nothing is left.
fn refused(archive: &[u8]) -> Error {
    let home = Home::new();
    let error = home.load(archive).expect_err("it should be refused");
    assert_eq!(home.images().list().len(), 0);
    assert_eq!(home.leftovers().len(), 0, "{error}");
    error
}

#[test]
fn what_is_saved_loads_again_as_the_same_image() {
    let home = Home::new();
    let layer = layer();
    home.load(&docker_archive(
        &["app:1", "app:2", "b"],
        &config(&[&layer]),
        &[&layer],
    ))
    .unwrap();
    let image = home.images().resolve("b").unwrap();
    for format in [
        SaveFormat::Combined,
        SaveFormat::DockerArchive,
        SaveFormat::OciArchive,
    ] {
        let archive = saved(&home, &["app"], format);
        assert_eq!(
            archive,
            saved(&home, &["app"], format),
            "equal images, equal bytes"
        );
        let other = Home::new();
        let lines = other.load_told(&archive);
        assert_eq!(
            lines,
            ["Loaded image: app:1", "Loaded image: app:2"],
            "{format:?}"
        );
        assert_eq!(other.images().resolve("app:2").unwrap().id, image.id);
        let by_id = saved(&home, &[image.id.short()], format);
        assert_eq!(
            Home::new().load_told(&by_id),
            [format!("Loaded image ID: {}", image.id)]
        );
    }
    assert!(
        home.images()
            .save(
                &["nothing".to_owned()],
                None,
                SaveFormat::Combined,
                &mut Vec::new()
            )
            .is_err()
    );
}

#[test]
fn every_compression_is_read_inside_and_outside() {
    let plain = layer();
    let pack = |program: &str, bytes: &[u8]| {
        use std::io::Write;
        let mut child = std::process::Command::new(program)
            .arg("-c")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap().stdout
    };
    for program in ["gzip", "zstd", "xz"] {
        if !support::has_tool(program) {
            continue;
        }
        let packed = pack(program, &plain);
        let config = config(&[&plain]);
        let inner = docker_archive(&["app"], &config, &[&packed]);
        let outer = pack(program, &inner);
        for archive in [&inner, &outer] {
            let home = Home::new();
            home.load(archive).unwrap();
            assert_eq!(
                support::read_at(
                    &home.view(&home.images().resolve("app").unwrap().id),
                    "etc/name"
                )
                .unwrap(),
                "one"
            );
            // Old readers know plain and gzip only, so what is saved for them has a plain layer.
            let again = saved(&home, &["app"], SaveFormat::DockerArchive);
            let other = Home::new();
            other.load(&again).unwrap();
            assert_eq!(
                other.images().resolve("app").unwrap().id,
                home.images().resolve("app").unwrap().id
            );
        }
    }
}

#[test]
fn an_index_for_several_platforms_is_kept_whole() {
    let layer = layer();
    let host_config = config(&[&layer]);
    let other_layer = tar(&[("foreign", b"x")]);
    let other_config = String::from_utf8(config(&[&other_layer])).unwrap();
    let host = oci::Platform::host();
    let other_config = other_config
        .replace(&format!("\"{}\"", host.architecture), "\"s390x\"")
        .into_bytes();
    let (host_manifest, other_manifest) = (
        manifest(&host_config, &[&layer]),
        manifest(&other_config, &[&other_layer]),
    );
    let entry = |manifest: &[u8], architecture: &str| {
        let mut entry = descriptor(media_type::OCI_MANIFEST, manifest);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    };
    let missing = manifest(b"{}", &[b"elsewhere"]);
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
        "manifests": [entry(&other_manifest, "s390x"), entry(&host_manifest, &host.architecture), entry(&missing, "ppc64le")],
    });
    let index = serde_json::to_vec(&index).unwrap();
    let mut named = descriptor(media_type::OCI_INDEX, &index);
    named["annotations"] = json!({"io.containerd.image.name": "docker.io/me/multi:1"});
    let archive = oci_archive(
        &[named],
        &[
            &layer,
            &host_config,
            &other_layer,
            &other_config,
            &host_manifest,
            &other_manifest,
            &index,
        ],
    );
    let mut home = Home::new();
    home.load(&archive).unwrap();
    home.reopen();
    let image = home.images().resolve("me/multi:1").unwrap();
    assert_eq!(image.platform(), host);
    assert_eq!(
        image
            .record
            .variants
            .iter()
            .map(|v| v.is_complete)
            .collect::<Vec<_>>(),
        [true, true, false]
    );
    let digest = format!("me/multi@{}", oci::Digest::of(&index));
    assert_eq!(image.repo_digests(), std::slice::from_ref(&digest));
    assert_eq!(home.images().resolve(&digest).unwrap().id, image.id);

    let again = saved(&home, &["me/multi:1"], SaveFormat::Combined);
    let other = Home::new();
    other.load(&again).unwrap();
    assert_eq!(
        other.images().resolve("me/multi:1").unwrap().record.blobs,
        image.record.blobs,
        "every platform travels on"
    );
    let options = LoadOptions {
        platform: Some("linux/s390x".parse().unwrap()),
    };
    let foreign = Home::new();
    foreign
        .images()
        .load(&again[..], &options, &mut |_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    let options = LoadOptions {
        platform: Some("linux/riscv64".parse().unwrap()),
    };
    let error = Home::new()
        .images()
        .load(&archive[..], &options, &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, Error::Platform { .. }));
    home.remove_everything();
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn a_layout_folder_loads_and_its_links_do_not() {
    let layer = layer();
    let config = config(&[&layer]);
    let manifest = manifest(&config, &[&layer]);
    let mut entry = descriptor(media_type::OCI_MANIFEST, &manifest);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "localhost/app:7"});
    let archive = oci_archive(&[entry], &[&layer, &config, &manifest]);
    let home = Home::new();
    let folder = home.dir.join("layout");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(home.dir.join("a.tar"), &archive).unwrap();
    support::run(
        "tar",
        &[
            "-xf",
            home.dir.join("a.tar").to_str().unwrap(),
            "-C",
            folder.to_str().unwrap(),
        ],
    );
    home.images()
        .load_folder(&folder, &LoadOptions::default(), &mut |_| {})
        .unwrap();
    assert!(home.images().resolve("localhost/app:7").is_ok());
    home.remove_everything();

    let blob = folder.join(blob_name(&layer));
    std::fs::rename(&blob, home.dir.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(home.dir.join("elsewhere"), &blob).unwrap();
    let error = home
        .images()
        .load_folder(&folder, &LoadOptions::default(), &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn layers_may_be_links_to_each_other() {
    let layer = layer();
    let config = config(&[&layer, &layer]);
    let name = format!("{}.json", oci::Digest::of(&config).hex());
    let manifest =
        json!([{"Config": name, "RepoTags": ["app:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let files: [(&str, &[u8]); 3] = [
        ("a/layer.tar", &layer),
        (&name, &config),
        ("manifest.json", &manifest),
    ];
    let home = Home::new();
    home.load(&tar_with_link(&files, ("b/layer.tar", "../a/layer.tar")))
        .unwrap();
    assert_eq!(
        home.images().resolve("app:1").unwrap().record.layers.len(),
        2
    );
    for target in ["../../a/layer.tar", "/etc/passwd"] {
        refused(&tar_with_link(&files, ("b/layer.tar", target)));
    }
    let looped = tar_with_link(&files, ("b/layer.tar", "layer.tar"));
    assert!(matches!(refused(&looped), Error::Incomplete { .. }));
}

#[test]
fn archives_that_lie_are_refused() {
    let layer = layer();
    let good = config(&[&layer]);
    let other = tar(&[("evil", b"x")]);
    // The layer is not the one the config names.
    assert!(matches!(
        refused(&docker_archive(&["a"], &good, &[&other])),
        Error::DiffId { .. }
    ));
    // The config is not what its name says.
    let name = format!("{}.json", "0".repeat(64));
    assert!(matches!(
        refused(&docker_archive_named(&name, &["a"], &good, &[&layer])),
        Error::Lie { .. }
    ));
    // One layer too few.
    assert!(matches!(
        refused(&docker_archive(&["a"], &good, &[])),
        Error::LayerCount { .. }
    ));
    // A blob under another's digest.
    let manifest = manifest(&good, &[&layer]);
    let entry = descriptor(media_type::OCI_MANIFEST, &manifest);
    let index = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [entry]})).unwrap();
    let layout: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let (m, c, l) = (blob_name(&manifest), blob_name(&good), blob_name(&layer));
    let wrong = tar(&[
        (&m, &manifest),
        (&c, &good),
        (&l, &other),
        ("index.json", &index),
        layout,
    ]);
    assert!(matches!(refused(&wrong), Error::Lie { .. }));
    // A size that is not the blob's.
    let mut entry = descriptor(media_type::OCI_MANIFEST, &manifest);
    entry["size"] = json!(manifest.len() + 1);
    assert!(
        refused(&oci_archive(&[entry], &[&manifest, &good, &layer]))
            .to_string()
            .contains("store image content")
    );
    // A manifest that says it is an index (CVE-2021-41190).
    let lying = descriptor(media_type::OCI_INDEX, &manifest);
    assert!(matches!(
        refused(&oci_archive(&[lying], &[&manifest, &good, &layer])),
        Error::Manifest { .. }
    ));
    // Two files of one name.
    let twice = tar(&[("manifest.json", b"[]"), ("manifest.json", b"[1]")]);
    assert!(matches!(refused(&twice), Error::Archive { .. }));
}

#[test]
fn archives_that_escape_or_lack_something_are_refused() {
    let layer = layer();
    let good = config(&[&layer]);
    assert!(matches!(
        refused(&tar(&[("../manifest.json", b"[]")])),
        Error::Archive { .. }
    ));
    let escape = tar(&[("ok", b"x"), ("../../etc/evil", b"x")]);
    assert!(matches!(
        refused(&docker_archive(&["a"], &config(&[&escape]), &[&escape])),
        Error::Unpack { .. }
    ));
    let missing = json!([{"Config": "no.json", "RepoTags": null, "Layers": ["/etc/passwd"]}]);
    let missing = serde_json::to_vec(&missing).unwrap();
    assert!(matches!(
        refused(&tar(&[("manifest.json", &missing)])),
        Error::Incomplete { .. }
    ));
    let whole = docker_archive(&["a"], &good, &[&layer]);
    for len in [600, 1500, whole.len() / 2, whole.len() - 1500] {
        refused(&whole[..len]);
    }
    assert!(matches!(
        refused(&docker_archive(&["Bad Name"], &good, &[&layer])),
        Error::Reference(_)
    ));
    assert!(matches!(
        refused(&tar(&[("repositories", b"{}")])),
        Error::NotAnArchive(NotAnArchive::Legacy)
    ));
    assert!(matches!(
        refused(&tar(&[("etc/passwd", b"x")])),
        Error::NotAnArchive(NotAnArchive::NoManifest)
    ));
    assert!(matches!(
        refused(&tar(&[])),
        Error::NotAnArchive(NotAnArchive::Empty)
    ));
    refused(
        b"certainly not a tar, but long enough to be looked at as if it were one. "
            .repeat(20)
            .as_slice(),
    );
    refused(b"");
}

#[test]
fn documents_have_limits() {
    let huge = vec![b'['; 9 << 20];
    let error = refused(&tar(&[("manifest.json", &huge)]));
    assert!(
        matches!(
            error,
            Error::Content {
                source: content::Error::TooLarge { .. }
            }
        ),
        "{error}"
    );
    let deep = "[".repeat(100_000).into_bytes();
    assert!(matches!(
        refused(&tar(&[("manifest.json", &deep)])),
        Error::Parse { .. }
    ));
}

#[test]
fn a_second_load_of_the_same_stores_nothing_twice() {
    let home = Home::new();
    let layer = layer();
    let archive = docker_archive(&["app:1"], &config(&[&layer]), &[&layer]);
    home.load(&archive).unwrap();
    let before = home.leftovers().len();
    home.load(&archive).unwrap();
    assert_eq!(home.leftovers().len(), before);
    assert_eq!(home.images().list().len(), 1);
}
