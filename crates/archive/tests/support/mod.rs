//! Trees on disk: made with every kind of file, and described so that two can be compared.
#![allow(
    dead_code,
    reason = "each test file uses its own part; unused parts differ"
)]

pub(crate) mod forge;

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use archive::{ExtractOptions, Summary, extract};
use rustix::fs::{AtFlags, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// Runs a program to its end; its failure is the test's.
pub(crate) fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let out = Command::new(program).args(args).output().unwrap();
    assert!(
        out.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn unpack(
    bytes: &[u8],
    dest: &Path,
    options: &ExtractOptions<'_>,
) -> archive::Result<Summary> {
    let dest = fs::File::open(dest).unwrap();
    extract(bytes, dest.as_fd(), options)
}

/// Every path below `root` with all that an archive can carry.
pub(crate) fn describe(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    walk(root, root, &mut found, &mut inodes);
    found
}

fn walk(
    root: &Path,
    dir: &Path,
    found: &mut BTreeMap<String, String>,
    inodes: &mut BTreeMap<u64, String>,
) {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let meta = path.symlink_metadata().unwrap();
        let first = inodes.entry(meta.ino()).or_insert_with(|| name.clone());
        let mut line = format!(
            "{:o} {}:{} {}.{:09} dev {:x} first {first}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.rdev(),
        );
        if meta.is_symlink() {
            line += &format!(" -> {}", fs::read_link(&path).unwrap().display());
        }
        if meta.is_file() {
            let data = fs::read(&path).unwrap();
            let sum = data.iter().enumerate().fold(0_u64, |sum, (at, byte)| {
                sum.wrapping_mul(31)
                    .wrapping_add(u64::from(*byte) ^ at as u64)
            });
            line += &format!(" size {} sum {sum:x}", data.len());
        }
        line += &format!(" {:?}", xattrs(&path));
        found.insert(name, line);
        if meta.is_dir() {
            walk(root, &path, found, inodes);
        }
    }
}

pub(crate) fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0_u8; 4096];
    let len = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    list[..len]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0_u8; 4096];
            let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            (
                String::from_utf8_lossy(name).into_owned(),
                value[..len].to_vec(),
            )
        })
        .collect()
}

pub(crate) fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

pub(crate) fn set_time(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec {
        tv_sec: secs,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn node(path: &Path, kind: FileType, device: (u32, u32)) {
    let device = rustix::fs::makedev(device.0, device.1);
    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, device).unwrap();
}

pub(crate) fn own(path: &Path, uid: u32, gid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
}

pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A file capability (cap_net_raw+ep), as the kernel stores it.
pub(crate) const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A tree with every kind of file and every kind of oddity.
pub(crate) fn make_tree(root: &Path) {
    for dir in ["bin", "etc/deep/er", "empty", "dev", "setgid"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::write(root.join("bin/su"), b"#!su\n").unwrap();
    own(&root.join("bin/su"), 0, 42);
    mode(&root.join("bin/su"), 0o6755);
    fs::hard_link(root.join("bin/su"), root.join("bin/sudo")).unwrap();
    fs::write(root.join("bin/ping"), vec![7; 100_000]).unwrap();
    mode(&root.join("bin/ping"), 0o755);
    set_xattr(&root.join("bin/ping"), "security.capability", &CAPABILITY);
    fs::write(root.join("etc/large-id"), b"x").unwrap();
    set_xattr(
        &root.join("etc/large-id"),
        "user.note",
        b"line\nnul\0=end\xff",
    );
    own(&root.join("etc/large-id"), 4_000_000_000, 3_000_000);
    fs::write(root.join("etc/deep/er/empty"), b"").unwrap();
    symlink("../bin/su", root.join("etc/relative")).unwrap();
    symlink("/bin/su", root.join("etc/absolute")).unwrap();
    symlink("t".repeat(300), root.join("etc/long-target")).unwrap();
    own(&root.join("etc/relative"), 1000, 1000);
    fs::hard_link(root.join("etc/absolute"), root.join("etc/symlink-twin")).unwrap();
    let long = root
        .join("l".repeat(90))
        .join("m".repeat(90))
        .join("n".repeat(90));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("o".repeat(200)), b"deep").unwrap();
    fs::write(root.join("etc/späce \n name"), b"odd").unwrap();
    node(&root.join("dev/null"), FileType::CharacterDevice, (1, 3));
    node(&root.join("dev/disk"), FileType::BlockDevice, (259, 70000));
    node(&root.join("dev/pipe"), FileType::Fifo, (0, 0));
    own(&root.join("dev/pipe"), 5, 6);
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    for n in 0..12_u64 {
        use std::os::unix::fs::FileExt;
        sparse
            .write_all_at(&[n as u8 + 1; 5000], n * 1_000_000)
            .unwrap();
    }
    sparse.set_len(13_000_000).unwrap();
    fs::File::create(root.join("hole-only"))
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    set_time(&root.join("bin/ping"), 1_600_000_000, 123_456_789);
    set_time(&root.join("bin/su"), -1000, 0);
    set_time(&root.join("etc/relative"), 1_500_000_000, 0);
    own(&root.join("setgid"), 0, 77);
    mode(&root.join("setgid"), 0o2775);
    fs::write(root.join("setgid/file"), b"g").unwrap();
    own(&root.join("setgid/file"), 0, 0);
    mode(&root.join("empty"), 0o1777);
    set_time(&root.join("empty"), 1_000_000_000, 5);
    set_time(&root.join("etc"), 1_000_000_001, 0);
}

/// Compares two descriptions and shows what differs.
pub(crate) fn assert_same(
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
    what: &str,
) {
    let mut lines = Vec::new();
    for name in left.keys().chain(right.keys()) {
        if left.get(name) != right.get(name) {
            lines.push(format!(
                "{name}\n    {:?}\n    {:?}",
                left.get(name),
                right.get(name)
            ));
        }
    }
    lines.dedup();
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}
