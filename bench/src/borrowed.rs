//! The machine made fit for crun, and made again what it was.
//!
//! crun 1.8 refuses a hybrid machine whose v2 tree still has a controller to hand out. So every such controller is
//! mounted as a v1 hierarchy for as long as the comparison runs, in a mount namespace of our own: nobody else sees it, and
//! it is gone with us, however we end. Groups of the v2 tree that hand such a controller down stop doing so meanwhile.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use sys::namespace::{Namespaces, unshare};

const TREE: &str = "/sys/fs/cgroup";

/// What was changed here; dropping it changes it back.
#[derive(Debug, Default)]
pub(crate) struct Borrowed {
    /// Hierarchies that were mounted.
    mounted: Vec<PathBuf>,
    /// Groups that handed a controller down, outermost last.
    withdrawn: Vec<(PathBuf, String)>,
}

impl Borrowed {
    /// Mounts what the v2 tree of a hybrid machine has left; nothing on other machines.
    pub(crate) fn take() -> Result<Self, String> {
        let tree = Path::new(TREE).join("unified");
        let free = std::fs::read_to_string(tree.join("cgroup.controllers")).unwrap_or_default();
        let mut all = Self::default();
        if free.trim().is_empty() {
            return Ok(all);
        }
        unshare(Namespaces::MOUNT).map_err(|error| format!("unshare: {error}"))?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(|error| format!("separate the mounts: {error}"))?;
        for controller in free.split_whitespace() {
            let place = Path::new(TREE).join(controller);
            // Where the folder is there already somebody else has plans with it.
            std::fs::create_dir(&place).map_err(|error| format!("{}: {error}", place.display()))?;
            all.mounted.push(place.clone());
            all.withdraw(&tree, controller)?;
            let option = CString::new(controller).expect("the kernel's names are text");
            mount_patiently(&place, &option)
                .map_err(|error| format!("mount {}: {error}", place.display()))?;
        }
        Ok(all)
    }

    /// A controller that a group has cannot move: nobody hands it down any more, the innermost first.
    fn withdraw(&mut self, group: &Path, controller: &str) -> Result<(), String> {
        let file = group.join("cgroup.subtree_control");
        let handed_down = std::fs::read_to_string(&file).unwrap_or_default();
        if !handed_down
            .split_whitespace()
            .any(|name| name == controller)
        {
            return Ok(());
        }
        let inner = std::fs::read_dir(group).map_err(|error| error.to_string())?;
        for entry in inner.flatten().filter(|entry| entry.path().is_dir()) {
            self.withdraw(&entry.path(), controller)?;
        }
        std::fs::write(&file, format!("-{controller}"))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        self.withdrawn.push((file, format!("+{controller}")));
        Ok(())
    }
}

/// The kernel lets go of a controller some time after nobody has it any more.
fn mount_patiently(place: &Path, option: &CStr) -> rustix::io::Result<()> {
    for _ in 0..100 {
        match mount("cgroup", place, "cgroup", MountFlags::empty(), option) {
            Err(Errno::BUSY) => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    Err(Errno::BUSY)
}

/// As patiently. A group that has gone meanwhile needs nothing.
fn give_back(file: &Path, back: &str) {
    for _ in 0..100 {
        if std::fs::write(file, back).is_ok() || !file.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        for place in &self.mounted {
            // What was never mounted needs no unmount; the folder goes in any case.
            let _ = unmount(place, UnmountFlags::DETACH);
            drop(std::fs::remove_dir(place));
        }
        for (file, back) in self.withdrawn.iter().rev() {
            give_back(file, back);
        }
    }
}
