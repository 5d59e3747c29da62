//! The machine made fit for crun, and made again what it was.
//!
//! crun 1.8 refuses a hybrid machine whose v2 tree still has a controller to hand out. So every such controller is
//! mounted as a v1 hierarchy for as long as the comparison runs, in a mount namespace of our own: nobody else sees it, and
//! it is gone with us, however we end. Groups of the v2 tree that hand such a controller down stop doing so meanwhile.

use std::ffi::{CString, OsStr};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use sys::namespace::{Namespaces, unshare};

const TREE: &str = "/sys/fs/cgroup";

/// How often, and how long between, the kernel is asked again when it is not ready yet.
const TRIES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// What was changed here; dropping it changes it back.
#[derive(Debug, Default)]
pub(crate) struct Borrowed {
    /// Folders that were made.
    made: Vec<PathBuf>,
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
            match std::fs::create_dir(&place) {
                Ok(()) => all.made.push(place.clone()),
                // Left by somebody; what is in it is hidden meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("{}: {error}", place.display())),
            }
            all.mounted.push(place.clone());
            all.mount_patiently(&tree, &place, controller)
                .map_err(|error| format!("mount {}: {error}", place.display()))?;
        }
        Ok(all)
    }

    /// The kernel lets go of a controller some time after no group has it any more, and somebody may hand it down again
    /// meanwhile.
    fn mount_patiently(&mut self, tree: &Path, place: &Path, controller: &str) -> io::Result<()> {
        let option = CString::new(controller).expect("the kernel's names are text");
        let mut result = Ok(());
        for _ in 0..TRIES {
            self.withdraw(tree, controller)?;
            result = mount("cgroup", place, "cgroup", MountFlags::empty(), &*option);
            if result != Err(Errno::BUSY) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(result?)
    }

    /// A controller that a group has cannot move: nobody hands it down any more, the innermost first.
    fn withdraw(&mut self, group: &Path, controller: &str) -> io::Result<()> {
        let file = group.join("cgroup.subtree_control");
        let handed_down = std::fs::read_to_string(&file).unwrap_or_default();
        if !handed_down
            .split_whitespace()
            .any(|name| name == controller)
        {
            return Ok(());
        }
        for entry in std::fs::read_dir(group)?.flatten() {
            if entry.path().is_dir() {
                self.withdraw(&entry.path(), controller)?;
            }
        }
        std::fs::write(&file, format!("-{controller}"))?;
        self.withdrawn.push((file, format!("+{controller}")));
        Ok(())
    }
}

/// Unmounts a hierarchy until it is gone: one in which groups are still dying lives on without a mount, and then only
/// another unmount ends it.
fn let_go(place: &Path) {
    let controller = place
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    let option = CString::new(controller).expect("the kernel's names are text");
    for _ in 0..TRIES {
        // What was never mounted needs no unmount.
        let _ = unmount(place, UnmountFlags::empty());
        let all = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
        let is_free = |line: &str| {
            let mut fields = line.split_whitespace();
            fields.next() == Some(controller) && fields.next() == Some("0")
        };
        if all.lines().any(is_free) {
            return;
        }
        std::thread::sleep(PAUSE);
        let _ = mount(
            "cgroup",
            place,
            "cgroup",
            MountFlags::empty(),
            option.as_c_str(),
        );
    }
}

/// As patiently. A group that has gone meanwhile needs nothing.
fn give_back(file: &Path, back: &str) {
    for _ in 0..TRIES {
        if std::fs::write(file, back).is_ok() || !file.exists() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        for place in &self.mounted {
            let_go(place);
        }
        for place in &self.made {
            drop(std::fs::remove_dir(place));
        }
        for (file, back) in self.withdrawn.iter().rev() {
            give_back(file, back);
        }
    }
}
