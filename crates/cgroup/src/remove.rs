//! Removing a group from every hierarchy, with the groups made inside it.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, unlinkat};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::Group;

/// A group stays busy until the kernel has put its last task away, shortly after the parent has reaped it.
const PATIENCE: Duration = Duration::from_secs(5);

impl Group {
    /// Removes the group and all groups inside it from every hierarchy. Processes in them must be dead; for those that
    /// still die it waits up to 5 s. A group that is gone already is no error.
    ///
    /// # Errors
    /// `Remove` with the processes still in it; the other hierarchies are tried all the same.
    pub fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let legacy = self.host.legacy.iter().map(|h| (&h.root, Some(h)));
        let tree = self.host.unified.iter().map(|tree| (&tree.root, None));
        let mut first_error = None;
        for (root, hierarchy) in legacy.chain(tree) {
            if let Err(errno) = remove_until(root, &self.path, deadline) {
                let label = hierarchy.map_or_else(|| "unified".to_owned(), |h| h.label());
                first_error.get_or_insert((label, errno));
            }
        }
        match first_error {
            None => Ok(()),
            Some((hierarchy, errno)) => Err(Error::Remove {
                group: self.path(),
                hierarchy,
                pids: self.pids().unwrap_or_default(),
                source: errno.into(),
            }),
        }
    }
}

impl Group {
    /// Removes the group as [`Group::remove`] does, without waiting. Answers whether it is gone: not, when processes are in
    /// it or the kernel has not put away the last of them.
    #[must_use]
    pub fn remove_if_empty(&self) -> bool {
        let legacy = self.host.legacy.iter().map(|h| &h.root);
        let mut roots = legacy.chain(self.host.unified.iter().map(|tree| &tree.root));
        roots.all(|root| remove_tree(root, &self.path).is_ok())
    }
}

/// Removes a group by its folders, as [`Group::folders`] told them when it was made, without a look at what else the machine
/// has. Answers whether it is gone: not, when processes or groups are in it or the kernel has not put away the last of them;
/// then [`Group::remove`] is for the rest.
#[must_use]
pub fn remove_folders(folders: &[PathBuf]) -> bool {
    folders.iter().all(|folder| {
        matches!(
            unlinkat(CWD, folder, AtFlags::REMOVEDIR),
            Ok(()) | Err(Errno::NOENT)
        )
    })
}

fn remove_until(root: &Dir, path: &str, deadline: Instant) -> rustix::io::Result<()> {
    let mut pause = Duration::from_micros(100);
    loop {
        match remove_tree(root, path) {
            Err(Errno::BUSY) if Instant::now() < deadline => {}
            result => return result,
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn remove_tree(root: &Dir, path: &str) -> rustix::io::Result<()> {
    let dir = root.at(path, path);
    match dir.remove() {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Either processes or groups are inside.
        Err(Errno::BUSY) => {}
        Err(errno) => return Err(errno),
    }
    let children = match dir.children() {
        Err(Errno::NOENT) => return Ok(()),
        children => children?,
    };
    if children.is_empty() {
        return Err(Errno::BUSY);
    }
    for child in children {
        remove_tree(&dir, &child)?;
    }
    match dir.remove() {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}
