//! What `docker cp`, `ADD`, `commit` and `diff` ask of extraction and packing.

mod support;

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use archive::extract::Mode;
use archive::pack::Include;
use archive::tar::{Entry, Kind, Reader, Writer};
use archive::{ExtractOptions, PackOptions, changes, pack, pack_overlay_diff};
use rustix::fs::FileType;
use support::{mode, node, own, set_time, set_xattr, unpack};

fn tar_of(entries: &[(&str, Kind)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, kind) in entries {
        let data = if *kind == Kind::File { path } else { "" };
        writer
            .append(&Entry::new(*path, *kind, 0o750), data.as_bytes())
            .unwrap();
    }
    writer.finish().unwrap()
}

fn listed(tar: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(tar);
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let link = match entry.kind {
            Kind::HardLink => format!(" link {}", String::from_utf8_lossy(&entry.link)),
            Kind::Symlink => format!(" -> {}", String::from_utf8_lossy(&entry.link)),
            _ => String::new(),
        };
        lines.push(format!("{}{link}", String::from_utf8_lossy(&entry.path)));
    }
    lines
}

fn packed(root: &Path, path: &str, name: &str, follow: bool) -> archive::Result<Vec<String>> {
    let dir = fs::File::open(root).unwrap();
    let options = PackOptions {
        include: vec![Include {
            path: path.into(),
            name: name.into(),
            follow,
        }],
        ..PackOptions::default()
    };
    let mut tar = Vec::new();
    pack(dir.as_fd(), &options, &mut tar)?;
    Ok(listed(&tar))
}

#[test]
fn one_path_is_packed_under_a_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("a/b/f"), "f").unwrap();
    fs::hard_link(root.join("a/b/f"), root.join("a/b/g")).unwrap();
    symlink("/a/b", root.join("link")).unwrap();
    symlink("/../../a/b/f", root.join("file-link")).unwrap();
    let tree = ["new/", "new/c/", "new/f", "new/g link new/f"];
    assert_eq!(packed(root, "/a/b", "new", false).unwrap(), tree);
    assert_eq!(packed(root, "link", "new", true).unwrap(), tree);
    assert_eq!(packed(root, "link", "new", false).unwrap(), ["new -> /a/b"]);
    assert_eq!(
        packed(root, "link/f", "f", false).unwrap(),
        ["f"],
        "links on the way are followed"
    );
    assert_eq!(
        packed(root, "file-link", "x", true).unwrap(),
        ["x"],
        "inside the root"
    );
    assert_eq!(
        packed(root, "a/b", "", false).unwrap(),
        ["c/", "f", "g link f"]
    );
    let error = packed(root, "../../etc/passwd", "p", false).unwrap_err();
    assert_eq!(error.kind(), fault::Kind::NotFound);
}

#[test]
fn owner_and_refusal_to_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("dir")).unwrap();
    fs::write(root.join("dir/kept"), "kept").unwrap();
    fs::write(root.join("file"), "old").unwrap();
    let strict = ExtractOptions {
        no_overwrite_dir_non_dir: true,
        owner: Some((1000, 1001)),
        ..ExtractOptions::default()
    };
    let try_one = |path, kind| unpack(&tar_of(&[(path, kind)]), root, &strict);
    assert_eq!(
        try_one("dir", Kind::File).unwrap_err().to_string(),
        "cannot overwrite directory \"dir\" with non-directory"
    );
    assert_eq!(
        try_one("file/", Kind::Directory).unwrap_err().to_string(),
        "cannot overwrite non-directory \"file/\" with directory"
    );
    try_one("file", Kind::File).unwrap();
    try_one("dir/", Kind::Directory).unwrap();
    let meta = fs::metadata(root.join("file")).unwrap();
    assert_eq!(
        (meta.uid(), meta.gid(), meta.mode() & 0o7777),
        (1000, 1001, 0o750)
    );
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "file");
    assert!(root.join("dir/kept").exists(), "folders are merged");
    let lax = ExtractOptions::default();
    unpack(&tar_of(&[("dir", Kind::File)]), root, &lax).unwrap();
    assert!(root.join("dir").is_file());
}

#[test]
fn a_layers_unnamed_parents_take_after_the_layers_below() {
    let dir = tempfile::tempdir().unwrap();
    let (lower, dest) = (dir.path().join("lower"), dir.path().join("dest"));
    fs::create_dir_all(lower.join("var/mail")).unwrap();
    fs::create_dir(&dest).unwrap();
    own(&lower.join("var/mail"), 5, 8);
    mode(&lower.join("var/mail"), 0o2775);
    set_time(&lower.join("var/mail"), 1_234_567_890, 0);
    let below = fs::File::open(&lower).unwrap();
    let options = ExtractOptions {
        mode: Mode::Layer { userxattr: false },
        lower: &[below.as_fd()],
        digest: true,
        ..ExtractOptions::default()
    };
    let tar = tar_of(&[("var/mail/root", Kind::File)]);
    let summary = unpack(&tar, &dest, &options).unwrap();
    let meta = fs::metadata(dest.join("var/mail")).unwrap();
    assert_eq!(
        (meta.mode() & 0o7777, meta.uid(), meta.gid()),
        (0o2775, 5, 8)
    );
    assert_eq!(meta.mtime(), 1_234_567_890);
    let file = fs::metadata(dest.join("var/mail/root")).unwrap();
    assert_eq!(
        (file.uid(), file.gid()),
        (0, 0),
        "setgid comes after the files"
    );
    use sha2::{Digest, Sha256};
    let expected: [u8; 32] = Sha256::digest(&tar).into();
    assert_eq!(
        summary.digest,
        Some(expected),
        "of the whole stream, padding too"
    );
}

#[test]
fn an_upper_folder_becomes_a_layer_and_a_list_of_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (upper, lower) = (dir.path().join("upper"), dir.path().join("lower"));
    for root in [&upper, &lower] {
        fs::create_dir_all(root.join("etc/same")).unwrap();
        fs::create_dir_all(root.join("opaque")).unwrap();
        fs::write(root.join("etc/copied-up"), "x").unwrap();
        set_time(&root.join("etc/copied-up"), 5, 5);
    }
    for gone in ["etc/gone", "opaque/hidden"] {
        fs::write(lower.join(gone), "x").unwrap();
    }
    node(&upper.join("etc/gone"), FileType::CharacterDevice, (0, 0));
    node(&upper.join("never-was"), FileType::CharacterDevice, (0, 0));
    set_xattr(&upper.join("opaque"), "trusted.overlay.opaque", b"y");
    fs::create_dir(upper.join("new")).unwrap();
    set_xattr(&upper.join("new"), "trusted.overlay.origin", b"x");
    fs::write(upper.join("new/f"), "x").unwrap();
    let now = fs::File::open(&upper).unwrap();
    let before = fs::File::open(&lower).unwrap();
    let found = changes(now.as_fd(), Some(before.as_fd())).unwrap();
    let lines: Vec<_> = found
        .iter()
        .map(|c| format!("{:?} {}", c.kind, String::from_utf8_lossy(&c.path)))
        .collect();
    assert_eq!(
        lines,
        [
            "Modified /etc",
            "Deleted /etc/gone",
            "Added /new",
            "Added /new/f",
            "Modified /opaque",
            "Deleted /opaque/hidden",
        ]
    );
    let mut tar = Vec::new();
    pack_overlay_diff(now.as_fd(), &PackOptions::default(), &mut tar).unwrap();
    assert_eq!(
        listed(&tar),
        [
            ".wh.never-was",
            "etc/",
            "etc/.wh.gone",
            "etc/copied-up",
            "etc/same/",
            "new/",
            "new/f",
            "opaque/",
            "opaque/.wh..wh..opq",
        ]
    );
}
