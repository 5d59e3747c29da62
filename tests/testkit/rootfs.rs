//! The file system that the stories' containers run in: busybox under all its names.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The image's name in every engine.
pub const IMAGE: &str = "busybox";

/// A tar archive of the file system; made once per test run.
///
/// # Panics
/// Without busybox (Debian: `busybox-static`) and tar.
#[must_use]
pub fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("estiva-rootfs-{}", std::process::id()));
        create(&folder);
        let tar = Command::new("tar")
            .arg("-C")
            .arg(&folder)
            .args(["-c", "."])
            .output();
        let tar = tar.expect("tar is installed");
        assert!(tar.status.success(), "tar packs the file system");
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
        tar.stdout
    })
}

/// Lays the file system out in a folder.
///
/// # Panics
/// Without busybox.
pub fn create(folder: &Path) {
    let busybox = busybox();
    for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "var"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder of ours");
    }
    let mode = |path: &str, mode| {
        let permissions = PermissionsExt::from_mode(mode);
        std::fs::set_permissions(folder.join(path), permissions).expect("a file of ours");
    };
    mode("tmp", 0o1777);
    mode("root", 0o700);
    std::fs::copy(&busybox, folder.join("bin/busybox")).expect("busybox can be read");
    mode("bin/busybox", 0o755);
    let list = Command::new(&busybox).arg("--list").output();
    let list = String::from_utf8(list.expect("busybox runs").stdout).expect("names");
    for applet in list.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", folder.join("bin").join(applet)).expect("a fresh folder");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/tmp:/bin/sh\n";
    std::fs::write(folder.join("etc/passwd"), passwd).expect("a file of ours");
    let group = "root:x:0:\nguest:x:1000:\naudio:x:29:guest\n";
    std::fs::write(folder.join("etc/group"), group).expect("a file of ours");
}

fn busybox() -> PathBuf {
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .expect("busybox is installed (Debian: apt install busybox-static)")
}
