//! State on the disk and the API's socket (CVE-2021-41091, CVE-2024-25621, CVE-2020-15257): who else may reach them.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use testkit::Engine;

#[test]
fn nobody_but_root_enters_the_state_folders() {
    let engine = testkit::engine();
    drop(engine.run("-v data:/data busybox sleep 60"));
    let exec = engine.root().join("exec");
    // The socket may lie in the exec root, so others may pass through it; they see nothing and pass no further.
    for (folder, most) in [
        (engine.data_root(), 0o700),
        (engine.data_root().join("containers"), 0o700),
        (exec.clone(), 0o711),
        (exec.join("containers"), 0o700),
    ] {
        if !folder.exists() && Engine::is_peer() {
            continue;
        }
        let meta = std::fs::metadata(&folder).expect("it is there");
        let allowed = if Engine::is_peer() { 0o711 } else { most };
        assert_eq!(meta.mode() & 0o7777 & !allowed, 0, "{}", folder.display());
        assert_eq!(meta.uid(), 0);
    }
    // As somebody else: not even by a path that is known.
    let inside = engine.data_root().join("volumes/data/_data");
    let mut ls = std::process::Command::new("setpriv");
    ls.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "ls",
    ])
    .arg(&inside);
    let output = testkit::command::run(&mut ls, &[]);
    assert_ne!(output.code, 0, "{}", output.text());
    assert!(
        output.error().contains("ermission denied"),
        "{}",
        output.error()
    );
}

/// Files below a folder that others could write; sockets, and what containers themselves have made, apart.
fn writable_by_others(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        let path = entry.path();
        let kind = meta.file_type();
        let is_container = ["snapshots", "_data", "shm"]
            .iter()
            .any(|name| path.ends_with(name));
        if !kind.is_symlink() && meta.mode() & 0o002 != 0 && meta.mode() & 0o1000 == 0 {
            found.push(format!("{} {:o}", path.display(), meta.mode()));
        }
        if kind.is_dir() && !is_container {
            writable_by_others(&path, found);
        }
    }
}

#[test]
fn nothing_of_the_engines_is_writable_by_others_whatever_the_umask() {
    let engine = testkit::engine();
    drop(engine.run("-v data:/data busybox sh -c 'umask 0; echo log; sleep 60'"));
    let mut found = Vec::new();
    for folder in ["data", "exec"] {
        writable_by_others(&engine.root().join(folder), &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_socket_is_roots_and_no_other_way_in_is_open() {
    let engine = testkit::engine();
    let meta = std::fs::metadata(engine.socket()).expect("it listens");
    assert!(meta.file_type().is_socket());
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o660, 0));
    // No socket by an abstract name, and none on the network: a container with the host's network would reach those.
    let daemon = engine.daemon_pid();
    let mut own: Vec<i32> = vec![daemon];
    let container = engine.run("--network host busybox sleep 600");
    own.push(
        testkit::proc::status(container.pid(), "PPid")
            .parse()
            .expect("a pid"),
    );
    let inodes: Vec<String> = own.iter().flat_map(|pid| sockets(*pid)).collect();
    assert!(!inodes.is_empty());
    let table =
        |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    for line in table("unix").lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_ours = fields
            .get(6)
            .is_some_and(|inode| inodes.iter().any(|own| own == inode));
        let is_abstract = fields.get(7).is_some_and(|name| name.starts_with('@'));
        assert!(!(is_ours && is_abstract), "{line}");
    }
    for name in ["tcp", "tcp6", "udp", "udp6"] {
        for line in table(name).lines() {
            let inode = line.split_whitespace().nth(9).unwrap_or_default();
            assert!(!inodes.iter().any(|own| own == inode), "{name}: {line}");
        }
    }
    // The path is not in the container, and its root does not lead to it.
    let socket = engine.socket();
    let script = format!(
        "ls {0} /proc/1/root{0} /run/estiva.sock /var/run/docker.sock",
        socket.display()
    );
    let output = engine
        .cli_words(["exec", container.id(), "sh", "-c", &script])
        .run();
    assert_ne!(output.code, 0, "{}", output.text());
    assert_eq!(output.text(), "");
}

/// The inodes of a process's sockets.
fn sockets(pid: i32) -> Vec<String> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    folder
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let text = link.to_string_lossy().into_owned();
            Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect()
}
