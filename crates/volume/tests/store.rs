//! Volumes on a real file system, with real mounts. Needs root.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, FileType, Mode, OFlags, XattrFlags};
use volume::{Error, Request, Store};

/// A folder of the test's own; gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("estiva-volume-test-{}-{n}", std::process::id()));
        fs::create_dir(&path).expect("a folder of our own");
        Scratch(path)
    }

    fn root(&self) -> PathBuf {
        self.0.join("volumes")
    }

    fn store(&self) -> Store {
        Store::open(&self.root()).expect("a store")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A device that a failed test left mounted is taken off before anything is deleted.
        for entry in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            let data = entry.path().join("_data");
            let _ = rustix::mount::unmount(&data, rustix::mount::UnmountFlags::DETACH);
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn named(name: &str) -> Request {
    Request {
        name: Some(name.to_owned()),
        ..Request::default()
    }
}

fn open(path: &Path) -> std::os::fd::OwnedFd {
    rustix::fs::openat(
        CWD,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .expect("a folder")
}

#[test]
fn volumes_outlive_the_store_and_removal_leaves_nothing() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let request = Request {
        labels: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
        ..named("web")
    };
    let made = store.create(&request).expect("a volume");
    assert!(made.is_new);
    let again = store.create(&named("web")).expect("the same volume");
    assert!(!again.is_new);
    assert_eq!(again.volume, made.volume);
    let mode = fs::metadata(&made.volume.mountpoint)
        .expect("the folder")
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
    fs::write(made.volume.mountpoint.join("file"), "x").expect("content");
    let anonymous = store.create(&Request::default()).expect("a volume").volume;
    assert_eq!(anonymous.name.as_str().len(), 64);
    assert!(anonymous.is_anonymous() && !made.volume.is_anonymous());

    let store = scratch.store();
    assert_eq!(store.get("web"), Some(made.volume.clone()));
    assert_eq!(store.list().len(), 2);
    for volume in store.list() {
        store.remove(volume.name.as_str()).expect("it goes");
    }
    assert_eq!(fs::read_dir(scratch.root()).expect("the root").count(), 0);
    let error = store.remove("web").expect_err("it is gone");
    assert_eq!(error.to_string(), "get web: no such volume");
    assert!(matches!(
        store.remove("../volumes"),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn what_was_half_made_or_half_removed_goes_and_lost_records_keep_their_data() {
    let scratch = Scratch::new();
    let data = scratch
        .store()
        .create(&named("kept"))
        .expect("a volume")
        .volume
        .mountpoint;
    fs::write(data.join("precious"), "x").expect("content");
    let root = scratch.root();
    fs::write(root.join("kept/volume.json"), "{\"dri").expect("a torn record");
    fs::create_dir_all(root.join("kept/.copy-12/half")).expect("half a copy");
    fs::create_dir_all(root.join(".new-12/_data")).expect("half a volume");
    fs::create_dir_all(root.join(".gone-12/_data/x")).expect("half removed");
    fs::create_dir_all(root.join("not-a-volume")).expect("a foreign folder");
    let store = scratch.store();
    let names: Vec<_> = store.list().iter().map(|v| v.name.to_string()).collect();
    assert_eq!(names, ["kept"]);
    assert!(data.join("precious").exists());
    let mut left: Vec<_> = fs::read_dir(&root)
        .expect("the root")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["kept", "not-a-volume"]);
    assert!(!root.join("kept/.copy-12").exists());
}

#[test]
fn wrong_requests_are_refused_and_leave_nothing() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let options = |key: &str| BTreeMap::from([(key.to_owned(), "x".to_owned())]);
    let requests = [
        named("../up"),
        named("x"),
        Request {
            driver: "nosuch".to_owned(),
            ..named("vol")
        },
        Request {
            options: options("colour"),
            ..named("vol")
        },
        Request {
            options: options("size"),
            ..named("vol")
        },
    ];
    for request in requests {
        assert!(store.create(&request).is_err(), "{request:?}");
    }
    assert_eq!(fs::read_dir(scratch.root()).expect("the root").count(), 0);
}

#[test]
fn a_device_is_mounted_from_the_first_holder_to_the_last_and_survives_the_daemon() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let request = Request {
        options: [
            ("type", "tmpfs"),
            ("device", "tmpfs"),
            ("o", "size=1m,nosuid"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into(),
        ..named("mem")
    };
    let data = store.create(&request).expect("a volume").volume.mountpoint;
    let is_tmpfs = || {
        fs::metadata(&data).expect("the folder").dev()
            != fs::metadata(scratch.root()).expect("the root").dev()
    };
    assert!(!is_tmpfs());
    assert_eq!(store.acquire("mem", "one").expect("mounted"), data);
    store.acquire("mem", "two").expect("shared");
    assert!(is_tmpfs());
    fs::write(data.join("file"), "x").expect("content");

    // A new daemon: one container still runs.
    let store = scratch.store();
    store.acquire("mem", "two").expect("found mounted");
    store.unmount_unheld().expect("nothing to do");
    assert!(data.join("file").exists());
    assert!(matches!(store.remove("mem"), Err(Error::InUse { .. })));
    store.release("mem", "two").expect("the last one");
    assert!(!is_tmpfs());
    store.acquire("mem", "three").expect("mounted anew");

    // A new daemon: nobody runs any more.
    let store = scratch.store();
    store.unmount_unheld().expect("unmounted");
    assert!(!is_tmpfs());
    store.remove("mem").expect("it goes");
}

#[test]
fn a_bound_folder_is_shown_read_only_and_never_deleted() {
    let scratch = Scratch::new();
    let outside = scratch.0.join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("precious"), "x").expect("content");
    let store = scratch.store();
    let request = Request {
        options: [
            ("type", "none"),
            ("device", outside.to_str().expect("a text")),
            ("o", "bind,ro"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into(),
        ..named("bound")
    };
    store.create(&request).expect("a volume");
    let data = store.acquire("bound", "one").expect("mounted");
    assert!(data.join("precious").exists());
    assert!(File::create(data.join("new")).is_err(), "it is read-only");
    // The daemon dies; the next one removes the volume.
    let store = scratch.store();
    store.remove("bound").expect("it goes");
    assert!(outside.join("precious").exists());
}

#[test]
fn a_device_that_cannot_be_mounted_says_so_and_leaves_the_volume_unheld() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let request = Request {
        options: [("type", "ext4"), ("device", "/dev/nosuchdisk")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        ..named("disk")
    };
    store.create(&request).expect("a volume");
    let error = store.acquire("disk", "one").expect_err("no such disk");
    assert!(
        error
            .to_string()
            .starts_with("failed to mount local volume: mount /dev/nosuchdisk:"),
        "{error}"
    );
    store.remove("disk").expect("nobody holds it");
}

#[test]
fn usage_counts_blocks_and_hard_links_once() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let data = store
        .create(&named("big"))
        .expect("a volume")
        .volume
        .mountpoint;
    let empty = store.usage("big").expect("a size");
    fs::create_dir_all(data.join("a/b/c")).expect("folders");
    fs::write(data.join("a/b/c/file"), vec![7u8; 1 << 20]).expect("content");
    fs::hard_link(data.join("a/b/c/file"), data.join("again")).expect("a link");
    symlink("/usr", data.join("out")).expect("a symlink");
    File::create(data.join("a/sparse"))
        .and_then(|file| file.set_len(1 << 30))
        .expect("a hole");
    let used = store.usage("big").expect("a size") - empty;
    assert!(((1 << 20)..(2 << 20)).contains(&used), "{used}");
    let du = std::process::Command::new("du")
        .args(["-s", "-B1"])
        .arg(&data)
        .output()
        .expect("du");
    let du = String::from_utf8_lossy(&du.stdout);
    let du: u64 = du
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert_eq!(used + empty, du);
}

#[test]
fn an_empty_volume_takes_over_everything_the_image_has_there() {
    let scratch = Scratch::new();
    let image = scratch.0.join("image");
    fs::create_dir_all(image.join("dir/deeper")).expect("folders");
    let write = |path: &str, content: &str| fs::write(image.join(path), content).expect("content");
    write("dir/deeper/file", "hello");
    write("tool", "#!/bin/sh\n");
    fs::hard_link(image.join("tool"), image.join("dir/tool-again")).expect("a link");
    symlink("/etc/passwd", image.join("dir/link")).expect("a symlink");
    symlink("nowhere", image.join("dangling")).expect("a symlink");
    let chown = |path: &str, uid, gid| {
        std::os::unix::fs::lchown(image.join(path), Some(uid), Some(gid)).expect("an owner");
    };
    chown("tool", 123, 456);
    chown("dir/link", 9, 9);
    chown(".", 77, 78);
    let mode = |path: &str, mode| {
        fs::set_permissions(image.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode("tool", 0o4755);
    mode("dir/deeper", 0o1777);
    mode(".", 0o750);
    let capability = [
        1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0_u8,
    ];
    rustix::fs::lsetxattr(
        image.join("dir/deeper/file"),
        "security.capability",
        &capability,
        XattrFlags::empty(),
    )
    .expect("a capability");
    rustix::fs::lsetxattr(
        image.join("dir/link"),
        "trusted.mark",
        b"yes",
        XattrFlags::empty(),
    )
    .expect("an attribute");
    for name in ["trusted.overlay.opaque", "trusted.mine"] {
        rustix::fs::lsetxattr(image.join("dir"), name, b"y", XattrFlags::empty())
            .expect("an attribute");
    }
    let node = |name: &str, kind, dev| {
        rustix::fs::mknodat(CWD, image.join(name), kind, Mode::from_raw_mode(0o666), dev)
            .expect("a node");
        mode(name, 0o666);
    };
    node("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    node("pipe", FileType::Fifo, 0);
    node("whiteout", FileType::CharacterDevice, 0);
    let sparse = File::create(image.join("sparse")).expect("a file");
    sparse.set_len(8 << 20).expect("a hole");
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", (8 << 20) - 3).expect("an end");
    let old = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec {
            tv_sec: 1_000_000,
            tv_nsec: 5,
        },
        last_modification: rustix::fs::Timespec {
            tv_sec: 2_000_000,
            tv_nsec: 7,
        },
    };
    for path in ["tool", "dir/link", "pipe", "dir", "."] {
        rustix::fs::utimensat(
            CWD,
            image.join(path),
            &old,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .expect("times");
    }

    let store = scratch.store();
    let data = store
        .create(&named("app"))
        .expect("a volume")
        .volume
        .mountpoint;
    store.acquire("app", "one").expect("held");
    assert!(store.copy_up("app", open(&image)).expect("copied"));
    let stat = |path: &str| fs::symlink_metadata(data.join(path)).expect(path);
    for path in [
        ".",
        "tool",
        "dir",
        "dir/deeper",
        "dir/deeper/file",
        "dir/link",
        "dangling",
        "null",
        "pipe",
        "sparse",
    ] {
        let (a, b) = (
            fs::symlink_metadata(image.join(path)).expect(path),
            stat(path),
        );
        assert_eq!(
            (a.mode(), a.uid(), a.gid(), a.rdev()),
            (b.mode(), b.uid(), b.gid(), b.rdev()),
            "{path}"
        );
        assert_eq!(
            (a.mtime(), a.mtime_nsec()),
            (b.mtime(), b.mtime_nsec()),
            "{path}"
        );
        if !a.is_dir() {
            assert_eq!(a.len(), b.len(), "{path}");
        }
    }
    assert_eq!(stat("tool").ino(), stat("dir/tool-again").ino());
    assert_eq!(
        fs::read_link(data.join("dir/link")).expect("a link"),
        Path::new("/etc/passwd")
    );
    assert!(stat("sparse").blocks() * 512 < 1 << 20, "the hole is kept");
    assert_eq!(
        &fs::read(data.join("sparse")).expect("the file")[(8 << 20) - 3..],
        b"end"
    );
    assert!(!data.join("whiteout").exists());
    let xattr = |path: &str, name: &str| {
        let mut value = [0u8; 64];
        let name = CString::new(name).expect("a name");
        rustix::fs::lgetxattr(data.join(path), name.as_c_str(), &mut value[..])
            .map(|len| value[..len].to_vec())
    };
    assert_eq!(
        xattr("dir/deeper/file", "security.capability"),
        Ok(capability.to_vec())
    );
    assert_eq!(xattr("dir/link", "trusted.mark"), Ok(b"yes".to_vec()));
    assert_eq!(xattr("dir", "trusted.mine"), Ok(b"y".to_vec()));
    assert!(xattr("dir", "trusted.overlay.opaque").is_err());

    // A second container finds it filled, and a later image changes nothing.
    fs::remove_file(data.join("tool")).expect("removed by the container");
    assert!(!store.copy_up("app", open(&image)).expect("left alone"));
    assert!(!data.join("tool").exists());
    let left = fs::read_dir(scratch.root().join("app"))
        .expect("the volume")
        .count();
    assert_eq!(left, 2, "no half copy is left");
}

#[test]
fn a_volume_in_use_by_two_keeps_its_folder() {
    let scratch = Scratch::new();
    let image = scratch.0.join("image");
    fs::create_dir(&image).expect("a folder");
    fs::write(image.join("file"), "x").expect("content");
    let store = scratch.store();
    let data = store
        .create(&named("app"))
        .expect("a volume")
        .volume
        .mountpoint;
    store.acquire("app", "one").expect("held");
    store.acquire("app", "two").expect("held");
    let inode = fs::metadata(&data).expect("the folder").ino();
    assert!(store.copy_up("app", open(&image)).expect("copied"));
    assert_eq!(fs::metadata(&data).expect("the folder").ino(), inode);
    assert!(data.join("file").exists());
}

#[test]
fn subpaths_follow_links_inside_and_never_out() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let data = store
        .create(&named("app"))
        .expect("a volume")
        .volume
        .mountpoint;
    fs::create_dir_all(data.join("a/b")).expect("folders");
    symlink("a/b", data.join("inside")).expect("a link");
    symlink("../../../../etc", data.join("up")).expect("a link");
    symlink("/etc", data.join("absolute")).expect("a link");
    let inode = |path: &str| {
        store
            .subpath("app", path)
            .map(|fd| rustix::fs::fstat(fd).expect("stat").st_ino)
    };
    let expect = fs::metadata(data.join("a/b")).expect("the folder").ino();
    assert_eq!(inode("a/b").expect("it is there"), expect);
    assert_eq!(inode("inside").expect("it is there"), expect);
    for path in ["up", "absolute", "up/passwd", "nosuch"] {
        assert!(matches!(inode(path), Err(Error::Subpath { .. })), "{path}");
    }
    for path in ["/a", "../app", "a/../..", "a\0b"] {
        assert!(
            matches!(inode(path), Err(Error::SubpathForm { .. })),
            "{path:?}"
        );
    }
}
