//! The store on a real disk, with real overlay mounts, through crashes and races.

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use archive::extract::Mode;
use archive::tar::{Entry, Kind, Writer};
use archive::{ExtractOptions, extract};
use snapshot::{Committed, Error, LayerDraft, Mountpoint, Store, View};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("snapshots")).unwrap();
    (dir, store)
}

fn through(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn draft_path(draft: &LayerDraft) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", draft.dir().as_raw_fd())).unwrap()
}

/// A layer made of a tar archive: `path` alone is a folder if it ends in a slash, else a file holding its own name.
fn layer(store: &Store, chain: &str, parent: Option<&str>, paths: &[&str]) {
    let mut writer = Writer::new(Vec::new());
    for path in paths {
        let is_dir = path.ends_with('/');
        let kind = if is_dir { Kind::Directory } else { Kind::File };
        let contents = if is_dir { "" } else { chain };
        let mode = if is_dir { 0o755 } else { 0o644 };
        let entry = Entry::new(*path, kind, mode);
        writer.append(&entry, contents.as_bytes()).unwrap();
    }
    let tar = writer.finish().unwrap();
    let draft = store.begin_layer(parent).unwrap();
    let options = ExtractOptions {
        mode: Mode::Layer { userxattr: false },
        ..ExtractOptions::default()
    };
    extract(&tar[..], draft.dir(), &options).unwrap();
    assert_eq!(draft.commit(chain, 1).unwrap(), Committed::New);
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read(dir: &Path, path: &str) -> String {
    fs::read_to_string(dir.join(path)).unwrap()
}

#[test]
fn whiteouts_and_opaque_folders_work_in_a_mount_and_the_host_sees_no_mount() {
    let (_dir, store) = store();
    layer(
        &store,
        "c1",
        None,
        &[
            "d/", "d/a", "d/b", "e/", "e/old", "f", "g/", "g/x", "h/", "h/low",
        ],
    );
    layer(
        &store,
        "c2",
        Some("c1"),
        &[
            "d/.wh.a",
            "e/.wh..wh..opq",
            "e/new",
            ".wh.f",
            ".wh.g",
            "g/",
            "g/y",
            "h/",
            "h/high",
            ".wh.h",
        ],
    );
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let view = store.mount_view(View::Layer("c2")).unwrap();
    let root = through(&view);
    assert_eq!(names(&root), ["d", "e", "g", "h"]);
    assert_eq!(names(&root.join("d")), ["b"]);
    assert_eq!(names(&root.join("e")), ["new"]);
    assert_eq!(names(&root.join("g")), ["y"], "whiteout before its folder");
    assert_eq!(
        names(&root.join("h")),
        ["high"],
        "whiteout after its folder"
    );
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    let refused = fs::write(root.join("d/b"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let one = store.mount_view(View::Layer("c1")).unwrap();
    assert_eq!(names(&through(&one).join("e")), ["old"]);
}

#[test]
fn a_writable_layer_keeps_what_is_written_and_the_layers_stay() {
    let (_dir, store) = store();
    layer(&store, "c1", None, &["etc/", "etc/hosts", "tmp"]);
    store.create_writable("box", Some("c1"), false).unwrap();
    assert!(matches!(
        store.create_writable("box", None, false),
        Err(Error::Exists { .. })
    ));
    {
        let view = store.mount_view(View::Writable("box")).unwrap();
        let root = through(&view);
        fs::write(root.join("etc/hosts"), "mine").unwrap();
        fs::remove_file(root.join("tmp")).unwrap();
        fs::write(root.join("new"), "n").unwrap();
    }
    let again = store.mount_view(View::WritableReadOnly("box")).unwrap();
    assert_eq!(read(&through(&again), "etc/hosts"), "mine");
    assert_eq!(names(&through(&again)), ["etc", "new"]);
    let below = store.mount_view(View::Layer("c1")).unwrap();
    assert_eq!(read(&through(&below), "etc/hosts"), "c1");
    let upper = store.open_upper("box").unwrap();
    let found = archive::changes(upper.as_fd(), Some(below.as_fd())).unwrap();
    let lines: Vec<_> = found
        .iter()
        .map(|c| format!("{:?} {}", c.kind, String::from_utf8_lossy(&c.path)))
        .collect();
    assert_eq!(
        lines,
        [
            "Modified /etc",
            "Modified /etc/hosts",
            "Added /new",
            "Deleted /tmp"
        ]
    );
    let mut diff = Vec::new();
    archive::pack_overlay_diff(upper.as_fd(), &archive::PackOptions::default(), &mut diff).unwrap();
    let mut reader = archive::tar::Reader::new(&diff[..]);
    let mut paths = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        paths.push(String::from_utf8(entry.path).unwrap());
    }
    assert_eq!(paths, [".wh.tmp", "etc/", "etc/hosts", "new"]);
    let usage = store.usage("box").unwrap();
    assert_eq!((usage.inodes, usage.apparent_bytes), (4, 5));
}

#[test]
fn the_upper_folder_takes_after_the_images_root() {
    let (_dir, store) = store();
    let draft = store.begin_layer(None).unwrap();
    let fs_dir = draft_path(&draft);
    fs::set_permissions(&fs_dir, fs::Permissions::from_mode(0o1711)).unwrap();
    std::os::unix::fs::chown(&fs_dir, Some(7), Some(8)).unwrap();
    draft.commit("c", 0).unwrap();
    for key in ["a", "b"] {
        store.create_writable(key, Some("c"), false).unwrap();
        let upper = store.open_upper(key).unwrap();
        let meta = fs::metadata(through(&upper)).unwrap();
        assert_eq!(
            (meta.mode() & 0o7777, meta.uid(), meta.gid()),
            (0o1711, 7, 8)
        );
    }
}

#[test]
fn the_rootfs_names_layers_topmost_first_and_an_empty_one_where_there_are_none() {
    let (dir, store) = store();
    layer(&store, "c1", None, &["a"]);
    layer(&store, "c2", Some("c1"), &["b"]);
    store.create_writable("box", Some("c2"), false).unwrap();
    store.create_writable("bare", None, true).unwrap();
    let at = |path: &str| dir.path().join("snapshots").join(path);
    let oci::Rootfs::Overlay {
        lower, upper, work, ..
    } = store.rootfs("box").unwrap()
    else {
        panic!("overlay");
    };
    assert_eq!(lower, [at("2/fs"), at("1/fs")]);
    assert_eq!((upper, work), (at("3/fs"), at("3/work")));
    let oci::Rootfs::Overlay { lower, .. } = store.rootfs("bare").unwrap() else {
        panic!("overlay");
    };
    assert_eq!(lower, [at("empty")]);
    let view = store.mount_view(View::Writable("bare")).unwrap();
    fs::write(through(&view).join("x"), "y").unwrap();
    assert!(matches!(
        store.rootfs("none"),
        Err(Error::NoWritable { .. })
    ));
}

#[test]
fn what_a_crash_leaves_is_gone_at_the_next_open_and_the_rest_is_whole() {
    let (dir, store) = store();
    let root = dir.path().join("snapshots");
    layer(&store, "c1", None, &["a"]);
    layer(&store, "c2", Some("c1"), &["b"]);
    store.create_writable("box", Some("c2"), false).unwrap();
    store.create_writable("gone", Some("c2"), false).unwrap();
    store.remove_writable_deferred("gone").unwrap();
    let draft = store.begin_layer(Some("c2")).unwrap();
    fs::write(draft_path(&draft).join("half"), "h").unwrap();
    std::mem::forget(draft); // kill -9: no Drop runs, but the lock goes with the process
    fs::create_dir_all(root.join("77/fs")).unwrap(); // a writable layer without its record
    fs::create_dir_all(root.join("78/fs")).unwrap();
    fs::write(root.join("78/record.json"), "{\"kind\":\"wri").unwrap(); // a torn record
    let copy = dir.path().join("copy");
    let status = std::process::Command::new("cp")
        .args(["-a"])
        .arg(&root)
        .arg(&copy)
        .status();
    assert!(status.unwrap().success());
    let again = Store::open(&copy).unwrap();
    assert_eq!(names(&copy), ["1", "2", "3", "empty", "lock"]);
    assert!(again.has_layer("c1") && again.has_layer("c2"));
    assert_eq!(again.writables(), ["box"]);
    again.create_writable("next", Some("c2"), false).unwrap();
    let view = again.mount_view(View::Writable("next")).unwrap();
    assert_eq!(names(&through(&view)), ["a", "b"]);
    drop(view);
    for key in ["box", "next"] {
        again.remove_writable(key).unwrap();
    }
    for chain in ["c2", "c1"] {
        again.remove_layer(chain).unwrap();
    }
    assert_eq!(names(&copy), ["empty", "lock"]);
}

#[test]
fn a_layer_that_was_not_flushed_before_a_power_cut_is_dropped_and_the_container_waits_for_it() {
    let (dir, store) = store();
    let root = dir.path().join("snapshots");
    layer(&store, "c1", None, &["a"]);
    store.flush().unwrap();
    layer(&store, "c2", Some("c1"), &["b"]);
    layer(&store, "c3", Some("c2"), &["c"]);
    store.create_writable("box", Some("c3"), true).unwrap();
    drop(store);
    for n in ["1", "2", "3"] {
        let record = root.join(n).join("record.json");
        let text = fs::read_to_string(&record).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        fs::write(&record, text.replace(boot.trim(), "an-earlier-boot")).unwrap();
    }
    let store = Store::open(&root).unwrap();
    assert!(store.has_layer("c1") && !store.has_layer("c2") && !store.has_layer("c3"));
    assert!(matches!(store.rootfs("box"), Err(Error::NoLayer { .. })));
    layer(&store, "c2", Some("c1"), &["b"]);
    layer(&store, "c3", Some("c2"), &["c"]);
    store.rootfs("box").unwrap();
    assert!(matches!(store.remove_layer("c3"), Err(Error::InUse { .. })));
}

#[test]
fn concurrent_drafts_of_one_chain_become_one_layer() {
    let (dir, store) = store();
    let committed: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let store = store.clone();
                scope.spawn(move || {
                    let draft = store.begin_layer(None).unwrap();
                    fs::write(draft_path(&draft).join("who"), n.to_string()).unwrap();
                    draft.commit("same", 1).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let new = committed.iter().filter(|c| **c == Committed::New).count();
    assert_eq!(new, 1);
    assert_eq!(names(&dir.path().join("snapshots")).len(), 3);
    assert_eq!(store.layers().len(), 1);
}

#[test]
fn a_dropped_draft_leaves_nothing_and_lets_its_parent_go() {
    let (dir, store) = store();
    layer(&store, "c1", None, &["a"]);
    let draft = store.begin_layer(Some("c1")).unwrap();
    fs::create_dir_all(draft_path(&draft).join("a/b")).unwrap();
    let refused = store.remove_layer("c1").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "layer c1 is used by a layer being extracted"
    );
    drop(draft);
    store.remove_layer("c1").unwrap();
    assert_eq!(names(&dir.path().join("snapshots")), ["empty", "lock"]);
}

#[test]
fn layers_go_only_from_the_top() {
    let (_dir, store) = store();
    layer(&store, "c1", None, &["a"]);
    layer(&store, "c2", Some("c1"), &["b"]);
    store.create_writable("box", Some("c2"), false).unwrap();
    let refused = store.remove_layer("c1").unwrap_err();
    assert_eq!(refused.to_string(), "layer c1 is used by layer c2");
    assert_eq!(refused.kind(), fault::Kind::Conflict);
    let refused = store.remove_layer("c2").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "layer c2 is used by writable layer box"
    );
    store.remove_writable("box").unwrap();
    store.remove_layer("c2").unwrap();
    store.remove_layer("c1").unwrap();
    assert!(matches!(
        store.remove_layer("c1"),
        Err(Error::NoLayer { .. })
    ));
    assert!(matches!(
        store.begin_layer(Some("c1")),
        Err(Error::NoLayer { .. })
    ));
}

#[test]
fn garbage_goes_and_what_is_needed_stays() {
    let (dir, store) = store();
    layer(&store, "base", None, &["a"]);
    layer(&store, "kept", Some("base"), &["b"]);
    layer(&store, "unused", Some("base"), &["c"]);
    layer(&store, "unused-top", Some("unused"), &["d"]);
    layer(&store, "run", Some("base"), &["e"]);
    store.create_writable("live", Some("run"), false).unwrap();
    store
        .create_writable("dead", Some("unused-top"), false)
        .unwrap();
    let set = |name: &str| HashSet::from([name.to_owned()]);
    store.gc(&set("live"), &set("kept")).unwrap();
    let left: Vec<_> = store.layers().into_iter().map(|l| l.chain).collect();
    assert_eq!(left, ["base", "kept", "run"]);
    assert_eq!(store.writables(), ["live"]);
    let snapshots = names(&dir.path().join("snapshots"));
    assert_eq!(snapshots.len(), 4 + 2, "{snapshots:?}");
}

#[test]
fn only_one_process_opens_a_store() {
    let (dir, store) = store();
    let root = dir.path().join("snapshots");
    assert!(matches!(Store::open(&root), Err(Error::Locked { .. })));
    assert_eq!(fs::metadata(&root).unwrap().mode() & 0o7777, 0o700);
    drop(store);
    Store::open(&root).unwrap();
}

#[test]
fn mount_points_are_made_once_and_leave_what_the_image_has() {
    let (_dir, store) = store();
    let draft = store.begin_layer(None).unwrap();
    let path = draft_path(&draft);
    fs::create_dir(path.join("etc")).unwrap();
    fs::write(path.join("etc/hosts"), "the image's").unwrap();
    fs::set_permissions(path.join("etc"), fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("/run", path.join("proc")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).unwrap();
    draft.commit("c1", 0).unwrap();
    let points = [
        Mountpoint::Dir("/proc"),
        Mountpoint::Dir("/dev/pts"),
        Mountpoint::File("/etc/hosts"),
        Mountpoint::File("/etc/hostname"),
        Mountpoint::Symlink("/etc/mtab", "/proc/mounts"),
    ];
    let ready = store.with_mountpoints(Some("c1"), &points).unwrap();
    assert_eq!(store.with_mountpoints(Some("c1"), &points).unwrap(), ready);
    assert_eq!(store.layers().len(), 1);
    store.create_writable("box", Some(&ready), false).unwrap();
    assert_eq!(store.image_chain("box").unwrap().as_deref(), Some("c1"));
    let view = store.mount_view(View::Writable("box")).unwrap();
    let root = through(&view);
    assert_eq!(read(&root, "etc/hosts"), "the image's");
    assert_eq!(read(&root, "etc/hostname"), "");
    assert!(root.join("dev/pts").is_dir());
    assert_eq!(fs::read_link(root.join("proc")).unwrap(), Path::new("/run"));
    assert_eq!(
        fs::read_link(root.join("etc/mtab")).unwrap(),
        Path::new("/proc/mounts")
    );
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("etc"), mode("")), (0o750, 0o711));
    let bare = store.with_mountpoints(None, &points).unwrap();
    store.create_writable("bare", Some(&bare), false).unwrap();
    assert_eq!(store.image_chain("bare").unwrap(), None);
    drop(view);
    store.remove_writable("box").unwrap();
    store.remove_layer("c1").unwrap();
}

#[test]
fn a_deep_image_mounts() {
    let (_dir, store) = store();
    let mut parent: Option<String> = None;
    for n in 0..120 {
        let chain = format!("sha256:{n:064}");
        layer(&store, &chain, parent.as_deref(), &[&format!("f{n}")]);
        parent = Some(chain);
    }
    let view = store.mount_view(View::Layer(&parent.unwrap())).unwrap();
    assert_eq!(names(&through(&view)).len(), 120);
}

#[test]
fn the_thousandth_writable_layer_costs_what_the_first_did() {
    let (_dir, store) = store();
    layer(&store, "c", None, &["a"]);
    // The fastest of many: what else the machine does meanwhile only adds.
    let time = |range: std::ops::Range<usize>| {
        let one = |n: usize| {
            let start = std::time::Instant::now();
            store
                .create_writable(&n.to_string(), Some("c"), false)
                .unwrap();
            start.elapsed()
        };
        range.map(one).min().expect("a range that is not empty")
    };
    time(0..100); // warm
    let early = time(100..300);
    time(300..1800);
    let late = time(1800..2000);
    assert!(late < early * 4, "{early:?} became {late:?}");
}
